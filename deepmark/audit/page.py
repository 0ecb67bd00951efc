"""The suspects as one page that needs nothing beside it: pictures, reasons, what to do."""

import base64
from collections import Counter
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import simplejpeg

from deepmark.audit.issue_images import Exhibit
from deepmark.audit.label_issue import KINDS, Suspicion, likely_by_kind
from deepmark.draw import Image
from deepmark.files import new_file

HEIGHT = 380
"""Pixels of a picture on the page: landmarks can be told apart, and sixty entries are a few megabytes."""

_QUALITY = 85


def as_data(image: Image) -> str:
    """The picture as an address that holds it, at most `HEIGHT` high."""
    ratio = min(1.0, HEIGHT / image.shape[0])
    size = max(1, round(image.shape[1] * ratio)), max(1, round(image.shape[0] * ratio))
    small = cv2.resize(image, size, interpolation=cv2.INTER_AREA)
    jpeg = simplejpeg.encode_jpeg(np.ascontiguousarray(small), _QUALITY, colorspace="RGB", colorsubsampling="444")
    return f"data:image/jpeg;base64,{base64.b64encode(jpeg).decode()}"


def write_page(
    path: Path, suspects: Sequence[Suspicion], exhibits: Sequence[Exhibit], *, looked_at: str, faulty_share: float
) -> None:
    """The page, whole or not at all: counts of all suspects by kind, and the first of them as exhibits."""
    from jinja2 import Environment, PackageLoader, StrictUndefined

    engine = Environment(loader=PackageLoader("deepmark.report"), autoescape=True, undefined=StrictUndefined)
    counts = Counter(each.kind for each in suspects)
    likely = likely_by_kind(suspects)
    text = engine.get_template("audit.html").render(
        entries=[_entry(rank, exhibit) for rank, exhibit in enumerate(exhibits, 1)],
        kinds=[
            {"name": kind, "words": words, "all": counts[kind], "likely": likely.get(kind, 0)}
            for kind, words in KINDS.items()
        ],
        total=len(suspects),
        looked_at=looked_at,
        faulty_share=faulty_share,
    )
    with new_file(path) as draft:
        draft.write_text(text, "utf-8")


def _entry(rank: int, exhibit: Exhibit) -> dict[str, Any]:
    one = exhibit.suspect
    return {
        "rank": rank,
        "kind": one.kind,
        "score": one.score,
        "reason": one.reason[:1].upper() + one.reason[1:] + ".",
        "what": f"{one.item} ({one.category})" if one.item else "",
        "file": exhibit.file,
        "pictures": [{"caption": panel.caption, "data": as_data(panel.image)} for panel in exhibit.panels],
    }
