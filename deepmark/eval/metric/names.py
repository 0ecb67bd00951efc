"""The figures of the metric: their names in files, their words for people, and which direction is better.

Whatever stores, shows or compares a figure takes its name from here. Light, because the reader of
params.yaml asks too.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Literal

KIND_WORDS: dict[str, str] = {
    "box": "box",
    "landmark_visible": "landmark, visible",
    "landmark": "landmark, visible + occluded",
}
"""What is measured, by its name in files: the parts of metrics/{strategy}.json, the column kind of curves.csv."""

KINDS: tuple[str, ...] = tuple(KIND_WORDS)

_SHORT_WORDS: dict[str, str] = {"box": "box", "landmark_visible": "visible landmark", "landmark": "landmark"}

THRESHOLDS: dict[str, slice] = {"AP": slice(None), "AP50": slice(0, 1), "AP75": slice(5, 6)}
"""The figures of each kind, by their place on the axis of overlaps .50, .55 … .95."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Metric:
    """One figure: AP, AP50 or AP75 of a kind; 0..1, more is better."""

    kind: str
    """One of `KINDS`."""

    threshold: str
    """One of `THRESHOLDS`."""

    @property
    def name(self) -> str:
        """Its name in CSV files, the registry and params.yaml: "landmark_visible_ap50"."""
        return f"{self.kind}_{self.threshold.lower()}"

    @property
    def words(self) -> str:
        """ "landmark AP50, visible"."""
        noun, comma, which = KIND_WORDS[self.kind].partition(",")
        return f"{noun} {self.threshold}{comma}{which}"

    @property
    def short_words(self) -> str:
        """ "visible landmark AP50"; "landmark AP50" is of visible and occluded ones."""
        return f"{_SHORT_WORDS[self.kind]} {self.threshold}"

    def mlflow_name(self, strategy: str | None = None) -> str:
        """Its name in MLflow: "landmark_visible/AP50_flip" of an evaluation, "box/AP" of an epoch of the training."""
        return f"{self.kind}/{self.threshold}" + (f"_{strategy}" if strategy else "")

    def value_in(self, metrics: Mapping[str, Any]) -> float | None:
        """The figure in the content of a metrics/{strategy}.json; None where there is nothing to find."""
        return metrics[self.kind][self.threshold]


_ALL = [Metric(kind=kind, threshold=threshold) for kind in KINDS for threshold in THRESHOLDS]
METRICS: dict[str, Metric] = {metric.name: metric for metric in _ALL}
"""All nine by name."""

HeadlineMetric = Literal["box_ap", "landmark_visible_ap", "landmark_ap"]
HEADLINE: tuple[str, ...] = ("box_ap", "landmark_visible_ap", "landmark_ap")
"""What the registry stores of a version, and promote.primary_metric can name."""

MAIN: tuple[str, ...] = ("box_ap", "landmark_ap")
"""What is measured after an epoch, and plotted by category."""

EpochFigure = Literal["landmark_ap", "box_ap", "loss"]
"""What train.best_by can name."""

HIGHER_IS_BETTER: dict[str, bool] = {**dict.fromkeys(METRICS, True), "loss": False}

STRATEGY_WORDS: dict[str, str] = {
    "none": "none",
    "nms": "NMS",
    "flip": "NMS + flip",
    "multiscale": "NMS + flip + multi-scale",
}
"""The inference strategies in the words of DeepMark's tables."""
