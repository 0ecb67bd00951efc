"""One process of a training: join the others, go on where the run stands, and, if first, write and tell.

Started by torchrun through launch.py; below a scheduler that sets RANK, `deepmark train` itself is the process.
"""

import argparse
import csv
import ctypes
import io
import os
import signal
import sys
import time
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, NoReturn

import cv2
import torch
from torch.distributed.elastic.multiprocessing.errors import record

from deepmark.data.stream import ShardReader
from deepmark.errors import DeepmarkError
from deepmark.files import file_sha256, new_folder, write_json, write_text
from deepmark.model.detector import build_detector, count_parameters, save_detector
from deepmark.params import Params
from deepmark.progress import progress
from deepmark.tracking import Tracker, flattened, report_epoch
from deepmark.train.checkpoint import digest, resume, save_checkpoint
from deepmark.train.distributed import Group, joined_group
from deepmark.train.loop import EpochReport, Position, Stepper, fit, make_stepper, steps_in_epoch
from deepmark.train.optim import build_optimizer
from deepmark.train.peers import watched
from deepmark.workspace import Workspace

_PR_SET_PDEATHSIG = 1


def die_with_parent(launcher: int | None) -> None:
    """A rank whose launcher was killed ends too, instead of holding a GPU for ever (Linux).

    `launcher` is the parent's process id, for the case that it is gone already; None where it is not known.
    """
    if sys.platform == "linux":
        ctypes.CDLL(None).prctl(_PR_SET_PDEATHSIG, signal.SIGKILL)
    if launcher is not None and os.getppid() != launcher:
        sys.exit("the launcher is gone")


_NOT_OF_THE_RECIPE = {"checkpoint_minutes", "checkpoint_steps", "checkpoints_kept", "launch", "device_batch", "compile"}
"""What a run may change when it goes on: how it is kept, and on which machines it runs."""


def recipe(params: Params, workspace: Workspace) -> dict[str, Any]:
    """Everything that decides what a training becomes: its sections of params.yaml and the shards' checksums."""
    train = params.train.model_dump(mode="json", exclude=_NOT_OF_THE_RECIPE)
    return {
        "model": params.model.model_dump(mode="json"),
        "augment": params.augment.model_dump(mode="json"),
        "train": train,
        "shards": {split: file_sha256(workspace.shards(split) / "index.json") for split in ("train", "validation")},
    }


def run_folder(workspace: Workspace) -> Path:
    """Where the working checkpoints of this recipe on this data live."""
    return workspace.runs / "train" / digest(recipe(workspace.params, workspace))


@dataclass(kw_only=True, slots=True)
class _Watch:
    """The first process's duties beside training: checkpoints, progress, MLflow, Dagster."""

    folder: Path
    stepper: Stepper
    tracker: Tracker
    steps_per_epoch: int
    every_seconds: float
    saved: float

    def save(self, position: Position) -> None:
        facts = {"mlflow_run_id": self.tracker.run_id}
        save_checkpoint(self.folder, self.stepper, position, steps_per_epoch=self.steps_per_epoch, facts=facts)
        self.saved = time.monotonic()

    def after_step(self, position: Position) -> None:
        if time.monotonic() - self.saved >= self.every_seconds:
            self.save(position)

    def after_epoch(self, report: EpochReport, position: Position) -> None:
        values = {f"train_{name}": value for name, value in report.train.items()}
        values |= {f"validation_{name}": value for name, value in report.validation.items()}
        values |= {
            "learning_rate": report.learning_rate,
            "samples_per_second": report.samples_per_second,
            "waiting": report.waiting,
        }
        self.tracker.log_metrics(values, step=report.epoch + 1)
        self.save(position)
        brief = ("train_total", "validation_total", "learning_rate", "samples_per_second")
        report_epoch({name: values[name] for name in brief}, report.epoch + 1)


def _describe(report: EpochReport, epochs: int) -> str:
    return (
        f"epoch {report.epoch + 1}/{epochs}: loss {report.train['total']:.3f}, "
        f"validation {report.validation['total']:.3f}, {report.samples_per_second:.0f} samples/s, "
        f"waiting for data {report.waiting:.0%}, {report.seconds:.0f} s"
    )


def _losses_csv(history: list[dict]) -> str:
    text = io.StringIO()
    writer = csv.writer(text, lineterminator="\n")
    writer.writerow(["epoch", "train", "validation", "learning_rate"])
    for epoch in history:
        row = [epoch["epoch"] + 1, epoch["train"]["total"], epoch["validation"]["total"], epoch["learning_rate"]]
        writer.writerow(row)
    return text.getvalue()


