"""The cost of a network: operations and memory, counted without running it, and its measured time."""

import statistics
import time
from typing import Any

import torch
from torch import Tensor, nn
from torch.utils.flop_counter import FlopCounterMode

from deepmark.model.autocast import autocast_dtype
from deepmark.model.detector import Detector, build_detector, count_parameters
from deepmark.model.heads import CellIndex, HeadMaps
from deepmark.params import ModelParams, TrainParams
from deepmark.vocabulary import Vocabulary

_RUNS, _MAX_SECONDS = 5, 10.0
"""Measurements of the time; fewer if they take longer than this, as the hourglass takes seconds on a CPU."""


def count_flop(network: nn.Module, images: Tensor) -> int:
    """Multiplications and additions of a forward pass: two for every product of a convolution or a matrix.

    Bilinear samples of deformable layers are counted. Batch normalisation, ReLU and sums, less than 1%, are not, as is
    usual. On the meta device nothing is computed.
    """
    formulas = {torch.ops.aten.grid_sampler_2d: _sampling_flop}
    with torch.no_grad(), FlopCounterMode(display=False, custom_mapping=formulas) as counter:
        network(images)
    return counter.get_total_flops()


def _sampling_flop(x: torch.Size, grid: torch.Size, *_: object, **__: object) -> int:
    """Four cells around every sample, weighted and added up, in every channel."""
    return 2 * 4 * x[0] * x[1] * grid[1] * grid[2]


class _EveryStack(nn.Module):
    """The forward pass of training: the heads of every stack, here for all cells."""

    def __init__(self, detector: Detector) -> None:
        super().__init__()
        self.detector = detector

    def forward(self, images: Tensor) -> list[HeadMaps]:
        heads = (*self.detector.earlier_heads, self.detector.heads)
        return [one(features) for one, features in zip(heads, self.detector.backbone(images), strict=True)]


def cost(params: ModelParams, vocabulary: Vocabulary) -> dict[str, Any]:
    """The cost of one image of the input size, and the memory of the weights; nothing is computed.

    `gflop` counts the heads of every stack, as in training; `gflop_detecting` those of the last only. They are equal
    where there is one stack. Megabytes are millions of bytes, in float32.
    """
    with torch.device("meta"):
        detector = build_detector(params, vocabulary, seed=None).eval()
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
def measured_time(
    params: ModelParams, vocabulary: Vocabulary, *, precision: str, device: torch.device
) -> dict[str, Any]:
    """The median time of a few passes over one image, from bytes to maps, after one pass that is not counted."""
    detector = build_detector(params, vocabulary, seed=0).eval().to(device)
    image = torch.zeros(1, *params.input_size, 3, dtype=torch.uint8, device=device)
    dtype = autocast_dtype(precision, device)

    def seconds() -> float:
        start = time.perf_counter()
        with torch.autocast(device.type, dtype, enabled=dtype is not None):
            detector(detector.normalize(image))
        if device.type == "cuda":
            torch.cuda.synchronize(device)
        return time.perf_counter() - start

    seconds()
    runs = [seconds()]
    while len(runs) < _RUNS and sum(runs) < _MAX_SECONDS:
        runs.append(seconds())
    name = torch.cuda.get_device_name(device) if device.type == "cuda" else f"CPU, {torch.get_num_threads()} threads"
    return {"milliseconds_a_picture": 1e3 * statistics.median(runs), "precision": precision, "device": name}


SUSTAINED = 100e12
"""Operations a second that a GPU is taken to keep up: a third of what an A100 has in bf16 and fp16, 312e12."""


def training_cost(params: ModelParams, vocabulary: Vocabulary, train: TrainParams, *, images: int) -> dict[str, float]:
    """What a training on so many images takes on one GPU: computed, not measured.

    `exaflop` is three forward passes an image, because the backward pass computes two products for each one (Scaling
    Laws for Neural Language Models, 2020, section 2.1), and `gpu_hours` that at `SUSTAINED`. `gigabytes` is what must
    fit at once, in float32: weights, gradient, Adam's two moments and, where there is one, the average; and what is
    kept of every image of a device's batch for the backward pass. Half precision keeps less; buffers of convolutions,
    and what the allocator cannot use, are not in it.
    """
    known, copies = cost(params, vocabulary), 4 + (train.ema is not None)
    batch = min(train.device_batch or train.batch_size, train.batch_size)
    exaflop = 3 * known["gflop"] * 1e-9 * images * train.epochs
    memory = 1e6 * copies * known["weights_megabytes"] + batch * kept_for_backward(params, vocabulary)
    return {"exaflop": exaflop, "gpu_hours": 1e18 * exaflop / SUSTAINED / 3600, "gigabytes": memory / 1e9}


def kept_for_backward(params: ModelParams, vocabulary: Vocabulary) -> int:
    """Bytes that autograd keeps of one image with eight garments and landmarks, each piece of memory once, in float32.

    The weights are not in it. On the meta device, where nothing is computed.
    """
    with torch.device("meta"):
        detector = build_detector(params, vocabulary, seed=None).train()
        images, zeros = torch.empty(1, 3, *params.input_size), torch.zeros(8, dtype=torch.int64)
    cells = CellIndex(image=zeros, x=zeros, y=zeros)
    weights = {weight.untyped_storage()._cdata for weight in detector.parameters()}
    kept: dict[int, torch.UntypedStorage] = {}

    def keep(tensor: Tensor) -> Tensor:
        storage = tensor.untyped_storage()
        if storage._cdata not in weights:
            kept[storage._cdata] = storage
        return tensor

    with torch.autograd.graph.saved_tensors_hooks(keep, lambda tensor: tensor):
        maps = detector(images, gather_at=(cells, cells))
    del maps
    return sum(storage.nbytes() for storage in kept.values())
