"""Files of detections in the formats that people use, written whole or not at all: JSON, lines, CSV, Parquet, COCO.

JSON lines, CSV and Parquet are written as detections come, and hold no more than a part of them in memory.
"""

import csv
import json
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, ExitStack, contextmanager
from importlib.util import find_spec
from pathlib import Path
from typing import Any, NamedTuple

from deepmark.errors import DeepmarkError, install_extra
from deepmark.files import new_file
from deepmark.images import OpenedImage
from deepmark.schema import COCO_START
from deepmark.types import Detections

Write = Callable[[str, OpenedImage, Detections], None]
"""Takes an image's name, the image, and what was found in it."""

_COLUMNS = ("image", "garment", "category", "score", "x0", "y0", "x1", "y1", "landmarks")
_POSE = "pose_score"
"""The last column, where detections have pose scores (predict.rescore)."""

_ROWS = 4096
"""Garments that a part of a Parquet file holds."""


class FileFormat(NamedTuple):
    """A format of detections in a file."""

    ending: str
    content: str
    """For people."""

    open: Callable[[Path], AbstractContextManager[Write]]
    holds: str
    """What a file has to hold that may be replaced."""

    start: bytes
    """A pattern of what every such file begins with."""


@contextmanager
def _json(path: Path) -> Iterator[Write]:
    found: dict[str, Any] = {}
    with new_file(path) as draft:
        yield lambda name, _, detections: found.update({name: detections.as_dicts()})
        draft.write_text(json.dumps(found, indent=2) + "\n", "utf-8")


@contextmanager
def _json_lines(path: Path) -> Iterator[Write]:
    """Ctrl-C keeps the lines that were written: each is whole."""
    interrupted: KeyboardInterrupt | None = None
    with new_file(path) as draft, draft.open("w", encoding="utf-8") as file:

        def write(name: str, image: OpenedImage, detections: Detections) -> None:
            height, width = image.size
            fields = {"image": name, "width": width, "height": height, "garments": detections.as_dicts()}
            file.write(json.dumps(fields) + "\n")

        try:
            yield write
        except KeyboardInterrupt as error:
            interrupted = error
    if interrupted:
        raise interrupted


@contextmanager
def _csv(path: Path) -> Iterator[Write]:
    with new_file(path) as draft, draft.open("w", encoding="utf-8", newline="") as file:
        rows, started = csv.writer(file), False

        def start(extra: list[str]) -> None:
            nonlocal started
            if not started:
                rows.writerow([*_COLUMNS, *extra])
                started = True

        def write(name: str, _: OpenedImage, detections: Detections) -> None:
            start([] if detections.pose_scores is None else [_POSE])
            for number, one in enumerate(detections.as_dicts(), start=1):
                landmarks, pose = json.dumps(one["landmarks"]), [one[_POSE]] if _POSE in one else []
                rows.writerow([name, number, one["category"], one["score"], *one["box"], landmarks, *pose])

        yield write
        start([])


@contextmanager
def _parquet(path: Path) -> Iterator[Write]:
    import pyarrow as pa
    import pyarrow.parquet as pq

    landmark = pa.struct([("name", pa.string()), ("x", pa.float32()), ("y", pa.float32()), ("score", pa.float32())])
    kinds = [pa.string(), pa.int64(), pa.string(), *[pa.float32()] * 5, pa.list_(landmark)]
    plain = pa.schema(list(zip(_COLUMNS, kinds, strict=True)), metadata={"deepmark": "detections"})
    rows: list[dict[str, Any]] = []
    with ExitStack() as stack:
        draft, file = stack.enter_context(new_file(path)), None

        def write(name: str, _: OpenedImage, detections: Detections) -> None:
            start(plain if detections.pose_scores is None else plain.append(pa.field(_POSE, pa.float32())))
            for number, one in enumerate(detections.as_dicts(), start=1):
                points = [{"name": part, "x": x, "y": y, "score": s} for part, (x, y, s) in one["landmarks"].items()]
                box = dict(zip(_COLUMNS[4:8], one["box"], strict=True))
                own = {
                    "image": name,
                    "garment": number,
                    **{key: one[key] for key in ("category", "score", _POSE) if key in one},
                }
                rows.append({**own, **box, "landmarks": points})
            if len(rows) >= _ROWS:
                flush()

        def start(schema: Any) -> Any:
            nonlocal file
            file = file or stack.enter_context(pq.ParquetWriter(draft, schema, compression="zstd"))
            return file

        def flush() -> None:
            writer = start(plain)
            writer.write_table(pa.Table.from_pylist(rows, writer.schema))
            rows.clear()

        yield write
        flush()


