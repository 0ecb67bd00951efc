"""The layouts of DeepFashion2's landmarks."""

from deepmark.model.heads import GatheredHeads, HeadMaps, head_channels
from deepmark.model.landmark_channels import LandmarkLayout, landmark_layout
from deepmark.vocabulary import DEEPFASHION2

SEPARATE: LandmarkLayout = landmark_layout(DEEPFASHION2, "separate")
GROUPED: LandmarkLayout = landmark_layout(DEEPFASHION2, "grouped")

LAYOUTS: dict[str, LandmarkLayout] = {"separate": SEPARATE, "grouped": GROUPED}
"""By their names in params.yaml."""

HEAD_CHANNELS: dict[str, int] = head_channels(SEPARATE)


def layout_of(maps: HeadMaps | GatheredHeads) -> LandmarkLayout:
    """The one of these two that maps have, by their number of channels."""
    return {layout.channels: layout for layout in LAYOUTS.values()}[maps.landmark_heatmap.shape[1]]
