"""The detections in an image, and their conversion to tables, COCO results and other libraries."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np

from deepmark.errors import DeepmarkError, extras_named
from deepmark.schema import CATEGORIES, LANDMARKS, MOST_LANDMARKS, Kind
from deepmark.shapes import Bool, Float32, Int64

if TYPE_CHECKING:
    import pandas as pd
    import PIL.Image

OWN_LANDMARKS = np.array([np.arange(MOST_LANDMARKS) < category.landmarks for category in CATEGORIES])
"""Row c: which of 39 landmarks the category c has."""


@dataclass(frozen=True, kw_only=True, slots=True, eq=False)
class Detections:
    """The garments detected in one image, best first."""

    boxes: Float32[np.ndarray, "n 4"]
    """x0 y0 x1 y1, pixels of the original image."""

    scores: Float32[np.ndarray, " n"]
    """0..1, never increasing."""

    categories: Int64[np.ndarray, " n"]
    """0..12, the index in schema.CATEGORIES."""

    landmarks: Float32[np.ndarray, "n 39 2"]
    """Pixels of the original image; rows past the category's own landmarks are 0."""

    landmark_scores: Float32[np.ndarray, "n 39"]
    """Height of the heatmap peak that placed the landmark; 0 where no peak did and the coarse position stands."""

    pose_scores: Float32[np.ndarray, " n"] | None = None
    """The score of each garment's landmarks as one result, 0..1, which the landmark metric ranks by; None: `scores`.

    `predict.rescore` gives them; see `runtime.pose_scores`.
    """

    source: Any = None
    """What the image was read from, if it was given to a detector of `load_detector`; `draw` reads it again."""

    def __post_init__(self) -> None:
        """Raises DeepmarkError where an array has another shape or type of numbers; values are not looked at."""
        count = len(self.scores) if np.ndim(self.scores) == 1 else 0
        for name, (shape, dtype) in _ARRAYS.items():
            value, wanted = getattr(self, name), (count, *shape)
            if value is None and name == "pose_scores":
                continue
            if not isinstance(value, np.ndarray) or value.shape != wanted or value.dtype != dtype:
                found = f"{value.dtype} {value.shape}" if isinstance(value, np.ndarray) else type(value).__name__
                raise DeepmarkError(
                    f"Detections: {name} is {found}, and must be a NumPy array of {dtype} {wanted} for {count} scores."
                )

    def __len__(self) -> int:
        return len(self.scores)

    def __getitem__(
        self, rows: int | slice | Sequence[int] | Int64[np.ndarray, " k"] | Bool[np.ndarray, " n"]
    ) -> "Detections":
        """The detections of these rows, by index, list, mask or slice, where scores must still never increase.

        One number gives one detection, so that a loop goes through them one by one.
        """
        if not isinstance(rows, slice):
            rows = np.atleast_1d(np.asarray(rows))
            rows = rows if rows.size else rows.astype(np.int64)
        pose_scores = None if self.pose_scores is None else self.pose_scores[rows]
        chosen = {name: getattr(self, name)[rows] for name in COLUMNS}
        return Detections(**chosen, pose_scores=pose_scores, source=self.source)

    def scores_of(self, kind: Kind) -> Float32[np.ndarray, " n"]:
        """The score of each garment as a result of this kind: of its box, or of its landmarks."""
        return self.scores if kind is Kind.BBOX or self.pose_scores is None else self.pose_scores

    @classmethod
    def concatenate(cls, parts: Sequence["Detections"]) -> "Detections":
        """The detections of several results of one image, best first; of equal scores, the earlier result's first.

        They have no pose scores, which are given after NMS.
        """
        together = cls(**{name: np.concatenate([getattr(part, name) for part in parts]) for name in COLUMNS})
        return together[np.argsort(-together.scores, kind="stable")]

    def __repr__(self) -> str:
        """A table of the best ten: category, score, box, and the number of landmarks."""
        lines = [f"Detections of {len(self)} garment{'s' * (len(self) != 1)}" + ":" * (len(self) > 0)]
        if len(self):
            lines.append(f"{'category':22}score {'x0':>7} {'y0':>7} {'x1':>7} {'y1':>7}  landmarks")
        for category, score, box in zip(self.categories[:10].tolist(), self.scores, self.boxes, strict=False):
            name, count = CATEGORIES[category].name, CATEGORIES[category].landmarks
            lines.append(f"{name:22}{score:5.2f} {' '.join(f'{corner:7.1f}' for corner in box)}  {count:9}")
        if len(self) > 10:
            lines.append(f"and {len(self) - 10} more of lower scores")
        return "\n".join(lines)

    def as_dicts(self) -> list[dict[str, Any]]:
        """The same in plain names and numbers for JSON: one dictionary for each garment, best first.

        A landmark is x, y and its score, by its name, in the order of the category's own landmarks. `pose_score` is
        there where the detections have pose scores.
        """
        return [
            {
                "category": CATEGORIES[category].name,
                "score": float(score),
                **({} if self.pose_scores is None else {"pose_score": float(self.pose_scores[row])}),
                "box": box.tolist(),
                "landmarks": dict(
                    # without strict: rows past the category's own landmarks have no names
                    zip(CATEGORIES[category].parts, np.column_stack([points, scores]).tolist(), strict=False)
                ),
            }
            for row, (category, score, box, points, scores) in enumerate(
                zip(
                    self.categories.tolist(), self.scores, self.boxes, self.landmarks, self.landmark_scores, strict=True
                )
            )
        ]

    def draw(self, image: Any = None, *, min_score: float = 0.0, legend: bool = False) -> "PIL.Image.Image":
        """The image with every detection of at least `min_score` drawn on it; small images come back enlarged.

        With `legend`, rows below the image say what its colours and dots mean. `image` is whatever `load_detector`'s
        detectors take; without it, the one that the detector got.
        """
        import PIL.Image

        from deepmark.draw import draw_detections
        from deepmark.images import read_image

        source = self.source if image is None else image
        if source is None:
            raise DeepmarkError("draw: give the image, as a path, bytes, a PIL image or an RGB array.")
        return PIL.Image.fromarray(draw_detections(read_image(source), self, min_score=min_score, legend=legend))

    def to_pandas(self, *, landmarks: bool = False) -> "pd.DataFrame":
        """A row for each garment: category, score, x0, y0, x1, y1; pixels.

        With `landmarks`, a row for each landmark: garment (the number of its row, from 0), category, landmark (its
        name), x, y, score.
        """
        with extras_named():
            import pandas as pd

        names = [CATEGORIES[category].name for category in self.categories.tolist()]
        if not landmarks:
            corners = dict(zip(("x0", "y0", "x1", "y1"), self.boxes.T, strict=True))
            return pd.DataFrame({"category": names, "score": self.scores, **corners})
        counts = [CATEGORIES[category].landmarks for category in self.categories.tolist()]
        own = np.arange(self.landmarks.shape[1]) < np.array(counts, np.int64)[:, None]
        return pd.DataFrame(
            {
                "garment": np.repeat(np.arange(len(self)), counts),
                "category": np.repeat(np.array(names, object), counts),
                "landmark": [part for category in self.categories.tolist() for part in CATEGORIES[category].parts],
                "x": self.landmarks[own][:, 0],
                "y": self.landmarks[own][:, 1],
                "score": self.landmark_scores[own],
            }
        )

    def to_coco(self, image_id: int) -> list[dict[str, Any]]:
        """COCO results: image_id, category_id 1..13, bbox as x, y, width, height, score, 294 x 3 keypoints.

        `pose_score` is there too where the detections have pose scores.
        """
        corners = self.boxes.astype(np.float64)
        boxes = np.concatenate([corners[:, :2], corners[:, 2:] - corners[:, :2]], axis=1)
        keypoints = np.zeros((len(self), LANDMARKS, 3))
        for row, category, points in zip(keypoints, self.categories.tolist(), self.landmarks, strict=True):
            span = CATEGORIES[category].span
            row[span, :2], row[span, 2] = points[: CATEGORIES[category].landmarks], 1
        return [
            {
                "image_id": image_id,
                "category_id": category + 1,
                "bbox": box.tolist(),
                "score": score,
                **({} if self.pose_scores is None else {"pose_score": float(self.pose_scores[row])}),
                "keypoints": points.ravel().tolist(),
            }
            for row, (category, box, score, points) in enumerate(
                zip(self.categories.tolist(), boxes, self.scores.tolist(), keypoints, strict=True)
            )
        ]

    def to_supervision(self) -> Any:
        """A `supervision.Detections`; its `data` holds class_name, landmarks (n, 39, 2) and landmark_scores (n, 39).

        Raises DeepmarkError if the package supervision is not installed.
        """
        try:
            import supervision
        except ImportError:
            raise DeepmarkError("to_supervision needs the package supervision: `pip install supervision`.") from None
        names = [CATEGORIES[category].name for category in self.categories.tolist()]
        return supervision.Detections(
            xyxy=self.boxes,
            confidence=self.scores,
            class_id=self.categories,
            data={
                "class_name": np.array(names, str),
                "landmarks": self.landmarks,
                "landmark_scores": self.landmark_scores,
            },
        )


_ARRAYS = {
    "scores": ((), np.dtype(np.float32)),
    "boxes": ((4,), np.dtype(np.float32)),
    "categories": ((), np.dtype(np.int64)),
    "landmarks": ((MOST_LANDMARKS, 2), np.dtype(np.float32)),
    "landmark_scores": ((MOST_LANDMARKS,), np.dtype(np.float32)),
    "pose_scores": ((), np.dtype(np.float32)),
}
"""The shape of a row, and the type of its numbers."""

COLUMNS = ("boxes", "scores", "categories", "landmarks", "landmark_scores")
"""The fields of Detections that have a row for each garment, whichever there are; pose scores need not be there."""


class Prediction(NamedTuple):
    """The detections in one image of a data set."""

    image_id: int
    file: str
    """As in its ImageRecord."""

    detections: Detections
