"""Predictions of the training images by networks that have not learnt them: a training for each fold, then its images.

A fold that is done is not done again, and one that was interrupted goes on from its last checkpoint.
"""

import os
import shutil
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import torch

from deepmark.errors import DeepmarkError
from deepmark.files import file_sha256, write_text
from deepmark.train.checkpoint import fingerprint
from deepmark.train.distributed.process_group import rank_from_environment
from deepmark.train.run_id import training_inputs
from deepmark.train.start import run_training
from deepmark.version import __version__
from deepmark.workspace.folds import STRATEGY, fold_workspaces, write_held_out
from deepmark.workspace.inputs import read_training
from deepmark.workspace.layout import Workspace
from deepmark.workspace.predict_validation import predict_validation

_URI = "MLFLOW_TRACKING_URI"


def crossvalidate_workspace(workspace: Workspace) -> dict[str, Any]:
    """Train and predict every fold in turn, each with all that `compute` allows, and write their predictions.

    Raises DeepmarkError where a scheduler started this process as one of several.
    """
    if rank_from_environment() is not None:
        raise DeepmarkError(
            "RANK is set, and this command trains several networks one after the other, each in processes of its own. "
            "Start it once, without RANK; for several machines set compute: engine: ray in params.yaml."
        )
    folds = fold_workspaces(workspace)
    checkpoints = [_train_and_predict(fold, f"fold {number} of {len(folds)}") for number, fold in enumerate(folds, 1)]
    params = folds[0].params
    facts = {
        "strategy": STRATEGY,
        "folds": str(len(folds)),
        "epochs": str(params.train.epochs),
        "recipe": fingerprint([params.model.stored(), params.augment.stored(), params.train.stored()]),
        "checkpoint_sha256": " ".join(checkpoints),
    }
    return {"pictures": write_held_out(workspace, folds, facts), **facts}


def _train_and_predict(fold: Workspace, name: str) -> str:
    """Train a fold and predict it, as far as that was not done before; returns the sha256 of its checkpoint."""
    with _own_runs():
        training = fingerprint([training_inputs(fold), __version__, torch.__version__])
        if not _is_done(fold, "trained", training):
            print(f"{name}: training", file=sys.stderr, flush=True)
            run_training(fold, fresh=False)
            write_text(fold.root / "trained.txt", training)
            shutil.rmtree(fold.runs, ignore_errors=True)  # checkpoints, which nothing goes on from any more
        checkpoint, out = file_sha256(fold.model_file), fold.predictions_file(STRATEGY)
        prediction = fingerprint([training, checkpoint, fold.params.predict.stored()])
        if not _is_done(fold, "predicted", prediction):
            print(f"{name}: prediction", file=sys.stderr, flush=True)
            run_id = read_training(fold)["mlflow_run_id"]
            predict_validation(fold, fold.model_file, out, strategy=STRATEGY, run_id=run_id)
            write_text(fold.root / "predicted.txt", prediction)
    return checkpoint


def _is_done(fold: Workspace, step: str, identity: str) -> bool:
    """Whether a step was done before, of the same inputs, and its result is still there."""
    marker = fold.root / f"{step}.txt"
    result = fold.model_file if step == "trained" else fold.predictions_file(STRATEGY)
    return marker.is_file() and result.is_file() and marker.read_text("utf-8") == identity


@contextmanager
def _own_runs() -> Iterator[None]:
    """Without the store that the environment names: a fold is no training to compare others with, and keeps its own."""
    uri = os.environ.pop(_URI, None)
    try:
        yield
    finally:
        if uri is not None:
            os.environ[_URI] = uri
