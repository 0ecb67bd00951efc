"""Runs one training from its start or its last checkpoint to its end, with checkpoints, MLflow and progress."""

import logging
import sys
import time
import uuid
from collections.abc import Callable, Iterator
from contextlib import contextmanager, nullcontext
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np

from deepmark.data.sampling import repeat_factors
from deepmark.data.shards.reader import ShardReader
from deepmark.files import write_text
from deepmark.params import Params
from deepmark.progress import progress
from deepmark.shapes import Float64
from deepmark.tracking.dagster_events import report_epoch
from deepmark.tracking.flatten import flatten
from deepmark.tracking.metric_names import epoch_metrics
from deepmark.tracking.tracker import Tracker
from deepmark.train.best_epoch import measure_ap
from deepmark.train.checkpoint import LOCK_SECONDS, newest_checkpoint, restore_checkpoint, run_lock, save_checkpoint
from deepmark.train.distributed.process_group import ProcessGroup
from deepmark.train.distributed.stop_signal import StoppedError, StopSignal
from deepmark.train.learning_check import learning_warnings
from deepmark.train.loop import TrainData, TrainState, fit
from deepmark.train.optim import build_optimizer
from deepmark.train.outputs import write_outputs
from deepmark.train.start_checks import check_processes, check_vocabularies
from deepmark.train.start_networks import load_teacher, start_detector
from deepmark.train.step import Stepper, make_stepper
from deepmark.vocabulary import DEEPFASHION2
from deepmark.workspace.inputs import open_shards
from deepmark.workspace.layout import Workspace

WARNINGS_TAG = "training.warnings"
"""The tag of a run with what `learning_warnings` says of it so far."""

_BRIEF = ("loss/train", "loss/validation", "landmark/AP", "training/learning_rate", "training/samples_per_second")
"""What Dagster's log tells of an epoch."""

_log = logging.getLogger(__name__)


def train_rank(
    workspace: Workspace, folder: Path, group: ProcessGroup, stop: StopSignal, *, lock_seconds: float = LOCK_SECONDS
) -> None:
    """This process's part of a training; the first process writes checkpoints to `folder`, logs, and writes outputs.

    It waits `lock_seconds` for the end of another training of the same run.
    """
    params = workspace.params
    train, validation = (open_shards(workspace, split) for split in ("train", "validation"))
    check_vocabularies(workspace, train, validation)
    data = make_data(params, train, validation, group)
    with run_lock(folder, seconds=lock_seconds) if group.is_first else nullcontext():
        detector = start_detector(workspace, train.vocabulary, group)
        teacher = load_teacher(workspace, train.vocabulary, group)
        stepper = make_stepper(detector, build_optimizer(detector, params.train), params.train, group, teacher=teacher)
        state, facts = _start_state(folder, stepper)
        if facts and state.epoch < params.train.epochs and group.is_first:
            check_processes(folder, facts, processes=group.world_size)
        recorder = _Recorder.start(workspace, folder, stepper, state, facts, data) if group.is_first else None
        measure = partial(measure_ap, reader=validation)
        with _closing(recorder, stop):
            after_step = recorder.after_step if recorder is not None else lambda state: None
            try:
                with recorder.progress() if recorder is not None else nullcontext():
                    for _ in fit(stepper, data, state, stop=stop, after_step=after_step, measure=measure):
                        if recorder is not None:
                            recorder.after_epoch(state)
            except StoppedError:
                if recorder is not None:
                    recorder.save(state)
                group.from_first(None)  # the other processes wait here until the checkpoint is written
                stop.exit()
            group.from_first(None)  # all processes have come to the end, so none can fail after the run is finished
            if recorder is not None:
                recorder.finish(state)


def make_data(params: Params, train: ShardReader, validation: ShardReader, group: ProcessGroup) -> TrainData:
    """The training and validation sets as params.yaml says they are learnt from."""
    return TrainData(
        train=train,
        validation=validation,
        canvas=params.model.input_size,
        augment=params.augment,
        repeat_factors=_read_repeat_factors(train, params.train.repeat_threshold, group),
    )


def _read_repeat_factors(
    train: ShardReader, threshold: float | None, group: ProcessGroup
) -> Float64[np.ndarray, " n"] | None:
    """How often images are seen in relation to others, from their records, which the first process reads for all."""
    if threshold is None:
        return None
    categories: list[set[int]] = []
    if group.is_first:
        with progress("read categories", len(train)) as advance:
            for position in range(len(train)):
                categories.append({garment.category for garment in train.record(position).garments})
                advance(1)
    return group.from_first(repeat_factors(categories, threshold))


def _start_state(folder: Path, stepper: Stepper) -> tuple[TrainState, dict[str, Any]]:
    """The train state and the facts of the newest checkpoint that the first process finds, or of a new run."""
    group = stepper.group
    path = newest_checkpoint(folder) if group.is_first else None
    name = group.from_first(path.name if path is not None else None)
    return restore_checkpoint(folder / name, stepper) if name else (TrainState(), {})


