"""A detector for Python: images of any kind in, `Detections` out, whatever runs the network."""

import warnings
from abc import ABC, abstractmethod
from collections.abc import Sequence
from dataclasses import replace
from itertools import starmap
from pathlib import Path
from typing import Any, overload

from deepmark.errors import DeepmarkError
from deepmark.images import BinaryFile, ImageSource, OpenedImage, open_image
from deepmark.schema import SHOWN_SCORE, STRATEGIES
from deepmark.types import Detections
from deepmark.vocabulary import Vocabulary


class ImageDetector(ABC):
    """A trained network that finds garments and their landmarks; `load_detector` makes one."""

    same_in_batches: bool
    """Whether an image gives the same digits alone and with others in a batch."""

    def __init__(self, path: Path, *, strategy: str, min_score: float, batch_size: int, vocabulary: Vocabulary) -> None:
        self.path = path
        self.vocabulary = vocabulary
        """Of what it detects: its categories and their landmarks."""

        self.strategy = strategy
        self.min_score = min_score
        """Detections of lower scores are left out."""

        self.batch_size = batch_size
        """How many images of a list the network sees at once."""

    @overload
    def __call__(self, images: ImageSource) -> Detections: ...  # type: ignore[overload-overlap]  # a str is a sequence

    @overload
    def __call__(self, images: Sequence[ImageSource]) -> list[Detections]: ...

    def __call__(self, images: ImageSource | Sequence[ImageSource]) -> Detections | list[Detections]:
        """The detections in an image, best first, in pixels of that image; for a list of images, a list of them.

        An image is a path, an http or https URL, the bytes of an image file, a file open for reading bytes, a PIL
        image, or an array of uint8 (grey, RGB or RGBA; height x width x channels).
        Pixels of a file or a PIL image are counted after it is turned upright by its EXIF data. A large JPEG is decoded
        at a half, a quarter or an eighth where the network sees no more of it; as an array or a PIL image it has all
        its pixels, and scores differ a little. The images of a list go through the network in batches; where
        `same_in_batches` is false, scores may then differ in the last digits from those of one image alone. A warning
        says where only the first frame is used.

        Raises DeepmarkError naming the image that cannot be read.
        """
        if not isinstance(images, list | tuple):
            return self._detect_in([(images, "the image")])[0]  # type: ignore[list-item]  # other sequences are refused
        named = [(image, f"images[{number}]") for number, image in enumerate(images)]
        parts = (named[start : start + self.batch_size] for start in range(0, len(named), self.batch_size))
        return [detections for part in parts for detections in self._detect_in(part)]

    @abstractmethod
    def prepare(self, image: OpenedImage) -> Any:
        """An image as the network sees it, for `detect`; threads may do it ahead.

        Raises DeepmarkError where it is a JPEG that is cut off or damaged.
        """

    @abstractmethod
    def detect(self, images: Sequence[Any]) -> list[Detections]:
        """The detections of each prepared image, best first. All images make one batch, however many there are."""

    @abstractmethod
    def with_options(self, *, strategy: str | None = None, min_score: float | None = None) -> "ImageDetector":
        """The same network with another strategy, another least score, or both.

        Raises DeepmarkError for options that cannot be.
        """

    def _detect_in(self, named: Sequence[tuple[ImageSource, str]]) -> list[Detections]:
        opened = list(starmap(self._open, named))
        found = self.detect([self.prepare(image) for image in opened])
        sources = (
            image if isinstance(given, BinaryFile) else given for (given, _), image in zip(named, opened, strict=True)
        )
        return [replace(one, source=source) for one, source in zip(found, sources, strict=True)]

    def _open(self, image: ImageSource, name: str) -> OpenedImage:
        opened = open_image(image, name=name)
        if opened.note and not isinstance(image, OpenedImage):  # who opened it has seen the note
            warnings.warn(f"{opened.name}: {opened.note}.", stacklevel=4)
        return opened


def check_strategy(strategy: str) -> None:
    """Raise DeepmarkError for what is not one of schema.STRATEGIES."""
    if strategy not in STRATEGIES:
        raise DeepmarkError(f"strategy {strategy!r} is not one of {', '.join(STRATEGIES)}.")


def least_score(given: float | None, of_section: float) -> float:
    """Detections of lower scores are left out: what was `given`, or else `min_score` of the section `predict`, if that
    is above what people are shown."""
    return max(SHOWN_SCORE, of_section) if given is None else given


def check_min_score(min_score: float | None) -> None:
    """Raise DeepmarkError for what is no number from 0 to 1; None stands for the usual one."""
    if min_score is not None and not (isinstance(min_score, float | int) and 0 <= min_score <= 1):
        raise DeepmarkError(f"min_score is {min_score!r}, and must be a number from 0 to 1.")