def export(workspace: Workspace, stepper: Stepper, position: Position, tracker: Tracker) -> None:
    """The finished run as the outputs of the stage: checkpoint, figures, loss curves."""
    last = position.history[-1]
    seconds = sum(epoch["seconds"] for epoch in position.history)
    figures = {
        "epochs": position.epoch,
        "loss": last["train"]["total"],
        "validation_loss": last["validation"]["total"],
        "seconds": seconds,
        "samples_per_second": last["samples_per_second"],
        "waiting": last["waiting"],
        "parameters": count_parameters(stepper.detector),
    }
    with new_folder(workspace.checkpoint) as draft:
        save_detector(stepper.detector, draft / workspace.model_file.name)
        origin = {"mlflow_run_id": tracker.run_id, "mlflow_url": tracker.url}
        write_json(draft / workspace.training_file.name, {**origin, "history": position.history})
    write_json(workspace.train_metrics_file, figures)
    write_text(workspace.losses_file, _losses_csv(position.history))


@contextmanager
def _closing(tracker: Tracker | None) -> Iterator[None]:
    try:
        yield
    except BaseException as error:
        if tracker is not None:
            tracker.finish("KILLED" if isinstance(error, KeyboardInterrupt | SystemExit) else "FAILED")
        raise


def _start_tracking(workspace: Workspace, found: tuple[Position, dict] | None, group: Group) -> Tracker | None:
    if not group.is_first:
        return None
    if found is not None:
        return Tracker.resume(workspace.root, found[1]["mlflow_run_id"])
    params = dict(flattened(workspace.params.model_dump(mode="json")))
    name = f"{workspace.params.model.backbone}, {workspace.params.train.epochs} epochs"
    tags = {"mlflow.runName": name, "processes": str(group.world)}
    return Tracker.start(workspace.root, params=params, tags=tags)


def train_rank(workspace: Workspace, group: Group) -> None:
    """This process's part of the training, from wherever the run stands to its end."""
    params = workspace.params
    train, validation = (ShardReader(workspace.shards(split)) for split in ("train", "validation"))
    detector = build_detector(params.model, seed=params.train.seed).to(group.device)
    stepper = make_stepper(detector, build_optimizer(detector, params.train), params.train, group)
    folder = run_folder(workspace)
    found = resume(folder, stepper)
    position = found[0] if found else Position()
    steps = steps_in_epoch(len(train), params.train.batch_size)
    tracker = _start_tracking(workspace, found, group)
    done = position.epoch * steps + position.step
    with _closing(tracker), progress("train", steps * params.train.epochs, done=done) as advance:
        watch = None
        if tracker is not None:
            watch = _Watch(
                folder=folder,
                stepper=stepper,
                tracker=tracker,
                steps_per_epoch=steps,
                every_seconds=60 * params.train.checkpoint_minutes,
                saved=time.monotonic(),
            )

        def after_step(position: Position) -> None:
            if watch is not None:
                watch.after_step(position)
                advance(1)

        for report in fit(
            stepper,
            train,
            validation,
            canvas=params.model.input_size,
            augment=params.augment,
            position=position,
            after_step=after_step,
        ):
            if watch is not None:
                watch.after_epoch(report, position)
                print(_describe(report, params.train.epochs), file=sys.stderr, flush=True)
        if tracker is not None:
            export(workspace, stepper, position, tracker)
            if not tracker.is_finished:  # else DVC has only deleted the outputs of a run that is complete
                _, jpeg = validation[0]
                tracker.log_model(workspace.model_file, jpeg)
                tracker.log_artifact(workspace.losses_file, "tables")
                tracker.finish()


def _end(number: int, _: object) -> NoReturn:
    """Told to end, as Ctrl-C would: MLflow hears of it."""
    sys.exit(128 + number)


def _train_watched(workspace: Workspace, group: Group) -> None:
    with watched(group.watch):
        train_rank(workspace, group)


def run_rank(workspace: Workspace, launcher: int | None = None) -> None:
    """Be the process of the training that RANK announces, from joining the others to the end.

    Raises what went wrong after it is written down for torchrun: the user's to mend as DeepmarkError.
    """
    die_with_parent(launcher)
    signal.signal(signal.SIGTERM, _end)
    cv2.setNumThreads(0)
    seconds = workspace.params.train.launch.timeout_seconds
    with ExitStack() as stack:
        group = record(stack.enter_context)(joined_group(seconds))
        assert group is not None
        if group.device.type == "cpu" and "OMP_NUM_THREADS" not in os.environ:
            torch.set_num_threads(max(1, (os.cpu_count() or 1) // group.local_world))
        # Inside the group: the reason is on disk before the other ranks notice that one is gone, and fail of that.
        record(_train_watched)(workspace, group)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--workspace", type=Path, required=True)
    parser.add_argument("--launcher", type=int, help="process id of the parent")
    arguments = parser.parse_args()
    run_rank(Workspace(arguments.workspace), arguments.launcher)


def _is_written_down() -> bool:
    """Whether the launcher can read why this process failed; it tells the user of the first rank that did."""
    return Path(os.environ.get("TORCHELASTIC_ERROR_FILE", "none")).is_file()


if __name__ == "__main__":
    try:
        main()
    except DeepmarkError as error:
        sys.exit(1 if _is_written_down() else f"deepmark train: {error}")
    except KeyboardInterrupt:
        sys.exit(128 + signal.SIGINT)
    except BaseException:
        if _is_written_down():
            sys.exit(1)
        raise
