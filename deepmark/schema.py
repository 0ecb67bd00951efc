"""The vocabulary of DeepFashion2: 13 categories, 294 landmarks.

The only place that knows how many landmarks a category has, where they sit in the flat list of 294, which of them are
each other's mirror image, what they are, and how precisely people place them. All other modules ask this one. Category
numbers are 0..12 here; the files' 1..13 appear only where annotation and COCO files are read or written.

Source: DeepFashion2, 2019, section 3 and its public definition files. "Left" and "right" are those of the image.
"""

import json
from dataclasses import dataclass
from enum import StrEnum
from itertools import chain, pairwise
from pathlib import Path


@dataclass(frozen=True, kw_only=True, slots=True)
class Shape:
    """A category as the dataset's landmark figure draws it; landmark numbers are 0-based inside the category."""

    aspect: float
    """Width / height of the landmarks' bounding box."""

    points: tuple[tuple[float, float], ...]
    """(x, y) of every landmark in the unit square, x to the right and y down."""

    outline: tuple[int, ...]
    """The closed outer contour, collar included."""

    panels: tuple[tuple[int, ...], ...]
    """Closed contours of the front fabric: one, or two for open outwear."""

    inner_lines: tuple[tuple[int, ...], ...]
    """Open lines drawn on the garment: neckline, waist, opening."""

    straps: tuple[tuple[int, ...], ...]
    """Open lines that are the garment where it has no area: the straps of slings."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Category:
    """One of the 13 kinds of garment."""

    index: int
    """0..12."""

    name: str
    """As in the dataset's files: "short sleeve top"."""

    coco_name: str
    """As in the official COCO converter: "short_sleeved_shirt"."""

    landmarks: int
    """Number of landmarks, 8..39."""

    start: int
    """Where its landmarks begin in the flat list of 294."""

    mirror: tuple[int, ...]
    """mirror[i] is the landmark that i becomes in the mirrored image."""

    parts: tuple[str, ...]
    """Name of every landmark, such as "left cuff outer"; the same in all categories for the same part of a garment."""

    sigmas: tuple[float, ...]
    """One OKS sigma per landmark."""

    released_items: dict[str, int]
    """Number of items in the released set by split, to compare statistics with."""

    shape: Shape

    @property
    def strokes(self) -> tuple[tuple[int, int], ...]:
        """The pairs of landmarks that its drawing joins, each once."""
        closed = (*self.shape.outline, self.shape.outline[0])
        lines = (closed, *self.shape.inner_lines, *self.shape.straps)
        return tuple(dict.fromkeys(chain.from_iterable(map(pairwise, lines))))

    @property
    def span(self) -> slice:
        """Its place in the flat list of 294."""
        return slice(self.start, self.start + self.landmarks)


def _zero_based(lines: list[list[int]]) -> tuple[tuple[int, ...], ...]:
    return tuple(tuple(number - 1 for number in line) for line in lines)


def _category(entry: dict) -> Category:
    mirror = list(range(entry["landmarks"]))
    for a, b in _zero_based(entry["mirror_pairs"]):
        mirror[a], mirror[b] = b, a
    drawing = entry["drawing"]
    return Category(
        index=entry["id"] - 1,
        name=entry["name"],
        coco_name=entry["official_converter_name"],
        landmarks=entry["landmarks"],
        start=entry["start"],
        mirror=tuple(mirror),
        parts=tuple(entry["parts"]),
        sigmas=tuple(entry["oks_sigmas"]),
        released_items=entry["released_items"],
        shape=Shape(
            aspect=drawing["aspect"],
            points=tuple((x, y) for x, y in drawing["points"]),
            outline=_zero_based([drawing["outline"]])[0],
            panels=_zero_based(drawing["panels"]),
            inner_lines=_zero_based(drawing["inner_lines"]),
            straps=_zero_based(drawing["straps"]),
        ),
    )


_FILE = Path(__file__).with_name("deepfashion2.json")

CATEGORIES: tuple[Category, ...] = tuple(
    _category(entry) for entry in json.loads(_FILE.read_text("utf-8"))["categories"]
)

CATEGORY_BY_NAME: dict[str, Category] = {category.name: category for category in CATEGORIES}

LANDMARKS: int = sum(category.landmarks for category in CATEGORIES)
"""294."""

MOST_LANDMARKS: int = max(category.landmarks for category in CATEGORIES)
"""39: the length of a dense per-garment landmark array."""

MIRROR: tuple[int, ...] = tuple(
    chain.from_iterable((category.start + i for i in category.mirror) for category in CATEGORIES)
)
"""The flat list's mirror permutation; an involution that never leaves a category."""

PARTS: tuple[str, ...] = tuple(chain.from_iterable(category.parts for category in CATEGORIES))
"""The name of each landmark of the flat list; 80 different ones, each at most once per category."""

SIGMAS: tuple[float, ...] = tuple(chain.from_iterable(category.sigmas for category in CATEGORIES))
"""The 294 OKS sigmas of the official metric."""

DRAWN_MARK = "synthetic.json"
"""A file beside train/ and validation/ of a data set that `deepmark synth` drew, with its arguments."""

SUBSETS: dict[str, dict[int, str]] = {
    "scale": {1: "small", 2: "moderate", 3: "large"},
    "occlusion": {1: "slight", 2: "medium", 3: "heavy"},
    "zoom_in": {1: "none", 2: "medium", 3: "large"},
    "viewpoint": {1: "not worn", 2: "frontal", 3: "side or back"},
}
"""The four fields an item carries beside its category, and the words for their values."""

SOURCES: tuple[str, ...] = ("shop", "user")
"""Where an image comes from; the metric is over both."""


class Split(StrEnum):
    """A part of the data set."""

    TRAIN = "train"
    VALIDATION = "validation"


class Strategy(StrEnum):
    """The columns of the paper's table of inference strategies, each including the one before (DeepMark, table 1)."""

    NONE = "none"
    NMS = "nms"
    FLIP = "flip"
    MULTISCALE = "multiscale"


class Backbone(StrEnum):
    """The networks that compute features; the paper's two, and a light one."""

    DLA34 = "dla34"
    HOURGLASS104 = "hourglass104"
    MOBILE = "mobile"


class Kind(StrEnum):
    """What the metric compares, by COCO's names: boxes by their overlap, or landmarks by their similarity (OKS)."""

    BBOX = "bbox"
    KEYPOINTS = "keypoints"


class Frame(StrEnum):
    """What labels refer to where EXIF data turns an image: its pixels as stored, or the image as people see it."""

    STORED = "stored"
    UPRIGHT = "upright"


class Statistics(StrEnum):
    """What drawn images are like: all categories equally frequent, or as DeepFashion2's."""

    EVEN = "even"
    DEEPFASHION2 = "deepfashion2"


SPLITS: tuple[str, ...] = tuple(Split)
STRATEGIES: tuple[str, ...] = tuple(Strategy)

FOUND_SCORE = 0.05
"""Analyses take a detection of a lower score for none: of a hundred in an image, most are guesses of the network."""

SHOWN_SCORE = 0.3
"""Detections of a lower score are not shown to people, unless they ask; as report.min_score in the profiles."""

SAME_GARMENT_IOU = 0.5
"""Two boxes that overlap by this much are taken to be of the same garment; COCO's lowest threshold."""
