"""Batch normalisation adapted to unlabelled images: its statistics are estimated anew, and all weights stay.

Source: Revisiting Batch Normalization For Practical Domain Adaptation (Li et al., 2016), AdaBN; the blend of old and
new statistics is that of Improving Robustness Against Common Corruptions by Covariate Shift Adaptation (Schneider et
al., 2020), section 3.
"""

import math
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, cast

import numpy as np
import torch
from torch import Tensor, nn

from deepmark.data.loader import default_threads, load_batches
from deepmark.errors import DeepmarkError
from deepmark.files import file_sha256
from deepmark.infer.batches import one_thread
from deepmark.infer.detect_files import open_source
from deepmark.infer.find_images import Source
from deepmark.infer.load_detector import checked_device
from deepmark.infer.predict import PROFILE_PREDICT_PARAMS, Predictor, best_device
from deepmark.model.autocast import at_least_float32
from deepmark.model.detector import Detector, load_network, save_detector
from deepmark.params import PredictParams
from deepmark.shapes import Float, UInt8

FEWEST = 32
"""Images. The deepest maps have few cells an image, and cells of one image are alike: of fewer images the statistics
are those of these images, not of where they come from."""

BATCH = 16
"""Images that are normalised together; of more the network would take more memory, of fewer less would be learnt."""

_SEED = 1
"""Of the order of the images, in which neighbours in a folder, often alike, come into different batches."""

_MAPS = (0, 2, 3)
"""The axes that statistics are taken over: images, rows and columns."""


@dataclass(frozen=True, kw_only=True, slots=True)
class StageShift:
    """How far the statistics of one stage of the backbone moved."""

    stage: str
    layers: int
    """Of batch normalisation."""

    mean: float
    """Mean distance of a channel's mean from the old one, in old standard deviations."""

    spread: float
    """The new standard deviation of a channel in old ones, geometric mean; 1 is none."""


class _Statistics:
    """Mean and variance of the maps that a layer gets, over all batches together; float64."""

    def __init__(self) -> None:
        self.count = 0
        self.mean = self.squares = torch.zeros(())
        """`squares` are the sums of squared distances from the mean."""

    def add(self, maps: Float[Tensor, "b c h w"]) -> None:
        """Take in a batch.

        Source: Updating Formulae and a Pairwise Algorithm for Computing Sample Variances (Chan et al., 1979).
        """
        variance, mean = (each.double().cpu() for each in torch.var_mean(at_least_float32(maps), _MAPS, correction=0))
        count = maps.numel() // maps.shape[1]
        total, apart = self.count + count, mean - self.mean
        self.squares = self.squares + count * variance + apart**2 * self.count * count / total
        self.mean = self.mean + apart * count / total
        self.count = total

    @property
    def variance(self) -> Float[Tensor, " c"]:
        """The unbiased one, as torch keeps it for detection."""
        return self.squares / max(1, self.count - 1)


def adapt(detector: Detector, batches: Iterable[UInt8[np.ndarray, "_ _ _ 3"]], *, share: float = 1.0) -> None:
    """Give the backbone's batch normalisation the statistics of canvases, RGB, on the detector's device.

    Each batch is normalised by itself, as in training; the statistics are those of all batches together, every cell
    counting alike, not a moving average. They are blended with the old ones: `share` of the new, 1 - share of the old.

    Raises DeepmarkError where the network has no batch normalisation.
    """
    layers = dict(_layers(detector))
    if not layers:
        raise DeepmarkError("this network has no batch normalisation, so there is nothing to adapt in it.")
    found = {name: _Statistics() for name in layers}
    with torch.inference_mode(), _as_in_training(layers, found):
        for canvases in batches:
            detector.backbone(detector.normalize(torch.from_numpy(canvases).to(detector.mean.device)))
    for name, layer in layers.items():
        if found[name].count:
            for old, new in ((layer.running_mean, found[name].mean), (layer.running_var, found[name].variance)):
                cast(Tensor, old).lerp_(new.to(cast(Tensor, old)), share)


def _layers(detector: Detector) -> Iterator[tuple[str, nn.BatchNorm2d]]:
    """The heads have none."""
    for name, module in detector.backbone.named_modules():
        if isinstance(module, nn.BatchNorm2d) and module.running_mean is not None:
            yield name, module


@contextmanager
def _as_in_training(layers: dict[str, nn.BatchNorm2d], found: dict[str, _Statistics]) -> Iterator[None]:
    """Within it the layers normalise each batch by its own statistics, which `found` collects; they keep their own."""
    before = {name: (layer.momentum, cast(Tensor, layer.num_batches_tracked).clone()) for name, layer in layers.items()}
    hooks = [
        layer.register_forward_pre_hook(lambda _, maps, name=name: found[name].add(maps[0]))
        for name, layer in layers.items()
    ]
    try:
        for layer in layers.values():
            layer.train()
            layer.momentum = 0.0
        yield
    finally:
        for hook in hooks:
            hook.remove()
        for name, layer in layers.items():
            layer.eval()
            layer.momentum, steps = before[name]
            cast(Tensor, layer.num_batches_tracked).copy_(steps)


