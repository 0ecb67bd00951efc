"""The detections in an image, and their conversion to tables, COCO results and other libraries."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np

from deepmark.errors import DeepmarkError, extras_named
from deepmark.schema import Kind
from deepmark.shapes import Bool, Float32, Int64
from deepmark.vocabulary import DEEPFASHION2, Category, Vocabulary, check_same

if TYPE_CHECKING:
    import pandas as pd
    import PIL.Image


@dataclass(frozen=True, kw_only=True, slots=True, eq=False)
class Detections:
    """The garments detected in one image, best first."""

    boxes: Float32[np.ndarray, "n 4"]
    """x0 y0 x1 y1, pixels of the original image."""

    scores: Float32[np.ndarray, " n"]
    """0..1, never increasing."""

    categories: Int64[np.ndarray, " n"]
    """Each an index in `vocabulary.categories`."""

    landmarks: Float32[np.ndarray, "n k 2"]
    """Pixels of the original image; k is `vocabulary.most_landmarks`, and rows past the category's own are 0."""

    landmark_scores: Float32[np.ndarray, "n k"]
    """Height of the heatmap peak that placed the landmark; 0 where no peak did and the coarse position stands."""

    pose_scores: Float32[np.ndarray, " n"] | None = None
    """The score of each garment's landmarks as one result, 0..1, which the landmark metric ranks by; None: `scores`.

    `predict.rescore` gives them; see `runtime.pose_scores`.
    """

    vocabulary: Vocabulary = DEEPFASHION2
    """Of the detector: its categories and their landmarks."""

    source: Any = None
    """What the image was read from, if it was given to a detector of `load_detector`; `draw` reads it again."""

    def __post_init__(self) -> None:
        """Raises DeepmarkError where an array has another shape or type of numbers; values are not looked at."""
        count = len(self.scores) if np.ndim(self.scores) == 1 else 0
        most = self.vocabulary.most_landmarks
        rows: dict[str, tuple[int, ...]] = {"boxes": (4,), "landmarks": (most, 2), "landmark_scores": (most,)}
        for name, dtype in _TYPES.items():
            value, wanted = getattr(self, name), (count, *rows.get(name, ()))
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
        return Detections(**chosen, pose_scores=pose_scores, vocabulary=self.vocabulary, source=self.source)

    def scores_of(self, kind: Kind) -> Float32[np.ndarray, " n"]:
        """The score of each garment as a result of this kind: of its box, or of its landmarks."""
        return self.scores if kind is Kind.BBOX or self.pose_scores is None else self.pose_scores

    @classmethod
    def concatenate(cls, parts: Sequence["Detections"]) -> "Detections":
        """The detections of several results of one image, best first; of equal scores, the earlier result's first.

        They have no pose scores, which are given after NMS. Raises DeepmarkError where their vocabularies differ.
        """
        for part in parts[1:]:
            check_same(parts[0].vocabulary, "one part", part.vocabulary, "another", "Give results of one model.")
        columns = {name: np.concatenate([getattr(part, name) for part in parts]) for name in COLUMNS}
        together = cls(**columns, vocabulary=parts[0].vocabulary)
        return together[np.argsort(-together.scores, kind="stable")]

    def __repr__(self) -> str:
        """A table of the best ten: category, score, box, and the number of landmarks."""
        lines = [f"Detections of {len(self)} garment{'s' * (len(self) != 1)}" + ":" * (len(self) > 0)]
        if len(self):
            lines.append(f"{'category':22}score {'x0':>7} {'y0':>7} {'x1':>7} {'y1':>7}  landmarks")
        for category, score, box in zip(self.each_category[:10], self.scores, self.boxes, strict=False):
            corners = " ".join(f"{corner:7.1f}" for corner in box)
            lines.append(f"{category.name:22}{score:5.2f} {corners}  {category.landmarks:9}")
        if len(self) > 10:
            lines.append(f"and {len(self) - 10} more of lower scores")
        return "\n".join(lines)

    @property
    def each_category(self) -> list[Category]:
        """The category of each garment."""
        return [self.vocabulary.categories[number] for number in self.categories.tolist()]

    def as_dicts(self) -> list[dict[str, Any]]:
        """The same in plain names and numbers for JSON: one dictionary for each garment, best first.

        A landmark is x, y and its score, by its name, in the order of the category's own landmarks. `pose_score` is
        there where the detections have pose scores.
        """
        return [
            {
                "category": category.name,
                "score": float(score),
                **({} if self.pose_scores is None else {"pose_score": float(self.pose_scores[row])}),
                "box": box.tolist(),
                "landmarks": dict(
                    # without strict: rows past the category's own landmarks have no names
                    zip(category.parts, np.column_stack([points, scores]).tolist(), strict=False)
                ),
            }
            for row, (category, score, box, points, scores) in enumerate(
                zip(self.each_category, self.scores, self.boxes, self.landmarks, self.landmark_scores, strict=True)
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

        names = [category.name for category in self.each_category]
        if not landmarks:
            corners = dict(zip(("x0", "y0", "x1", "y1"), self.boxes.T, strict=True))
            return pd.DataFrame({"category": names, "score": self.scores, **corners})
        counts, own = [one.landmarks for one in self.each_category], self.vocabulary.own_landmarks[self.categories]
        return pd.DataFrame(
            {
                "garment": np.repeat(np.arange(len(self)), counts),
                "category": np.repeat(np.array(names, object), counts),
                "landmark": [part for category in self.each_category for part in category.parts],
                "x": self.landmarks[own][:, 0],
                "y": self.landmarks[own][:, 1],
                "score": self.landmark_scores[own],
            }
        )

    def to_coco(self, image_id: int) -> list[dict[str, Any]]:
        """COCO results: image_id, category_id from 1, bbox as x, y, width, height, score, keypoints of the flat list.

        Keypoints are x, y and 1 for the category's own landmarks, and 0 for all others: 294 x 3 in DeepFashion2.
        `pose_score` is there too where the detections have pose scores.
        """
        corners = self.boxes.astype(np.float64)
        boxes = np.concatenate([corners[:, :2], corners[:, 2:] - corners[:, :2]], axis=1)
        keypoints = np.zeros((len(self), self.vocabulary.landmarks, 3))
        for row, category, points in zip(keypoints, self.each_category, self.landmarks, strict=True):
            row[category.span, :2], row[category.span, 2] = points[: category.landmarks], 1
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
        """A `supervision.Detections`; its `data` holds class_name, landmarks (n, k, 2) and landmark_scores (n, k).

        Raises DeepmarkError if the package supervision is not installed.
        """
        try:
            import supervision
        except ImportError:
            raise DeepmarkError("to_supervision needs the package supervision: `pip install supervision`.") from None
        names = [category.name for category in self.each_category]
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


_TYPES = {
    "scores": np.dtype(np.float32),
    "boxes": np.dtype(np.float32),
    "categories": np.dtype(np.int64),
    "landmarks": np.dtype(np.float32),
    "landmark_scores": np.dtype(np.float32),
    "pose_scores": np.dtype(np.float32),
}
"""The type of the numbers of each array."""

COLUMNS = ("boxes", "scores", "categories", "landmarks", "landmark_scores")
"""The fields of Detections that have a row for each garment, whichever there are; pose scores need not be there."""


class Prediction(NamedTuple):
    """The detections in one image of a data set."""

    image_id: int
    file: str
    """As in its ImageRecord."""

    detections: Detections
