"""The page of label issues, one HTML file that holds its images: what was found, why, and what to do."""

import base64
import io
from collections import Counter
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import cv2
import PIL.Image

from deepmark.audit.issue_images import IllustratedIssue, Panel
from deepmark.audit.label_issue import KINDS, LabelIssue, count_likely
from deepmark.draw import Image
from deepmark.files import new_file

HEIGHT = 640
"""Most pixels in height of an image on the page: landmarks can be told apart, and sixty entries are a few megabytes."""

_QUALITY = 70


def data_url(image: Image) -> str:
    """The image as a data: URL of WebP."""
    stream = io.BytesIO()
    PIL.Image.fromarray(image).save(stream, "WEBP", quality=_QUALITY, use_sharp_yuv=True)
    return f"data:image/webp;base64,{base64.b64encode(stream.getvalue()).decode()}"


def write_page(
    path: Path,
    issues: Sequence[LabelIssue],
    illustrated: Sequence[IllustratedIssue],
    *,
    looked_at: str,
    faulty_share: float,
) -> None:
    """Write the page, whole or not at all: the number of issues of each kind, and the `illustrated` ones."""
    from jinja2 import Environment, PackageLoader, StrictUndefined

    engine = Environment(loader=PackageLoader("deepmark.report"), autoescape=True, undefined=StrictUndefined)
    counts = Counter(each.kind for each in issues)
    likely = count_likely(issues)
    text = engine.get_template("audit.html").render(
        entries=[_entry(rank, each) for rank, each in enumerate(illustrated, 1)],
        kinds=[
            {"name": kind, "words": words, "all": counts[kind], "likely": likely.get(kind, 0)}
            for kind, words in KINDS.items()
        ],
        total=len(issues),
        looked_at=looked_at,
        faulty_share=faulty_share,
    )
    with new_file(path) as draft:
        draft.write_text(text, "utf-8")


def _entry(rank: int, illustrated: IllustratedIssue) -> dict[str, Any]:
    issue = illustrated.issue
    return {
        "rank": rank,
        "kind": issue.kind,
        "score": issue.score,
        "reason": issue.reason[:1].upper() + issue.reason[1:] + ".",
        "split": issue.split,
        "image_id": issue.image_id,
        "item": issue.item or "",
        "what": f"{issue.item} ({issue.category})" if issue.item else "",
        "file": illustrated.file,
        "images": [_side(panel) for panel in illustrated.panels],
    }


def _side(panel: Panel) -> dict[str, Any]:
    ratio = min(1.0, HEIGHT / panel.image.shape[0])
    size = max(1, round(panel.image.shape[1] * ratio)), max(1, round(panel.image.shape[0] * ratio))
    small = cv2.resize(panel.image, size, interpolation=cv2.INTER_AREA)
    return {"caption": panel.caption, "width": size[0], "height": size[1], "data": data_url(small)}
