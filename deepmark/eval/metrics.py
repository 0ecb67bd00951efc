"""The official DeepFashion2 metric: boxes, visible landmarks, visible and occluded landmarks.

AP over the overlaps .50:.05:.95, AP50 and AP75, mean over categories; the same for each category and each subset.
Source: the DeepFashion2 challenge; pycocotools is the reference and, for now, the engine.
"""

from collections.abc import Callable, Iterable
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
from jaxtyping import Float

from deepmark.errors import DeepmarkError
from deepmark.eval.coco import Matching, coco_results, coco_truth, indexed
from deepmark.eval.subsets import SCOPES, subset_items
from deepmark.schema import CATEGORIES
from deepmark.types import Detections, ImageRecord

if TYPE_CHECKING:
    import pandas as pd

KINDS: dict[str, str] = {"box": "box", "landmark_visible": "landmarks_visible", "landmark": "landmarks"}
"""What is measured, as in metric names and as in metrics/{strategy}.json; "landmark" is visible and occluded."""

THRESHOLDS: dict[str, slice] = {"AP": slice(None), "AP50": slice(0, 1), "AP75": slice(5, 6)}
"""Where the figures lie on the axis of overlaps .50, .55 … .95."""

PASSES: int = len(KINDS) * (1 + len(SCOPES))
"""How often `evaluate` calls `progress(1)`."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Row:
    """One figure."""

    metric: str
    """"box_ap", "box_ap50", "box_ap75", "landmark_visible_ap" …, "landmark_ap" …."""

    scope: str
    """"all", "category:vest", "scale:small", "source:shop"."""

    value: float | None
    """0..1; None where the scope holds nothing to find."""

    higher_is_better: bool = True


@dataclass(frozen=True, kw_only=True, slots=True)
class EvalReport:
    """All figures of one set of predictions, every digit kept."""

    rows: tuple[Row, ...]

    def value(self, metric: str, scope: str = "all") -> float | None:
        """One figure; KeyError where there is no such metric or scope."""
        return {(row.metric, row.scope): row.value for row in self.rows}[metric, scope]

    def headline(self) -> dict[str, dict[str, float | None]]:
        """{"box": {"AP": …, "AP50": …, "AP75": …}, "landmarks_visible": …, "landmarks": …} over everything."""
        return {
            title: {figure: self.value(f"{kind}_{figure.lower()}") for figure in THRESHOLDS}
            for kind, title in KINDS.items()
        }

    def to_frame(self) -> "pd.DataFrame":
        """Columns metric, scope, value (NaN for None), higher_is_better."""
        import pandas as pd

        columns = ("metric", "scope", "value", "higher_is_better")
        frame = pd.DataFrame([[getattr(row, name) for name in columns] for row in self.rows], columns=columns)
        return frame.astype({"value": "float64"})

    def by_category(self) -> "pd.DataFrame":
        """Columns category, box_ap, landmark_ap: what a plot shows."""
        import pandas as pd

        metrics = ("box_ap", "landmark_ap")
        names = [category.name for category in CATEGORIES]
        columns = {metric: [self.value(metric, f"category:{name}") for name in names] for metric in metrics}
        return pd.DataFrame({"category": names, **columns}).astype(dict.fromkeys(metrics, "float64"))


def average_precision(precision: Float[np.ndarray, "t r k"]) -> float | None:
    """The mean over all that can be found; None where nothing can."""
    found = precision[precision > -1]
    return float(found.mean()) if found.size else None


def _rows(kind: str, scope: str, precision: Float[np.ndarray, "10 101 k"]) -> list[Row]:
    return [
        Row(metric=f"{kind}_{figure.lower()}", scope=scope, value=average_precision(precision[overlaps]))
        for figure, overlaps in THRESHOLDS.items()
    ]


def _check_pictures(records: list[ImageRecord], predictions: list[tuple[int, Detections]]) -> None:
    known, predicted = {record.id for record in records}, [image_id for image_id, _ in predictions]
    faults = {
        "without predictions": known - set(predicted),
        "predicted but not in the records": set(predicted) - known,
        "predicted twice": {a for a, b in zip(sorted(predicted), sorted(predicted)[1:], strict=False) if a == b},
    }
    for fault, pictures in faults.items():
        if pictures:
            raise DeepmarkError(
                f"predictions: {len(pictures)} of {len(known)} pictures {fault} (the first is {min(pictures)}). "
                "Predictions and records are of different data: run `deepmark predict` again."
            )


def evaluate(
    records: Iterable[ImageRecord],
    predictions: Iterable[tuple[int, Detections]],
    *,
    by_subset: bool = True,
    progress: Callable[[int], None] = lambda count: None,
) -> EvalReport:
    """The official figures of these predictions, over everything, by category and, if wanted, by subset.

    Every picture has its predictions, none found included; the order of the two does not matter.

    Raises DeepmarkError where records and predictions are not of the same pictures.
    """
    records, predictions = list(records), list(predictions)
    _check_pictures(records, predictions)
    truth = coco_truth(records)
    subsets = subset_items(truth) if by_subset else {}
    everything, visible = indexed(truth), indexed(coco_truth(records, visible_only=True))
    results = indexed({"annotations": coco_results(predictions)})
    rows: list[Row] = []
    for kind in KINDS:
        against = visible if kind == "landmark_visible" else everything
        matching = Matching(against, results, "bbox" if kind == "box" else "keypoints")
        precision = matching.precision()
        rows += _rows(kind, "all", precision)
        for category in CATEGORIES:
            index = category.index
            rows += _rows(kind, f"category:{category.name}", precision[:, :, index : index + 1])
        progress(1)
        for scope, items in subsets.items():
            rows += _rows(kind, scope, matching.precision(items))
            progress(1)
    return EvalReport(rows=tuple(rows))
