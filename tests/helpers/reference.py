"""The published decoding, and NMS, written plainly: deepmark.infer must give the same.

Every probability, every distance, one picture at a time. Shared by the tests and by benchmarks/decode.py.
Source: CenterNet (Objects as Points, 2019), multi-person pose; DeepMark, 2019, section 3.
"""

import numpy as np
import torch
from torch import Tensor
from torch.nn import functional as F

from deepmark import geometry
from deepmark.model.heads import STRIDE, HeadMaps
from deepmark.types import Detections
from deepmark.vocabulary import DEEPFASHION2


def _peaks(heatmap: Tensor) -> Tensor:
    """Zero everywhere except at 3 x 3 maxima."""
    return heatmap * (F.max_pool2d(heatmap, 3, stride=1, padding=1) == heatmap)


def _best(values: Tensor, k: int, in_order: bool) -> tuple[Tensor, Tensor]:
    """The k best of the last axis; of equals the first, or any."""
    best = values.sort(dim=-1, descending=True, stable=True) if in_order else values.topk(k)
    return best.values[..., :k], best.indices[..., :k]


def _landmarks(maps: HeadMaps, threshold: float, peaks_a_landmark: int, in_order: bool) -> tuple[Tensor, Tensor]:
    """x, y in cells and probabilities of the best peaks of each of the 294 channels."""
    height, width = maps.size.shape[2:]
    heat = _peaks(maps.landmark_heatmap.sigmoid())[0].flatten(1)
    scores, cells = _best(heat, min(peaks_a_landmark, height * width), in_order)
    y, x = cells // width, cells % width
    points = torch.stack([x, y], dim=2) + maps.landmark_offset[0][:, y, x].movedim(0, 2)
    points[scores <= threshold] = torch.inf
    return points, scores


def decode_plainly(
    maps: HeadMaps,
    *,
    affine: np.ndarray,
    size: tuple[int, int],
    max_detections: int,
    landmark_threshold: float,
    peaks_a_landmark: int = 100,
    in_order: bool = True,
) -> Detections:
    """The garments of the one picture in `maps`; `in_order` settles ties by place, the published topk does not."""
    height, width = maps.size.shape[2:]
    heat = _peaks(maps.center_heatmap.sigmoid())[0].flatten()
    scores, places = _best(heat, min(max_detections, len(heat)), in_order)
    scores, places = scores[scores > 0], places[scores > 0]
    categories, cells = places // (height * width), places % (height * width)
    y, x = cells // width, cells % width
    middle = torch.stack([x, y], dim=1) + maps.center_offset[0][:, y, x].T
    half = maps.size[0][:, y, x].T.clamp(min=0) / 2
    low, high = middle - half, middle + half
    coarse = middle[:, None] + maps.landmark_vectors[0][:, y, x].T.reshape(len(x), -1, 2)
    points, point_scores = _landmarks(maps, landmark_threshold, peaks_a_landmark, in_order)

    apart = points[None] - coarse[:, :, None]
    distances = (apart[..., 0] * apart[..., 0] + apart[..., 1] * apart[..., 1]).sqrt()
    nearest = distances.argmin(dim=2)
    channel = torch.arange(points.shape[0])
    candidates, heights = points[channel, nearest], point_scores[channel, nearest]
    inside = ((candidates >= low[:, None]) & (candidates <= high[:, None])).all(dim=2)
    near = distances.amin(dim=2) <= 0.3 * (high - low).amax(dim=1)[:, None]
    landmarks = torch.where((inside & near)[..., None], candidates, coarse).numpy()
    landmark_scores = torch.where(inside & near, heights, 0.0).numpy()
    return _in_pixels(
        torch.cat([low, high], dim=1).numpy(), scores, categories, landmarks, landmark_scores, affine, size
    )


def _in_pixels(
    boxes: np.ndarray,
    scores: Tensor,
    categories: Tensor,
    landmarks: np.ndarray,
    landmark_scores: np.ndarray,
    affine: np.ndarray,
    size: tuple[int, int],
) -> Detections:
    """Cells to pixels of the original image, and each garment's own landmarks out of the 294."""
    back = geometry.inverse(affine)
    own = np.zeros((len(boxes), DEEPFASHION2.most_landmarks, 2), np.float32)
    own_scores = np.zeros((len(boxes), DEEPFASHION2.most_landmarks), np.float32)
    for i, category in enumerate(DEEPFASHION2.categories[c] for c in categories.tolist()):
        own[i, : category.landmarks] = geometry.apply(back, landmarks[i, category.span].astype(float) * STRIDE)
        own_scores[i, : category.landmarks] = landmark_scores[i, category.span]
    return Detections(
        boxes=geometry.clip_boxes(geometry.apply_to_boxes(back, boxes.astype(float) * STRIDE), size).astype(np.float32),
        scores=scores.numpy(),
        categories=categories.numpy(),
        landmarks=own,
        landmark_scores=own_scores,
    )


def iou_plainly(a: np.ndarray, b: np.ndarray) -> float:
    width = max(0.0, min(a[2], b[2]) - max(a[0], b[0]))
    height = max(0.0, min(a[3], b[3]) - max(a[1], b[1]))
    union = (a[2] - a[0]) * (a[3] - a[1]) + (b[2] - b[0]) * (b[3] - b[1]) - width * height
    return width * height / union if union > 0 else 0.0


def hard_nms_plainly(boxes: np.ndarray, categories: np.ndarray, iou: float) -> list[int]:
    """Rows kept, of boxes given best first."""
    kept: list[int] = []
    for i, box in enumerate(boxes):
        rivals = [j for j in kept if categories[j] == categories[i]]
        if all(iou_plainly(box, boxes[j]) <= iou for j in rivals):
            kept.append(i)
    return kept


def soft_nms_plainly(
    boxes: np.ndarray, scores: np.ndarray, categories: np.ndarray, sigma: float
) -> list[tuple[int, float]]:
    """Every row with its lowered score, best first."""
    left, found = {i: float(score) for i, score in enumerate(scores)}, []
    while left:
        best = max(left, key=lambda i: (left[i], -i))
        found.append((best, left.pop(best)))
        for i in left:
            if categories[i] == categories[best]:
                left[i] *= np.exp(-(iou_plainly(boxes[i], boxes[best]) ** 2) / sigma)
    return found