@contextmanager
def _coco(path: Path) -> Iterator[Write]:
    """A data set of images, categories and annotations with scores, as annotation tools and pycocotools read it."""
    from deepmark.data.coco.convert import INFO, coco_categories

    images: list[dict[str, Any]] = []
    annotations: list[dict[str, Any]] = []
    categories: list[dict[str, Any]] = []  # of the model that detects: all results have one

    def write(name: str, image: OpenedImage, detections: Detections) -> None:
        height, width = image.size
        categories[:] = categories or coco_categories(detections.vocabulary)
        images.append({"id": len(images) + 1, "file_name": name, "width": width, "height": height})
        for one in detections.to_coco(len(images)):
            area = one["bbox"][2] * one["bbox"][3]
            points = sum(flag > 0 for flag in one["keypoints"][2::3])
            annotations.append({"id": len(annotations) + 1, **one, "area": area, "iscrowd": 0, "num_keypoints": points})

    with new_file(path) as draft:
        yield write
        content = {"info": INFO, "images": images, "categories": categories, "annotations": annotations}
        draft.write_text(json.dumps(content) + "\n", "utf-8")


_NAME = rb'"(?:[^"\\]|\\.)*":\s*'
_GARMENTS = _NAME + rb'\[\s*\{\s*"category":'
_CUT = rb'"(?:[^"\\]|\\.)*\\?(?:"(?::[\s\[{"a-z]*)?)?$'
_DETECTIONS = rb"\s*\{\s*(?:" + _NAME + rb"\[\],?\s*)*(?:\}\s*$|" + _GARMENTS + rb"|" + _CUT + rb"|$)"
"""Images without garments, then one with some, the end of the file, or that of what was read of it."""

FORMATS = (
    FileFormat(".coco.json", "a COCO data set", _coco, "a COCO data set of DeepMark", COCO_START),
    FileFormat(".json", "garments of each image", _json, "detections of `deepmark detect`", _DETECTIONS),
    FileFormat(".jsonl", "a line an image", _json_lines, "lines of `deepmark detect`", rb'\{"image": '),
    FileFormat(".csv", "a row a garment", _csv, "a table of `deepmark detect`", ",".join(_COLUMNS).encode()),
    FileFormat(".parquet", "a row a garment", _parquet, "Parquet", rb"PAR1"),
)
"""By their endings, the longest first."""


def format_of(path: Path) -> FileFormat | None:
    """The format that the ending of a name stands for; None for an ending that is not known."""
    return next((one for one in FORMATS if path.name.lower().endswith(one.ending)), None)


def check_can_be_written(path: Path, option: str) -> FileFormat:
    """The format of a file of detections.

    Raises DeepmarkError for an unknown ending, and for a Parquet file without pyarrow or in the place of another's.
    """
    known = format_of(path)
    if known is None:
        endings = ", ".join(f"{one.ending} ({one.content})" for one in FORMATS)
        raise DeepmarkError(f"{option} {path}: its ending names no format of detections. Choose one of: {endings}.")
    if known.ending == ".parquet":
        if find_spec("pyarrow") is None:
            raise DeepmarkError(
                f"{option} {path}: Parquet needs the extra 'train': {install_extra('train')}. Or choose .jsonl or .csv."
            )
        _check_own_parquet(path, option)
    return known


def _check_own_parquet(path: Path, option: str) -> None:
    import pyarrow as pa
    import pyarrow.parquet as pq

    if not path.exists() or not path.stat().st_size:
        return
    try:
        own = (pq.read_schema(path).metadata or {}).get(b"deepmark") == b"detections"
    except (pa.ArrowException, OSError):
        own = False
    if not own:
        raise DeepmarkError(
            f"{option} {path}: a Parquet file of this name holds something else than detections, and would be "
            "replaced. Name another file."
        )
