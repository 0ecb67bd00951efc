"""What a file of labels is, told by its content, for messages about a file of another kind than the expected one."""

import json
from pathlib import Path
from typing import Any
from xml.etree import ElementTree

from deepmark.errors import DeepmarkError
from deepmark.images.file_kinds import kind_of

JSON_MIN = "a JSON-MIN export of Label Studio, which does not say which landmark belongs to which box"
CVAT_VIDEO = "CVAT for video, tracks over frames instead of images"

_REMEDIES = {
    JSON_MIN: "Export the project as JSON.",
    CVAT_VIDEO: "Export the task as CVAT for images 1.1, which has the labels of every frame.",
    "an empty file": "Was it copied whole? Export it again.",
    "a ZIP archive": "Unpack it, and name the file inside.",
    "a COCO data set": "`deepmark import --from coco` reads it.",
    "a Label Studio export": "`deepmark import --from label-studio` reads it.",
    "CVAT for images": "`deepmark import --from cvat` reads it.",
    "detections as COCO results": "Results are no labels: name the data set.",
    "Pascal VOC": "Export all images as one COCO file.",
    "a LabelMe file": "Export all images as one COCO file.",
}


def format_of(path: Path) -> str:
    """What the file is, with its article: a format of labelling tools where it is one, else the kind of the file."""
    data = path.read_bytes()
    kind = kind_of(data)
    text = data.removeprefix(b"\xef\xbb\xbf").lstrip()
    if text[:1] == b"<":
        return _xml(data) or kind
    if text[:1] in (b"[", b"{"):
        try:
            return _json(json.loads(text)) or "JSON"
        except (ValueError, RecursionError):
            return kind
    return kind


def _json(content: Any) -> str:
    if isinstance(content, dict):
        if "imagePath" in content and "shapes" in content:
            return "a LabelMe file"
        return "a COCO data set" if {"images", "annotations"} <= content.keys() else ""
    first = content[0] if content and isinstance(content[0], dict) else {}
    if "data" in first or "annotations" in first:
        return "a Label Studio export"
    if "annotation_id" in first or "annotator" in first:
        return JSON_MIN
    return "detections as COCO results" if {"image_id", "score"} <= first.keys() else ""


def _xml(data: bytes) -> str:
    try:
        root = ElementTree.fromstring(data) if b"<!ENTITY" not in data else None
    except ElementTree.ParseError:
        root = None
    if root is None:
        return ""
    if root.tag == "annotations":
        return CVAT_VIDEO if root.find("track") is not None and root.find("image") is None else "CVAT for images"
    return "Pascal VOC" if root.tag == "annotation" else ""


def other_format(path: Path, expected: str) -> DeepmarkError | None:
    """The error for a file that is of another known kind than `expected`; None where its kind tells nothing."""
    found = format_of(path)
    if found == expected or found not in _REMEDIES:
        return None
    return DeepmarkError(f"{path}: is {found}, not {expected}. {_REMEDIES[found]}")