@dataclass(kw_only=True, slots=True)
class _Recorder:
    """What only the first process does: checkpoints, progress, and reports to MLflow and Dagster."""

    workspace: Workspace
    folder: Path
    stepper: Stepper
    tracker: Tracker
    data: TrainData
    saved_at: float
    steps: int
    """Those of the run that are done."""

    unsaved_steps: int = 0
    warnings: str | None = None
    """The value of WARNINGS_TAG, where this process has set it."""

    advance: Callable[[int], None] = lambda count: None

    @classmethod
    def start(
        cls, workspace: Workspace, folder: Path, stepper: Stepper, state: TrainState, facts: dict, data: TrainData
    ) -> "_Recorder":
        tracker = _start_tracking(workspace, folder, facts, stepper)
        if not tracker.is_finished:
            readers = {"train": data.train, "validation": data.validation}
            counts = {split: {"images": len(one), "bytes": one.total_bytes} for split, one in readers.items()}
            tracker.log_datasets(counts)
        recorder = cls(
            workspace=workspace,
            folder=folder,
            stepper=stepper,
            tracker=tracker,
            data=data,
            saved_at=time.monotonic(),
            steps=_steps(state, data, stepper),
        )
        tracker.log_curves(_curves(state))
        return recorder

    def save(self, state: TrainState) -> None:
        facts = {"mlflow_run_id": self.tracker.run_id, "processes": self.stepper.group.world_size}
        kept = self.stepper.params.checkpoints_kept
        save_checkpoint(self.folder, self.stepper, state, facts=facts, kept=kept)
        self.saved_at, self.unsaved_steps = time.monotonic(), 0

    @contextmanager
    def progress(self) -> Iterator[None]:
        """A progress bar over all steps of the run, including those before it was resumed."""
        params = self.stepper.params
        steps = self.data.steps_per_epoch(params)
        with progress("train", steps * params.epochs, done=self.steps) as self.advance:
            yield

    def after_step(self, state: TrainState) -> None:
        """Save a checkpoint where one is due, and before every validation, which may take long."""
        params = self.stepper.params
        new = _steps(state, self.data, self.stepper) - self.steps
        self.advance(new)
        self.steps, self.unsaved_steps = self.steps + new, self.unsaved_steps + new
        late = time.monotonic() - self.saved_at >= 60 * params.checkpoint_minutes
        many = params.checkpoint_steps is not None and self.unsaved_steps >= params.checkpoint_steps
        if late or many or state.step == self.data.steps_per_epoch(params):
            self.save(state)

    def after_epoch(self, state: TrainState) -> None:
        """Save a checkpoint, then update MLflow from it; after a kill in between, the next start updates MLflow."""
        self.save(state)
        self.tracker.log_curves(_curves(state))
        values, epochs = _curves(state)[state.epoch], self.stepper.params.epochs
        report_epoch({name: values[name] for name in _BRIEF if name in values}, state.epoch)
        print(f"epoch {state.epoch}/{epochs}: {_describe(state.history[-1])}", file=sys.stderr, flush=True)
        self._warn(learning_warnings(state.history, epochs=epochs))

    def _warn(self, found: list[str]) -> None:
        """Tell what the history shows, after every epoch for as long as it does."""
        for each in found:
            _log.warning("warning: %s.", each)
        text = "; ".join(found) or "none"
        if text != self.warnings:
            self.tracker.set_tag(WARNINGS_TAG, text)
            self.warnings = text

    def finish(self, state: TrainState) -> None:
        """Write the outputs of the stage, and log the model in MLflow, once."""
        write_outputs(self.workspace, self.stepper, state, self.tracker)
        if not self.tracker.is_finished:  # if finished, DVC has only deleted the outputs of a complete run
            _, jpeg = self.data.validation[0]
            self.tracker.log_model(self.workspace.model_file, jpeg)
            self.tracker.log_artifact(self.workspace.losses_file, "tables")
            self.tracker.finish()


@contextmanager
def _closing(recorder: _Recorder | None, stop: StopSignal) -> Iterator[None]:
    """Close the MLflow run where training fails or is stopped."""
    try:
        yield
    except BaseException as error:
        stop.ignore()  # else the launcher, which signals all when one has failed, would interrupt what follows
        if recorder is not None:
            recorder.tracker.finish("KILLED" if isinstance(error, KeyboardInterrupt | SystemExit) else "FAILED")
        raise


def _start_tracking(workspace: Workspace, folder: Path, facts: dict[str, Any], stepper: Stepper) -> Tracker:
    if facts:
        return Tracker.resume(workspace.root, facts["mlflow_run_id"])
    identity = (
        folder / "identity"
    )  # written before MLflow's run is created, so that a kill in between does not lead to two
    if not identity.is_file():
        write_text(identity, uuid.uuid4().hex)
    params = dict(flatten(workspace.params.model_dump(mode="json")))
    name = f"{workspace.params.model.backbone}, {workspace.params.train.epochs} epochs"
    tags = {"mlflow.runName": name, "processes": str(stepper.group.world_size)}
    if (vocabulary := stepper.detector.vocabulary) != DEEPFASHION2:
        tags["vocabulary"] = vocabulary.name
    return Tracker.start(workspace.root, params=params, tags=tags, identity=identity.read_text("utf-8"))


def _steps(state: TrainState, data: TrainData, stepper: Stepper) -> int:
    """The steps of the run that are done."""
    return state.epoch * data.steps_per_epoch(stepper.params) + state.step


def _curves(state: TrainState) -> dict[int, dict[str, float]]:
    """The figures of each finished epoch for MLflow, by epoch, counted from 1."""
    return {number: epoch_metrics(epoch) for number, epoch in enumerate(state.history, 1)}


def _describe(epoch: dict[str, Any]) -> str:
    measured = "".join(
        f"{name.replace('_ap', ' AP')} {value:.3f}, " for name, value in epoch["measured"].items() if value is not None
    )
    skipped = f"{epoch['skipped']} steps left out, " if epoch["skipped"] else ""
    validation = f"validation {epoch['validation']['total']:.3f}, " if epoch["validation"] else ""
    return (
        f"loss {epoch['train']['total']:.3f}, "
        f"{validation}{measured}{skipped}"
        f"{epoch['samples_per_second']:.0f} samples/s, waiting for data {epoch['waiting']:.0%}, "
        f"{epoch['seconds']:.0f} s"
    )
