"""Detections in the forms of other libraries: PIL, pandas, COCO results, supervision.

`types.Detections` has each as a method.
"""

from typing import TYPE_CHECKING, Any

import numpy as np
import PIL.Image

from deepmark.data.coco.export import coco_results
from deepmark.draw import draw_detections
from deepmark.errors import DeepmarkError
from deepmark.infer.read_image import read_image
from deepmark.schema import CATEGORIES
from deepmark.types import Detections, Prediction

if TYPE_CHECKING:
    import pandas as pd


def draw(detections: Detections, image: Any, *, min_score: float) -> PIL.Image.Image:
    """A drawing of the detections on the image."""
    if image is None:
        raise DeepmarkError("draw: give the image, as a path, bytes, a PIL image or an RGB array.")
    return PIL.Image.fromarray(draw_detections(read_image(image), detections, min_score=min_score))


def to_pandas(detections: Detections, *, landmarks: bool) -> "pd.DataFrame":
    """A row for each garment or, with `landmarks`, for each landmark."""
    import pandas as pd

    names = [CATEGORIES[category].name for category in detections.categories.tolist()]
    if not landmarks:
        corners = dict(zip(("x0", "y0", "x1", "y1"), detections.boxes.T, strict=True))
        return pd.DataFrame({"category": names, "score": detections.scores, **corners})
    counts = [CATEGORIES[category].landmarks for category in detections.categories.tolist()]
    own = np.arange(detections.landmarks.shape[1]) < np.array(counts, np.int64)[:, None]
    return pd.DataFrame(
        {
            "garment": np.repeat(np.arange(len(detections)), counts),
            "category": np.repeat(np.array(names, object), counts),
            "landmark": [part for category in detections.categories.tolist() for part in CATEGORIES[category].parts],
            "x": detections.landmarks[own][:, 0],
            "y": detections.landmarks[own][:, 1],
            "score": detections.landmark_scores[own],
        }
    )


def to_coco(detections: Detections, image_id: int) -> list[dict[str, Any]]:
    """COCO results, as `deepmark convert` writes them."""
    return [
        {
            "image_id": image_id,
            "category_id": result["category_id"],
            "bbox": result["bbox"],
            "score": result["score"],
            "keypoints": np.asarray(result["keypoints"]).tolist(),
        }
        for result in coco_results([Prediction(image_id, "", detections)])
    ]


def to_supervision(detections: Detections) -> Any:
    """A `supervision.Detections`."""
    try:
        import supervision
    except ImportError:
        raise DeepmarkError("to_supervision needs the package supervision: `pip install supervision`.") from None
    names = [CATEGORIES[category].name for category in detections.categories.tolist()]
    return supervision.Detections(
        xyxy=detections.boxes,
        confidence=detections.scores,
        class_id=detections.categories,
        data={
            "class_name": np.array(names, str),
            "landmarks": detections.landmarks,
            "landmark_scores": detections.landmark_scores,
        },
    )
