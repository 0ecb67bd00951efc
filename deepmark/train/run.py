"""One training from where it stands to its end: checkpoints, MLflow and progress around the loop."""

import sys
import time
import uuid
from collections.abc import Callable, Iterator
from contextlib import contextmanager, nullcontext
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

from deepmark.files import write_text
from deepmark.model.detector import Detector, build_detector
from deepmark.model.init_weights import start_from
from deepmark.progress import progress
from deepmark.tracking.dagster_events import report_epoch
from deepmark.tracking.flatten import flatten
from deepmark.tracking.tracker import Tracker
from deepmark.train.best_epoch import measure_ap
from deepmark.train.checkpoint import newest, only_one, restore, save_checkpoint
from deepmark.train.distributed.process_group import ProcessGroup
from deepmark.train.distributed.stop_signal import StoppedError, StopSignal
from deepmark.train.loop import Data, Position, fit
from deepmark.train.optim import build_optimizer
from deepmark.train.outputs import export
from deepmark.train.run_id import init_file
from deepmark.train.step import Stepper, make_stepper
from deepmark.workspace.inputs import open_shards
from deepmark.workspace.layout import Workspace


def train_rank(workspace: Workspace, folder: Path, group: ProcessGroup, stop: StopSignal) -> None:
    """This process's part of a training; the first process writes checkpoints to `folder`, logs, and writes outputs."""
    params = workspace.params
    train, validation = (open_shards(workspace, split) for split in ("train", "validation"))
    data = Data(train=train, validation=validation, canvas=params.model.input_size, augment=params.augment)
    with only_one(folder) if group.is_first else nullcontext():
        detector = start_detector(workspace, group)
        stepper = make_stepper(detector, build_optimizer(detector, params.train), params.train, group)
        position, facts = _position(folder, stepper)
        watch = _Watch.start(workspace, folder, stepper, position, facts, data) if group.is_first else None
        measure = partial(measure_ap, reader=validation)
        with _closing(watch):
            after_step = watch.after_step if watch is not None else lambda position: None
            try:
                with watch.progress(position) if watch is not None else nullcontext():
                    for _ in fit(stepper, data, position, stop=stop, after_step=after_step, measure=measure):
                        if watch is not None:
                            watch.after_epoch(position)
            except StoppedError:
                if watch is not None:
                    watch.save(position)
                group.from_first(None)  # the others wait until the checkpoint is written
                stop.exit()
            if watch is not None:
                watch.finish(position)


def start_detector(workspace: Workspace, group: ProcessGroup) -> Detector:
    """The network as a run begins with it, on the group's device."""
    params, init = workspace.params, init_file(workspace)
    detector = build_detector(params.model, seed=params.train.seed, channels_last=params.train.channels_last)
    if init is not None:
        taken = start_from(detector, init)
        if group.is_first:
            left = ", ".join(taken["heads_left"]) or "none"
            print(f"starts from {init}: {taken['tensors_taken']} tensors; heads left: {left}", file=sys.stderr)
    return detector.to(group.device)


def _position(folder: Path, stepper: Stepper) -> tuple[Position, dict[str, Any]]:
    """Where the run stands: at the checkpoint that the first process found sound, or at the beginning."""
    group = stepper.group
    found = newest(folder) if group.is_first else None
    name = group.from_first(found.name if found is not None else None)
    return restore(folder / name, stepper) if name else (Position(), {})


