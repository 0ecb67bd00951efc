"""The outputs of the training stage: the model, its training history, figures and loss curves."""

import csv
import io
from typing import Any

from deepmark.digests import write_json_with_digest
from deepmark.eval.metric.names import MAIN
from deepmark.files import new_folder, write_text
from deepmark.model.detector import count_parameters, save_detector
from deepmark.tracking.tracker import Tracker
from deepmark.train.learning_check import learning_warnings
from deepmark.train.loop import TrainState
from deepmark.train.step import Stepper
from deepmark.workspace.layout import Workspace


def write_outputs(workspace: Workspace, stepper: Stepper, state: TrainState, tracker: Tracker) -> None:
    """Write data/checkpoint, metrics/train.json and plots/losses.csv.

    The model has the weights of the best epoch where epochs were measured, of the last one otherwise.
    """
    detector, last = stepper.kept, state.history[-1]
    kept: dict[str, Any] = {"epoch": state.epoch}
    if state.best is not None:
        detector.load_state_dict(state.best.weights)
        kept = {"epoch": state.best.epoch + 1, "by": stepper.params.best_by, "value": state.best.value}
    figures = {
        "epochs": state.epoch,
        "kept_epoch": kept["epoch"],
        "loss": last["train"]["total"],
        "validation_loss": last["validation"].get("total"),
        "skipped_steps": sum(epoch["skipped"] for epoch in state.history),
        "seconds": sum(epoch["seconds"] for epoch in state.history),
        "samples_per_second": last["samples_per_second"],
        "waiting": last["waiting"],
        "parameters": count_parameters(detector),
    }
    with new_folder(workspace.checkpoint) as draft:
        save_detector(detector, draft / workspace.model_file.name, predict=workspace.params.predict)
        origin = {"mlflow_run_id": tracker.run_id, "mlflow_url": tracker.url}
        warnings = learning_warnings(state.history, epochs=state.epoch)
        training = {**origin, "kept": kept, "warnings": warnings, "history": state.history}
        write_json_with_digest(draft / workspace.training_file.name, training)
    write_text(workspace.losses_file, _losses_csv(state.history))
    write_json_with_digest(workspace.train_metrics_file, figures, files=[workspace.losses_file])


def _losses_csv(history: list[dict]) -> str:
    text = io.StringIO()
    writer = csv.writer(text, lineterminator="\n")
    writer.writerow(["epoch", "train", "validation", "learning_rate", *MAIN])
    for number, epoch in enumerate(history, 1):
        ap = [epoch["measured"].get(name) for name in MAIN]
        row = [number, epoch["train"]["total"], epoch["validation"].get("total"), epoch["learning_rate"], *ap]
        writer.writerow(row)
    return text.getvalue()
