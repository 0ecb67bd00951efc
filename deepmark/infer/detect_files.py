"""Detection in many images one after the other, with files, drawings and crops as results (`deepmark detect`)."""

import json
import sys
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path
from typing import Any, NamedTuple

from deepmark.data.loader import default_threads, load_batches
from deepmark.draw import draw_detections
from deepmark.errors import DeepmarkError
from deepmark.images import OpenedImage, open_image
from deepmark.infer.detection_files import FileFormat, Write
from deepmark.infer.find_images import STANDARD_INPUT, Source
from deepmark.infer.image_files import save_crops, save_jpeg, stem_of
from deepmark.progress import progress
from deepmark.runtime.image_detector import ImageDetector
from deepmark.types import Detections


@dataclass(frozen=True, kw_only=True, slots=True)
class Results:
    """What is made of the detections, beside lines on standard output."""

    file: Path | None = None
    format: FileFormat | None = None
    """Of the file."""

    drawings: Path | None = None
    """A folder for the images with their detections drawn."""

    crops: Path | None = None
    """A folder for an image of each garment."""

    stems: Mapping[Source, str]
    """The name of each image in these folders."""

    as_json: bool = False
    """Whether detections are printed as JSON."""


@dataclass(slots=True)
class Summary:
    """What was done."""

    images: int = 0
    garments: int = 0
    failed: int = 0
    """Images that could not be read."""

    seconds: float = 0.0
    interrupted: bool = False


class _Read(NamedTuple):
    source: Source
    opened: OpenedImage | DeepmarkError
    """The image, or why it cannot be read."""

    prepared: Any

    def image(self) -> OpenedImage:
        if isinstance(self.opened, DeepmarkError):
            raise self.opened
        return self.opened


def detect_files(
    sources: Sequence[Source],
    detector: ImageDetector,
    results: Results,
    *,
    batch: int = 1,
    keep: Callable[[Detections], Detections] = lambda detections: detections,
) -> Summary:
    """Detect in images, read ahead by threads and seen by the network `batch` at a time; `keep` chooses garments.

    Detections are printed, as JSON or as lines. Files are replaced without a question. An image that cannot be read is
    named on standard error, and the others go on; where none can be read, no file is written. Ctrl-C ends it: drawings
    and crops stay, and the lines of JSON lines.
    """
    summary, started = Summary(), time.monotonic()
    printed: dict[str, list[dict[str, Any]]] = {}
    lines: list[str] = []
    try:
        with ExitStack() as stack:
            write: Write | None = None
            advance = stack.enter_context(progress("detect", len(sources)))
            for read, found in _detected(sources, detector, batch):
                advance(1)
                try:
                    image = read.image()
                    assert found is not None  # for it could be read
                    detections = keep(found)
                    _save_images(read.source, image, detections, results)
                except DeepmarkError as error:
                    _tell(str(error))
                    summary.failed += 1
                    continue
                name = name_of(read.source)
                if image.note:
                    _tell(f"{name}: {image.note}.")
                if results.as_json:
                    printed[name] = detections.as_dicts()
                else:
                    lines.append(f"{name}: {_in_words(detections)}")
                if results.file and results.format:
                    write = write or stack.enter_context(results.format.open(results.file))
                    write(name, image, detections)
                summary.images += 1
                summary.garments += len(detections)
    except KeyboardInterrupt:
        summary.interrupted = True
    summary.seconds = time.monotonic() - started
    for line in [json.dumps(printed, indent=2)] if results.as_json else lines:
        print(line)
    return summary


def _detected(
    sources: Sequence[Source], detector: ImageDetector, batch: int
) -> Iterator[tuple[_Read, Detections | None]]:
    """Every image with its detections, or with the reason why it could not be read."""

    def read(position: int) -> _Read:
        source = sources[position]
        try:
            image = open_source(source)
            return _Read(source, image, detector.prepare(image))
        except DeepmarkError as error:
            return _Read(source, error, None)

    batches = [range(start, min(start + batch, len(sources))) for start in range(0, len(sources), batch)]
    for several in load_batches(batches, read, threads=default_threads() if len(sources) > 1 else 0):
        readable = [one for one in several if isinstance(one.opened, OpenedImage)]
        found = iter(detector.detect([one.prepared for one in readable]))
        for one in several:
            yield one, next(found) if isinstance(one.opened, OpenedImage) else None


def open_source(source: Source) -> OpenedImage:
    """The image that a source names; raises DeepmarkError where it is none, or cannot be read."""
    if source != STANDARD_INPUT:
        return open_image(source)
    if sys.stdin.isatty():
        raise DeepmarkError("-: standard input is a terminal. Pipe an image: `deepmark detect - < photo.jpg`.")
    return open_image(sys.stdin.buffer, name=name_of(source))


def name_of(source: Source) -> str:
    """What people read of a source."""
    return "standard input" if source == STANDARD_INPUT else str(source)


def _in_words(detections: Detections) -> str:
    garments = zip(detections.each_category, detections.scores.tolist(), strict=True)
    return ", ".join(f"{category.name} {score:.2f}" for category, score in garments) or "nothing found"


def _save_images(source: Source, image: OpenedImage, detections: Detections, results: Results) -> None:
    if not (results.drawings or results.crops):
        return
    pixels, stem = image.pixels(), results.stems[source]
    if results.drawings:
        drawing = results.drawings / f"{stem}.jpg"
        save_jpeg(draw_detections(pixels, detections, min_score=0, legend=True), drawing)
        if stem != stem_of(source):
            _tell(f"{source}: drawn as {drawing.name}, because another has the name {stem_of(source)}.jpg.")
    if results.crops:
        save_crops(pixels, detections, results.crops, stem)


def _tell(text: str) -> None:
    print(f"deepmark detect: {text}", file=sys.stderr)