@dataclass(kw_only=True, slots=True)
class _Watch:
    """The first process's duties beside training: checkpoints, progress, MLflow, Dagster."""

    workspace: Workspace
    folder: Path
    stepper: Stepper
    tracker: Tracker
    data: Data
    saved_at: float
    unsaved_steps: int = 0
    advance: Callable[[int], None] = lambda count: None

    @classmethod
    def start(
        cls, workspace: Workspace, folder: Path, stepper: Stepper, position: Position, facts: dict, data: Data
    ) -> "_Watch":
        tracker = _start_tracking(workspace, folder, facts, stepper.group)
        watch = cls(
            workspace=workspace,
            folder=folder,
            stepper=stepper,
            tracker=tracker,
            data=data,
            saved_at=time.monotonic(),
        )
        tracker.log_curves(_curves(position))
        return watch

    def save(self, position: Position) -> None:
        facts, kept = {"mlflow_run_id": self.tracker.run_id}, self.stepper.params.checkpoints_kept
        save_checkpoint(self.folder, self.stepper, position, facts=facts, kept=kept)
        self.saved_at, self.unsaved_steps = time.monotonic(), 0

    @contextmanager
    def progress(self, position: Position) -> Iterator[None]:
        """A bar over all steps of the run, those done before included."""
        params = self.stepper.params
        steps = self.data.steps_per_epoch(params)
        with progress("train", steps * params.epochs, done=position.epoch * steps + position.step) as self.advance:
            yield

    def after_step(self, position: Position) -> None:
        """A checkpoint where one is due, and before every validation, which may take long."""
        self.advance(1)
        params = self.stepper.params
        self.unsaved_steps += 1
        late = time.monotonic() - self.saved_at >= 60 * params.checkpoint_minutes
        many = params.checkpoint_steps is not None and self.unsaved_steps >= params.checkpoint_steps
        if late or many or position.step == self.data.steps_per_epoch(params):
            self.save(position)

    def after_epoch(self, position: Position) -> None:
        """The checkpoint is the truth, and MLflow follows it: a kill between the two is made good at the next start."""
        self.save(position)
        self.tracker.log_curves(_curves(position))
        last = position.history[-1]
        values = _curves(position)[last["epoch"] + 1]
        brief = ("train_total", "validation_total", "validation_landmark_ap", "learning_rate", "samples_per_second")
        report_epoch({name: values[name] for name in brief if name in values}, last["epoch"] + 1)
        print(_describe(last, self.stepper.params.epochs), file=sys.stderr, flush=True)

    def finish(self, position: Position) -> None:
        """The outputs of the stage, and the model in MLflow, once."""
        export(self.workspace, self.stepper, position, self.tracker)
        if not self.tracker.is_finished:  # else DVC has only deleted the outputs of a run that is complete
            _, jpeg = self.data.validation[0]
            self.tracker.log_model(self.workspace.model_file, jpeg)
            self.tracker.log_artifact(self.workspace.losses_file, "tables")
            self.tracker.finish()


@contextmanager
def _closing(watch: _Watch | None) -> Iterator[None]:
    try:
        yield
    except BaseException as error:
        if watch is not None:
            watch.tracker.finish("KILLED" if isinstance(error, KeyboardInterrupt | SystemExit) else "FAILED")
        raise


def _start_tracking(workspace: Workspace, folder: Path, facts: dict[str, Any], group: ProcessGroup) -> Tracker:
    if facts:
        return Tracker.resume(workspace.root, facts["mlflow_run_id"])
    identity = folder / "identity"  # known before MLflow's run is made: a kill in between must not make two
    if not identity.is_file():
        write_text(identity, uuid.uuid4().hex)
    params = dict(flatten(workspace.params.model_dump(mode="json")))
    name = f"{workspace.params.model.backbone}, {workspace.params.train.epochs} epochs"
    tags = {"mlflow.runName": name, "processes": str(group.world_size)}
    return Tracker.start(workspace.root, params=params, tags=tags, identity=identity.read_text("utf-8"))


def _curves(position: Position) -> dict[int, dict[str, float]]:
    """What MLflow shows of each finished epoch, from 1."""
    curves = {}
    for epoch in position.history:
        values = {f"train_{name}": value for name, value in epoch["train"].items()}
        values |= {f"validation_{name}": value for name, value in epoch["validation"].items()}
        values |= {f"validation_{name}": value for name, value in epoch["measured"].items() if value is not None}
        values |= {name: epoch[name] for name in ("learning_rate", "samples_per_second", "waiting", "skipped")}
        curves[epoch["epoch"] + 1] = values
    return curves


def _describe(epoch: dict[str, Any], epochs: int) -> str:
    measured = "".join(
        f"{name.replace('_ap', ' AP')} {value:.3f}, " for name, value in epoch["measured"].items() if value is not None
    )
    skipped = f"{epoch['skipped']} steps left out, " if epoch["skipped"] else ""
    return (
        f"epoch {epoch['epoch'] + 1}/{epochs}: loss {epoch['train']['total']:.3f}, "
        f"validation {epoch['validation']['total']:.3f}, {measured}{skipped}"
        f"{epoch['samples_per_second']:.0f} samples/s, waiting for data {epoch['waiting']:.0%}, "
        f"{epoch['seconds']:.0f} s"
    )
