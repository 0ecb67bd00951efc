"""Published figures of other methods on DeepFashion2's validation set.

Sources: Match R-CNN, "DeepFashion2: A Versatile Benchmark", 2019, and its repository for the released data;
"DeepMark: One-Shot Clothing Detection", 2019, its tables of strategies and of backbones; "DeepMark++: Real-time
Clothing Detection at the Edge", 2020; the ranking of DeepFashion2's landmark challenge, 2020. None is a figure that was
not published.
"""

from dataclasses import dataclass

from deepmark.eval.metric.names import THRESHOLDS, Metric

Figures = tuple[float | None, float | None, float | None]
"""AP, AP50, AP75."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Published:
    """One row of a published table."""

    method: str
    box: Figures
    landmark_visible: Figures = (None, None, None)
    landmark: Figures
    """Visible and occluded."""

    ms: int | None = None
    """Milliseconds per image on one RTX 2080 Ti."""

    backbone: str | None = None
    strategy: str | None = None
    """Of DeepMark's rows, by their names here."""

    def figure(self, metric: Metric) -> float | None:
        """The published value of a metric."""
        figures: Figures = getattr(self, metric.kind)
        return figures[[*THRESHOLDS].index(metric.threshold)]


PUBLISHED: tuple[Published, ...] = (
    Published(
        method="DeepMark hourglass, none",
        box=(0.707, None, None),
        landmark=(0.511, None, None),
        ms=73,
        backbone="hourglass104",
        strategy="none",
    ),
    Published(
        method="DeepMark hourglass, NMS",
        box=(0.710, 0.821, 0.786),
        landmark_visible=(0.582, 0.784, 0.660),
        landmark=(0.512, 0.774, 0.571),
        ms=76,
        backbone="hourglass104",
        strategy="nms",
    ),
    Published(
        method="DeepMark hourglass, NMS + flip",
        box=(0.723, None, None),
        landmark=(0.529, None, None),
        ms=165,
        backbone="hourglass104",
        strategy="flip",
    ),
    Published(
        method="DeepMark hourglass, NMS + flip + multi-scale",
        box=(0.723, 0.827, 0.795),
        landmark_visible=(0.601, 0.793, 0.683),
        landmark=(0.532, 0.784, 0.599),
        ms=315,
        backbone="hourglass104",
        strategy="multiscale",
    ),
    Published(
        method="DeepMark DLA-34, NMS",
        box=(0.667, 0.788, 0.750),
        landmark_visible=(0.469, 0.730, 0.547),
        landmark=(0.432, 0.716, 0.455),
        ms=35,
        backbone="dla34",
        strategy="nms",
    ),
    Published(
        method="DeepMark DLA-34, NMS + flip + multi-scale",
        box=(0.686, 0.802, 0.767),
        landmark_visible=(0.513, 0.746, 0.563),
        landmark=(0.448, 0.730, 0.473),
        ms=216,
        backbone="dla34",
        strategy="multiscale",
    ),
    Published(
        method="Match R-CNN, released data",
        box=(0.638, 0.789, 0.745),
        landmark_visible=(0.605, 0.790, 0.684),
        landmark=(0.529, 0.775, 0.596),
    ),
    Published(
        method="Match R-CNN, full data",
        box=(0.667, 0.814, 0.773),
        landmark_visible=(0.641, 0.820, 0.728),
        landmark=(0.563, 0.805, 0.641),
    ),
    Published(method="DeepMark++, one stage", box=(0.737, None, None), landmark=(0.591, None, None)),
    Published(
        method="challenge of 2020, winner, two stages (HTC and HRNet-w48)",
        box=(None, None, None),
        landmark=(0.615, None, None),
    ),
)

VALIDATION_IMAGES, VALIDATION_ITEMS = 32_153, 52_490
"""Of the set that these figures are of, as released."""

MATCH_RCNN_BY_SUBSET: dict[str, dict[str, float]] = {
    "box_ap": {
        "scale:small": 0.604,
        "scale:moderate": 0.700,
        "scale:large": 0.660,
        "occlusion:slight": 0.712,
        "occlusion:medium": 0.654,
        "occlusion:heavy": 0.372,
        "zoom_in:none": 0.695,
        "zoom_in:medium": 0.629,
        "zoom_in:large": 0.466,
        "viewpoint:not worn": 0.624,
        "viewpoint:frontal": 0.681,
        "viewpoint:side or back": 0.641,
        "all": 0.667,
    },
    "landmark_visible_ap": {
        "scale:small": 0.587,
        "scale:moderate": 0.687,
        "scale:large": 0.599,
        "occlusion:slight": 0.669,
        "occlusion:medium": 0.631,
        "occlusion:heavy": 0.398,
        "zoom_in:none": 0.688,
        "zoom_in:medium": 0.559,
        "zoom_in:large": 0.375,
        "viewpoint:not worn": 0.527,
        "viewpoint:frontal": 0.677,
        "viewpoint:side or back": 0.536,
        "all": 0.641,
    },
    "landmark_ap": {
        "scale:small": 0.497,
        "scale:moderate": 0.607,
        "scale:large": 0.555,
        "occlusion:slight": 0.643,
        "occlusion:medium": 0.530,
        "occlusion:heavy": 0.248,
        "zoom_in:none": 0.616,
        "zoom_in:medium": 0.489,
        "zoom_in:large": 0.319,
        "viewpoint:not worn": 0.510,
        "viewpoint:frontal": 0.596,
        "viewpoint:side or back": 0.456,
        "all": 0.563,
    },
}
"""Match R-CNN on the full data, by metric and scope as our tables name them."""
