"""What somebody ticked on the page of the audit: a file that the page makes, and that `deepmark label import` takes."""

from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from deepmark.data.corrections import Action, Correction, Decision
from deepmark.errors import DeepmarkError

FORMAT = "deepmark decisions, version 1"
SOURCE = "audit page"


def decisions_of(content: Mapping[str, Any], path: Path) -> Iterator[Correction]:
    """The decisions in the content of such a file; they change no label, but are not asked for again.

    Raises DeepmarkError where it is not as the page writes it.
    """
    by = str(content.get("by", ""))
    for place, one in enumerate(content.get("decisions", []), 1):
        try:
            yield Correction(
                split=str(one["split"]),
                image_id=int(one["image_id"]),
                item=str(one["item"] or ""),
                decision=Decision(one["decision"]),
                action=Action.NOTHING,
                before="",
                after="",
                by=by,
                at=str(one["at"]),
                source=SOURCE,
                reason=str(one["reason"]),
            )
        except (KeyError, TypeError, ValueError) as error:
            raise DeepmarkError(
                f"{path}: decision {place} is not as the audit's page writes it ({type(error).__name__}: {error}). "
                "Take the file that the page makes."
            ) from None
