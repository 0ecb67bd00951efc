"""A training step never waits for its device: it runs on torch's device "meta", which has no values to wait for."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import replace
from importlib import import_module
from typing import Any

import pytest
import torch
from test_loss import make_batch
from torch import Tensor
from torch.overrides import TorchFunctionMode
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils._pytree import tree_leaves

from deepmark.model.detector import build_detector
from deepmark.params import load_params, model_params
from deepmark.train.distributed.process_group import ProcessGroup
from deepmark.train.optim import build_optimizer
from deepmark.train.step import Stepper, make_stepper
from deepmark.vocabulary import DEEPFASHION2
from deepmark.workspace.init import profile_file

META = torch.device("meta")
GROUP = ProcessGroup(rank=0, world_size=1, local_world_size=1, device=META)
ADDED = {"box_giou": 0.5, "box_diou": 0.5, "landmark_vectors_oks": 0.5, "landmark_offset_oks": 0.5, "teacher": 0.5}


class WaitError(Exception):
    """An operation for which a process would wait for its device."""


class Watch(TorchDispatchMode):
    """Refuses what "meta" does not refuse itself: copies between host and device that are waited for, and masks as
    indices, whose number of elements a device would have to be asked for."""

    operations = 0

    def __torch_dispatch__(self, function: Any, types: Any, args: tuple = (), kwargs: dict | None = None) -> Any:
        kwargs = kwargs or {}
        result = function(*args, **kwargs)
        self.operations += 1
        name = function.overloadpacket.__name__
        tensors = [each for each in tree_leaves((args, kwargs, result)) if isinstance(each, Tensor)]
        asynchronous = kwargs.get("non_blocking") or (name == "copy_" and args[2:] == (True,))
        devices = {tensor.device for tensor in tensors}
        if len(devices) > 1 and not asynchronous:
            raise WaitError(f"{name} between host and device")
        if "index" in name and any(
            isinstance(each, Tensor) and each.dtype in (torch.bool, torch.uint8) for each in tree_leaves(args[1:2])
        ):
            raise WaitError(f"{name} by a mask")
        return result


class WatchLists(TorchFunctionMode):
    """Refuses numbers of the host that become a tensor on the device, in a copy that no dispatcher sees."""

    def __torch_function__(self, function: Any, types: Any, args: tuple = (), kwargs: dict | None = None) -> Any:
        result = function(*args, **(kwargs or {}))
        makes = getattr(function, "__name__", "") in ("tensor", "new_tensor", "as_tensor", "asarray")
        if makes and result.device == META and not any(isinstance(each, Tensor) for each in args[-1:]):
            raise WaitError(f"{function.__name__} of numbers of the host")
        return result


@contextmanager
def nothing_waits() -> Iterator[Watch]:
    with Watch() as watch, WatchLists():
        yield watch


def meta_stepper(monkeypatch: pytest.MonkeyPatch, backbone: str, landmark_maps: str, changes: dict) -> Stepper:
    """A stepper whose weights have no values; torch's fused optimisers know their kernels for it, but not its name."""
    monkeypatch.setattr(import_module("torch.optim.adam"), "_device_dtype_check_for_fused", lambda *_, **__: None)
    params = load_params(profile_file("demo")).train
    params = params.model_copy(update={"precision": "fp32", **changes})
    model = model_params(backbone=backbone, input_size=(128, 128), landmark_maps=landmark_maps)
    with META:
        detector = build_detector(model, DEEPFASHION2, seed=None).train()
        teacher = build_detector(model, DEEPFASHION2, seed=None).eval() if params.loss_weights.teacher else None
    return make_stepper(detector, build_optimizer(detector, params), params, GROUP, teacher=teacher)


PLAIN = {"optimizer": "adam", "landmark_channels": "all", "clip_norm": None, "ema": None, "not_finite": "stop"}
EVERYTHING = {
    "optimizer": "muon",
    "landmark_channels": "own",
    "landmark_radius": "sigma",
    "clip_norm": 1.0,
    "ema": 0.9,
    "not_finite": "skip",
}


@pytest.mark.parametrize(
    ("backbone", "landmark_maps", "changes", "scaled"),
    [
        ("mobile", "separate", PLAIN, False),
        ("mobile", "grouped", EVERYTHING, False),
        ("mobile", "grouped", EVERYTHING | {"optimizer": "adamw"}, True),
        pytest.param("dla34", "separate", PLAIN, True, marks=pytest.mark.slow),
        pytest.param("hourglass104", "grouped", EVERYTHING, False, marks=pytest.mark.slow),
    ],
)
def test_no_part_of_a_step_waits(monkeypatch, backbone, landmark_maps, changes, scaled):
    """Targets, forward pass, losses, backward pass, clipping, the choice to leave the step out, optimiser, average and
    loss scale, twice: states are made in the first step."""
    weights = load_params(profile_file("demo")).train.loss_weights
    weights = weights.model_copy(update=ADDED if changes["optimizer"] == "muon" else {})
    stepper = meta_stepper(monkeypatch, backbone, landmark_maps, {**changes, "loss_weights": weights})
    if scaled:
        stepper = replace(stepper, scaler=torch.amp.GradScaler("meta"))
    batch = replace(make_batch(), images=torch.zeros(4, 128, 128, 3, dtype=torch.uint8)).to("meta")

    with nothing_waits() as watch:
        for _ in range(2):
            pending = stepper.begin([batch, batch], 1e-3)
        losses = stepper.measure([batch])

    assert pending.sums.device == losses.device == META
    assert watch.operations > 1000


WAITS: dict[str, Callable[[Tensor], object]] = {
    "item": lambda x: x.sum().item(),
    "tolist": lambda x: x.tolist(),
    "bool": lambda x: bool(x.sum() > 0),
    "float": lambda x: float(x.sum()),
    "cpu": lambda x: x.cpu(),
    "numpy": lambda x: x.numpy(),
    "nonzero": lambda x: (x > 0).nonzero(),
    "unique": lambda x: x.unique(),
    "masked_select": lambda x: x.masked_select(x > 0),
    "mask": lambda x: x[x > 0],
    "values under a mask": lambda x: x.index_put_((x > 0,), torch.ones(3, device="meta")),
    "equal": lambda x: torch.equal(x, x),
    "repeat_interleave": lambda x: torch.repeat_interleave(x.long()),
    "a list that becomes a tensor": lambda x: torch.tensor([1, 2], device=x.device),
    "the same, by a tensor": lambda x: x.new_tensor([1, 2]),
    "a copy that is waited for": lambda x: torch.zeros(3).to(x.device),
    "the same, in place": lambda x: x.copy_(torch.zeros(3)),
}


@pytest.mark.parametrize("wait", WAITS)
def test_everything_that_waits_is_found(wait):
    values = torch.zeros(3, device="meta")

    with pytest.raises((WaitError, RuntimeError, NotImplementedError, TypeError)), nothing_waits():
        WAITS[wait](values)
