"""Corrections of labels: what people decided about an item of an annotation file, which `ingest` then applies.

The raw files are never touched. A row of the file says who decided what, when, with the item before and after as it is
in an annotation file; a label that has changed since the decision is not corrected, but told.
"""

import json
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass
from enum import StrEnum
from pathlib import Path
from typing import Any

import pyarrow as pa

from deepmark.data.parquet import read_table, write_table
from deepmark.errors import DeepmarkError

MAKER = "deepmark label import"


class Decision(StrEnum):
    """What somebody says of a label."""

    WRONG = "wrong"
    FINE = "fine"
    UNSURE = "unsure"


class Action(StrEnum):
    """What becomes of the item."""

    NOTHING = "nothing"
    REPLACE = "replace"
    REMOVE = "remove"
    ADD = "add"


@dataclass(frozen=True, kw_only=True, slots=True)
class Correction:
    """A decision about one item of one image, or about a garment that has none."""

    split: str
    image_id: int
    item: str
    """Its key in the annotation file; for a new item the one that it gets. Empty: the decision is of the image."""

    decision: Decision
    action: Action

    before: str
    """The item in the annotation file when people were asked, as `item_text`; empty where it was none."""

    after: str
    """The item as it is to be; empty unless the action is to replace or to add it."""

    by: str
    """Who decided: a name or an address, as the tool that was used gives it."""

    at: str
    """When: date and time of ISO 8601 with the time zone."""

    source: str
    """In which tool: "audit page", "label-studio", "cvat", "coco"."""

    reason: str
    """What was asked, such as the audit's kind of issue."""

    image_sha256: str = ""
    """Of the image file that people saw; empty where the decision changes no label."""


SCHEMA = pa.schema(
    [(name, pa.int64() if name == "image_id" else pa.string()) for name in Correction.__slots__]
).with_metadata({"deepmark": "corrections, version 1"})


def item_text(item: Mapping[str, Any] | None) -> str:
    """An item of an annotation file as text that is the same for the same values; empty for none."""
    return "" if item is None else json.dumps(item, sort_keys=True, separators=(",", ":"), ensure_ascii=False)


def write_corrections(path: Path, corrections: Sequence[Correction]) -> None:
    """Write the file, whole or not at all."""
    write_table(path, pa.Table.from_pylist([asdict(each) for each in corrections], SCHEMA))


def read_corrections(path: Path) -> list[Correction]:
    """The rows of the file, and none where nobody has decided anything: the file is not there.

    Raises DeepmarkError where it is damaged, or of something else.
    """
    if not path.exists():
        return []
    remedy = (
        f"DVC keeps its versions: `dvc checkout --force {path}.dvc` puts the last one back, and an earlier one after "
        f"`git checkout COMMIT {path}.dvc`. Without DVC, move the file away and give `{MAKER}` the answers again."
    )
    table = read_table(path, MAKER, remedy=remedy)
    if table.schema.names != SCHEMA.names:
        raise DeepmarkError(f"{path}: holds no corrections. {remedy}")
    try:
        return [
            Correction(**row | {"decision": Decision(row["decision"]), "action": Action(row["action"])})
            for row in table.to_pylist()
        ]
    except ValueError as error:
        raise DeepmarkError(
            f"{path}: {error}, a word that this release does not know. Use the release that wrote it. {remedy}"
        ) from None


def check_image(corrections: Iterable[Correction], sha256: str, where: object) -> None:
    """Raise DeepmarkError where the image is another one than people saw when they corrected its labels."""
    for each in corrections:
        if each.image_sha256 not in ("", sha256):
            raise DeepmarkError(
                f"{where}: is another image than the one whose {each.item} {each.by or 'somebody'} corrected "
                f"({each.action}, {each.at}, {each.source}). Put that one back, or take the rows of image "
                f"{each.image_id} out of the corrections (`deepmark label drop {each.image_id}`)."
            )


def merged(earlier: Iterable[Correction], later: Iterable[Correction]) -> list[Correction]:
    """All decisions, of which the later one about the same item takes the place of the earlier; sorted by image."""
    last = {(each.split, each.image_id, each.item): each for each in (*earlier, *later)}
    return [last[key] for key in sorted(last)]


def corrected(fields: dict[str, Any], corrections: Sequence[Correction], where: object) -> dict[str, Any]:
    """The items of an annotation file after corrections; `fields` stays as it is.

    Raises DeepmarkError where an item has changed since somebody decided about it.
    """
    made = dict(fields)
    for each in corrections:
        if each.action is Action.NOTHING:
            continue
        if item_text(fields.get(each.item)) != each.before:
            has = "is not there any more" if each.item not in fields else "has changed"
            has = "is there already" if each.action is Action.ADD else has
            raise DeepmarkError(
                f"{where}: {each.item} {has} since {each.by or 'somebody'} corrected it ({each.action}, {each.at}, "
                f"{each.source}). Decide about it again (`deepmark label export`), or take the row out of the "
                "corrections (`deepmark label drop`)."
            )
        if each.action is Action.REMOVE:
            del made[each.item]
        else:
            made[each.item] = json.loads(each.after)
    return made
