"""What a network sees in an image without locating it: an embedding, and how sure it is of each garment.

It costs a third of a detection, because of the six heads only that of the centres is computed.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import torch

from deepmark.infer.decode import center_cells
from deepmark.infer.predict import Predictor, PreparedImage
from deepmark.shapes import Float32, Int64


@dataclass(frozen=True, kw_only=True, slots=True)
class Embedded:
    """An image as the network sees it."""

    embedding: Float32[np.ndarray, " c"]
    """The mean of the backbone's features over the canvas."""

    scores: Float32[np.ndarray, " n"]
    """Of the peaks of the heatmaps of centres, best first."""

    categories: Int64[np.ndarray, " n"]


@torch.inference_mode()
def embed(predictor: Predictor, images: Sequence[PreparedImage], *, min_score: float) -> list[Embedded]:
    """Each prepared image, with its peaks of `min_score` or more; all images make one batch."""
    detector = predictor.detector
    canvases = torch.from_numpy(np.stack([image.canvases[0] for image in images])).to(predictor.device)
    *_, features = detector.backbone(detector.normalize(canvases))
    logits = detector.heads.center_heatmap(features).float().contiguous()
    image, cell = center_cells(logits, predictor.params.max_detections)
    scores = logits.flatten(1)[image, cell].sigmoid().cpu().numpy()
    owners, categories = image.cpu().numpy(), (cell // logits[0, 0].numel()).cpu().numpy()
    means = features.float().mean(dim=(2, 3)).cpu().numpy()
    found = []
    for number, mean in enumerate(means):
        rows = (owners == number) & (scores >= min_score)
        found.append(Embedded(embedding=mean, scores=scores[rows], categories=categories[rows]))
    return found