def shifts(old: Detector, new: Detector) -> list[StageShift]:
    """How far the statistics of each stage lie apart, from the first stage to the last."""
    stages: dict[str, list[tuple[nn.BatchNorm2d, nn.BatchNorm2d]]] = {}
    for (name, a), (_, b) in zip(_layers(old), _layers(new), strict=True):
        stages.setdefault(".".join(name.split(".")[:-1][:2]) or name, []).append((a, b))
    return [_shift(stage, pairs) for stage, pairs in stages.items()]


def _shift(stage: str, pairs: Sequence[tuple[nn.BatchNorm2d, nn.BatchNorm2d]]) -> StageShift:
    distances, spreads = [], []
    for pair in pairs:
        (mean, deviation), (other, wider) = ((_mean(layer), _deviation(layer)) for layer in pair)
        distances.append((other - mean).abs() / deviation)
        spreads.append((wider / deviation).log())
    return StageShift(
        stage=stage,
        layers=len(pairs),
        mean=torch.cat(distances).mean().item(),
        spread=math.exp(torch.cat(spreads).mean().item()),
    )


def _mean(layer: nn.BatchNorm2d) -> Float[Tensor, " c"]:
    return cast(Tensor, layer.running_mean).double().cpu()


def _deviation(layer: nn.BatchNorm2d) -> Float[Tensor, " c"]:
    return (cast(Tensor, layer.running_var).double().cpu() + layer.eps).sqrt()


def adapt_file(
    model: Path,
    sources: Sequence[Source],
    out: Path,
    *,
    share: float = 1.0,
    predict: PredictParams | None = None,
    device: str | None = None,
    unreadable: Callable[[str], None] = lambda reason: None,
    progress: Callable[[int], None] = lambda count: None,
) -> dict[str, Any]:
    """Write a model file that is adapted to images; returns what changed.

    Images are laid on the canvas that detection has. `unreadable` is called with the reason for each that cannot be
    read, and the others count; `progress` with the number of further images. `predict`, that section of a params.yaml,
    goes into the file; without it, the section in `model`. The same files give the same bytes on one machine.

    Raises DeepmarkError where the model is no checkpoint or has no batch normalisation, and for too few images.
    """
    if model.suffix.lower() == ".onnx":
        raise DeepmarkError(
            f"{model}: an exported file, whose statistics are part of its weights. `deepmark adapt` comes before "
            "`deepmark export`: give the checkpoint, such as data/checkpoint/model.safetensors."
        )
    old, network = load_network(model), load_network(model)
    predict = predict or network.predict_params
    _check_enough(len(sources))
    predictor = Predictor(
        network, "none", predict or PROFILE_PREDICT_PARAMS, best_device() if device is None else checked_device(device)
    )
    failed: list[str] = []

    def read(position: int) -> UInt8[np.ndarray, "_ _ 3"] | DeepmarkError:
        try:
            return predictor.prepare_opened(open_source(sources[position])).canvases[0]
        except DeepmarkError as error:
            return error

    def readable() -> Iterator[UInt8[np.ndarray, "_ _ 3"]]:
        order = np.random.default_rng(_SEED).permutation(len(sources)).tolist()
        for position, (canvas,) in zip(
            order, load_batches([[n] for n in order], read, threads=default_threads()), strict=True
        ):
            progress(1)
            if isinstance(canvas, DeepmarkError):
                unreadable(str(canvas))
                failed.append(str(sources[position]))
            else:
                yield canvas

    with one_thread(predictor.device):  # the last digits depend on their number
        adapt(network, _batches(readable()), share=share)
    count = len(sources) - len(failed)
    _check_enough(count, f" of {len(sources)} can be read")
    facts = {"adapted_from": file_sha256(model), "adapted_images": str(count), "adapted_share": f"{share:g}"}
    save_detector(network.cpu(), out, facts={**network.facts, **facts}, predict=predict)
    stages = [asdict(one) for one in shifts(old, network)]
    return {"out": str(out), "share": share, "images": count, "unreadable": sorted(failed), "stages": stages}


def _check_enough(count: int, of_all: str = "") -> None:
    if count < FEWEST:
        raise DeepmarkError(
            f"{count} image{'s' * (count != 1)}{of_all}, and {FEWEST} are needed: of fewer, the statistics "
            "would be those of these images rather than of where they come from. Give more of them."
        )


def _batches(canvases: Iterable[UInt8[np.ndarray, "_ _ 3"]]) -> Iterator[UInt8[np.ndarray, "_ _ _ 3"]]:
    """Batches of `BATCH`, and a last one or two of half as many or more."""
    waiting: list[UInt8[np.ndarray, "_ _ 3"]] = []
    for canvas in canvases:
        waiting.append(canvas)
        if len(waiting) == 2 * BATCH:
            yield np.stack(waiting[:BATCH])
            del waiting[:BATCH]
    while waiting:
        size = len(waiting) // 2 if len(waiting) > BATCH else len(waiting)
        yield np.stack(waiting[:size])
        del waiting[:size]
