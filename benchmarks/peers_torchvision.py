"""Loads torchvision, also where its compiled operators do not load. Imports nothing of DeepMark.

The torchvision of the package index is built for CUDA: beside a torch without CUDA its operators do not load, and
importing it fails. Then `nms` is the one below, and torchvision takes its own `roi_align` in plain torch.
"""

import importlib.util
import warnings
from pathlib import Path

import torch
from torch import Tensor

_LIBRARY: list[torch.library.Library] = []
"""Operators are defined as long as their library lives."""


def load_operators() -> bool:
    """Make torchvision importable; returns whether its operators are the compiled ones. Call it before any import."""
    if _LIBRARY:
        return False
    found = importlib.util.find_spec("torchvision")
    assert found is not None
    assert found.origin is not None
    try:
        torch.ops.load_library(str(next(Path(found.origin).parent.glob("_C.*"))))
        return True
    except (OSError, StopIteration):
        warnings.warn("torchvision's compiled operators do not load; plain ones are taken", stacklevel=2)
        library = torch.library.Library("torchvision", "DEF")
        library.define("nms(Tensor dets, Tensor scores, float iou_threshold) -> Tensor")
        library.define("qnms(Tensor dets, Tensor scores, float iou_threshold) -> Tensor")  # declared, as importing asks
        library.impl("nms", plain_nms, "CPU")
        _LIBRARY.append(library)
        from torchvision.ops import boxes

        boxes._assert_has_ops = lambda: None  # as of torchvision 0.28; `nms` would refuse otherwise
        return False


def plain_nms(boxes: Tensor, scores: Tensor, iou_threshold: float) -> Tensor:
    """The boxes that stay, the best first, where each removes the weaker ones that overlap it by more."""
    order = scores.argsort(descending=True, stable=True)
    x0, y0, x1, y1 = boxes[order].unbind(1)
    areas = (x1 - x0) * (y1 - y0)
    width = torch.minimum(x1[:, None], x1) - torch.maximum(x0[:, None], x0)
    height = torch.minimum(y1[:, None], y1) - torch.maximum(y0[:, None], y0)
    shared = width.clamp(min=0) * height.clamp(min=0)
    removes = (shared / (areas[:, None] + areas - shared) > iou_threshold).numpy()
    removed = torch.zeros(len(order), dtype=torch.bool).numpy()
    kept = []
    for place in range(len(order)):
        if not removed[place]:
            kept.append(place)
            removed |= removes[place]
    return order[torch.tensor(kept, dtype=torch.int64)]
