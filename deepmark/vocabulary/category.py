"""A category of garments, and the shape that pictures of it have."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from itertools import chain, pairwise

from deepmark.errors import DeepmarkError


@dataclass(frozen=True, kw_only=True, slots=True)
class Shape:
    """A category as a drawing: contours through its landmarks and, where a drawing needs more, through further points.

    Points are named by their index in `points`.
    """

    aspect: float
    """Width / height of the unit square of `points`."""

    points: tuple[tuple[float, float], ...]
    """(x, y) of every landmark in the unit square, x to the right and y down, then of the further points."""

    outline: tuple[int, ...]
    """The closed outer contour, collar included."""

    panels: tuple[tuple[int, ...], ...]
    """Closed contours of the front fabric: one, or two for open outwear."""

    inner_lines: tuple[tuple[int, ...], ...] = ()
    """Open lines drawn on the garment: neckline, waist, opening."""

    straps: tuple[tuple[int, ...], ...] = ()
    """Open lines that are the garment where it has no area: the straps of slings."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Category:
    """A kind of garment. Two are equal where results are comparable: whatever they look like in a drawing."""

    index: int
    """Its place in the vocabulary, from 0."""

    name: str
    """As in the data set's files: "short sleeve top"."""

    landmarks: int
    """Number of its landmarks; 0 for a category of which only boxes are labelled."""

    start: int
    """Where its landmarks begin in the flat list of the vocabulary's."""

    mirror: tuple[int, ...]
    """mirror[i] is the landmark that i becomes in the mirrored image."""

    parts: tuple[str, ...]
    """Name of every landmark, such as "left cuff outer"; the same in all categories for the same part of a garment."""

    sigmas: tuple[float, ...]
    """One OKS sigma per landmark."""

    drawing: Shape | None = field(default=None, compare=False)
    """None where nothing says what it looks like."""

    coco_name: str = field(default="", compare=False)
    """As in the official COCO converter of DeepFashion2: "short_sleeved_shirt"; elsewhere the name."""

    released_items: Mapping[str, int] = field(default_factory=dict, compare=False, hash=False)
    """Number of items in the released set by split, to compare statistics with; empty elsewhere."""

    def __post_init__(self) -> None:
        if not self.coco_name:
            object.__setattr__(self, "coco_name", self.name)

    @property
    def shape(self) -> Shape:
        """Its drawing.

        Raises:
            DeepmarkError: it has none.
        """
        if self.drawing is None:
            raise DeepmarkError(
                f'The category "{self.name}" has no drawing. Give its landmarks a place (`at`) and the category an '
                "`outline` in vocabulary.yaml."
            )
        return self.drawing

    @property
    def strokes(self) -> tuple[tuple[int, int], ...]:
        """The pairs of landmarks that its drawing joins, each once."""
        if self.drawing is None:
            return ()
        closed = (*self.drawing.outline, self.drawing.outline[0])
        lines = (closed, *self.drawing.inner_lines, *self.drawing.straps)
        pairs = dict.fromkeys(chain.from_iterable(map(pairwise, lines)))
        return tuple(pair for pair in pairs if max(pair) < self.landmarks)

    @property
    def span(self) -> slice:
        """Its place in the flat list of the vocabulary's landmarks."""
        return slice(self.start, self.start + self.landmarks)
