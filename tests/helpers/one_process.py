"""Trainings in the process of the test."""

import hashlib
from collections.abc import Callable
from functools import partial
from typing import Any

import torch

from deepmark.data.shards.reader import ShardReader
from deepmark.model.detector import build_detector
from deepmark.train.best_epoch import measure_ap
from deepmark.train.distributed.process_group import ProcessGroup
from deepmark.train.distributed.stop_signal import StopSignal
from deepmark.train.loop import EpochReport, TrainState, fit
from deepmark.train.optim import build_optimizer
from deepmark.train.run import make_data
from deepmark.train.start_networks import load_teacher
from deepmark.train.step import Stepper, make_stepper
from deepmark.vocabulary import DEEPFASHION2
from deepmark.workspace.layout import Workspace

ALONE = ProcessGroup(rank=0, world_size=1, local_world_size=1, device=torch.device("cpu"))


def new_stepper(workspace: Workspace, **changes: Any) -> Stepper:
    """A stepper by the workspace's params.yaml, with these changes of its section `train`."""
    params = workspace.params.train.model_copy(update=changes)
    detector = build_detector(workspace.params.model, DEEPFASHION2, seed=params.seed)
    teacher = load_teacher(workspace, detector.vocabulary, ALONE)
    return make_stepper(detector, build_optimizer(detector, params), params, ALONE, teacher=teacher)


def train(
    workspace: Workspace,
    stepper: Stepper,
    state: TrainState,
    after_step: Callable[[TrainState], None] = lambda state: None,
    stop: StopSignal | None = None,
) -> list[EpochReport]:
    learnt, measured = (ShardReader(workspace.shards(split)) for split in ("train", "validation"))
    data = make_data(workspace.params, learnt, measured, ALONE)
    measure = partial(measure_ap, reader=measured)
    return list(fit(stepper, data, state, stop=stop or StopSignal(), after_step=after_step, measure=measure))


def fingerprint(stepper: Stepper) -> str:
    """The sha256 of the network, its average and the optimizer's moments; none yet are the same as moments of 0."""
    digest = hashlib.sha256()
    kept = [stepper.detector.state_dict(), stepper.average.state_dict() if stepper.average is not None else {}]
    states = [state for _, state in sorted(stepper.optimizer.state_dict()["state"].items())]
    moments = [{name: value for name, value in state.items() if value.any()} for state in states]
    for state in (*kept, *moments):
        for name in sorted(state):
            digest.update(state[name].numpy().tobytes())
    return digest.hexdigest()
