"""What a network costs: counted without computing it, and its time measured."""

import statistics
import time
from typing import Any

import torch
from torch import Tensor, nn
from torch.utils.flop_counter import FlopCounterMode

from deepmark.model.autocast import autocast_dtype
from deepmark.model.detector import Detector, build_detector, count_parameters
from deepmark.model.heads import HeadMaps
from deepmark.params import ModelParams

_RUNS, _MOST_SECONDS = 5, 10.0
"""The time is measured so often, or so long: the hourglass takes seconds on a CPU."""


def count_flop(network: nn.Module, images: Tensor) -> int:
    """Multiplications and additions of a pass forward: two for every product of a convolution or a matrix.

    Bilinear samples of deformable layers are counted; batch normalisation, ReLU and sums, less than one in a hundred,
    are not, as is the custom. On the meta device nothing is computed.
    """
    formulas = {torch.ops.aten.grid_sampler_2d: _sampling_flop}
    with torch.no_grad(), FlopCounterMode(display=False, custom_mapping=formulas) as counter:
        network(images)
    return counter.get_total_flops()


def _sampling_flop(x: torch.Size, grid: torch.Size, *_: object, **__: object) -> int:
    """Four cells around every sample, weighed and added up, in every channel."""
    return 2 * 4 * x[0] * x[1] * grid[1] * grid[2]


class _EveryStack(nn.Module):
    """All that a training computes: the heads of every stack, here on all cells."""

    def __init__(self, detector: Detector) -> None:
        super().__init__()
        self.detector = detector

    def forward(self, images: Tensor) -> list[HeadMaps]:
        heads = (*self.detector.earlier_heads, self.detector.heads)
        return [one(features) for one, features in zip(heads, self.detector.backbone(images), strict=True)]


def cost(params: ModelParams) -> dict[str, Any]:
    """What one picture of the input size costs, and what the weights take; nothing is computed.

    `gflop` is for the heads of every stack, as in training; `gflop_detecting` for those of the last, which is the same
    where there is one. Megabytes are millions of bytes, in float32.
    """
    with torch.device("meta"):
        detector = build_detector(params, seed=None).eval()
        images = torch.empty(1, 3, *params.input_size)
        with torch.no_grad():
            maps = detector(images)
    values = sum(getattr(maps, name).numel() for name in maps.__dataclass_fields__)
    return {
        "backbone": params.backbone,
        "input_size": " x ".join(map(str, params.input_size)),
        "parameters": count_parameters(detector),
        "gflop": count_flop(_EveryStack(detector), images) / 1e9,
        "gflop_detecting": count_flop(detector, images) / 1e9,
        "output_megabytes": 4 * values / 1e6,
        "weights_megabytes": sum(value.nbytes for value in detector.state_dict().values()) / 1e6,
    }


@torch.inference_mode()
def measured_time(params: ModelParams, *, precision: str, device: torch.device) -> dict[str, Any]:
    """The median of a few passes over one picture, from bytes to maps, after one that does not count."""
    detector = build_detector(params, seed=0).eval().to(device)
    picture = torch.zeros(1, *params.input_size, 3, dtype=torch.uint8, device=device)
    dtype = autocast_dtype(precision, device)

    def seconds() -> float:
        start = time.perf_counter()
        with torch.autocast(device.type, dtype, enabled=dtype is not None):
            detector(detector.normalize(picture))
        if device.type == "cuda":
            torch.cuda.synchronize(device)
        return time.perf_counter() - start

    seconds()
    runs = [seconds()]
    while len(runs) < _RUNS and sum(runs) < _MOST_SECONDS:
        runs.append(seconds())
    name = torch.cuda.get_device_name(device) if device.type == "cuda" else f"CPU, {torch.get_num_threads()} threads"
    return {"milliseconds_a_picture": 1e3 * statistics.median(runs), "precision": precision, "device": name}
