"""Folds of the training images: each is a workspace below runs/folds, where `train` and `predict` work as ever.

A fold's training split is all other folds, its validation split the fold itself, which nothing learns from: neither the
weights nor the choice of an epoch. The shards stay where they are; two lists of keys say which sample belongs where.
"""

import hashlib
import io
from collections.abc import Iterator
from typing import Any

from ruamel.yaml import YAML

from deepmark.data.predictions import read_predictions, write_predictions
from deepmark.data.records import open_records
from deepmark.data.shards.remote import is_url
from deepmark.errors import DeepmarkError
from deepmark.files import require_file, write_text
from deepmark.params import Params, check_params
from deepmark.schema import STRATEGIES
from deepmark.types import Detections
from deepmark.workspace.layout import Workspace

STRATEGY = STRATEGIES[-1]
"""By which held-out images are predicted: the one whose predictions of the validation images the audit looks at."""


def fold_of(pair_id: int, folds: int) -> int:
    """The fold of the images of a pair, 0 to `folds` - 1: always the same, whatever else is in the data.

    Images of one product stay together, because a network that has learnt the label of one knows that of the next.
    """
    return int.from_bytes(hashlib.sha256(f"pair {pair_id}".encode()).digest()[:8]) % folds


def fold_workspaces(workspace: Workspace) -> list[Workspace]:
    """The workspaces of all folds, which are made or brought up to date.

    Raises DeepmarkError where a fold has no image, or all of them.
    """
    folds = workspace.params.audit.folds
    records = require_file(workspace.records_file("train"), "deepmark ingest --split train")
    with open_records(records) as file:
        columns = file.read(columns=["id", "pair_id"])
    images, pairs = (columns.column(name).to_pylist() for name in ("id", "pair_id"))
    fold_by_pair = {pair: fold_of(pair, folds) for pair in set(pairs)}
    made = []
    for number in range(folds):
        fold = Workspace(workspace.folds.absolute() / f"{number + 1}-of-{folds}")
        held_out = [fold_by_pair[pair] == number for pair in pairs]
        if not any(held_out) or all(held_out):
            raise DeepmarkError(
                f"{records}: {len(images)} images of {len(set(pairs))} pairs cannot be parted into {folds} folds: fold "
                f"{number + 1} would have {sum(held_out)}. Lower params.yaml: audit: folds, or set it to 0."
            )
        for split, part in (("train", False), ("validation", True)):
            keys = [f"{image:06d}\n" for image, held in zip(images, held_out, strict=True) if held is part]
            write_text(fold.fold_file(split), "".join(keys))
        out = io.StringIO()
        YAML().dump(fold_params(workspace).model_dump(mode="json"), out)
        write_text(fold.root / "params.yaml", out.getvalue())
        made.append(fold)
    return made


def fold_params(workspace: Workspace) -> Params:
    """The recipe of a fold: the workspace's, in the epochs of a fold, and without anything that has seen its labels.

    A teacher has learnt from all of them, and an epoch that is best on the fold has been chosen by them.
    """
    params = workspace.params
    epochs = params.audit.fold_epochs or params.train.epochs
    shorter = epochs / params.train.epochs
    values: dict[str, Any] = params.model_dump(mode="json")
    values["train"] |= {
        "epochs": epochs,
        "milestones": {max(1, round(after * shorter)): rate for after, rate in params.train.milestones.items()},
        "init": _init_of(workspace),
        "teacher": None,
        "loss_weights": values["train"]["loss_weights"] | {"teacher": 0.0},
        "validate_every": 0,
        "evaluate_every": 0,
    }
    storage = params.storage
    values["storage"] |= {
        name: place if is_url(place) else str(workspace.root.absolute() / place)
        for name, place in (("shards", storage.shards), ("cache", storage.cache))
    }
    return check_params(values, str(workspace.folds))


def _init_of(workspace: Workspace) -> str | None:
    """train.init, for a workspace in another folder."""
    train = workspace.params.train
    file = train.init_in_workspace
    return train.init if file is None else str(workspace.root.absolute() / file)


def write_held_out(workspace: Workspace, folds: list[Workspace], facts: dict[str, str]) -> int:
    """Write the predictions of all folds to one file, and return the number of images; of no folds it has none."""
    return write_predictions(workspace.held_out_file, _rows(folds), facts)


def _rows(folds: list[Workspace]) -> Iterator[tuple[int, str, Detections]]:
    for fold in folds:
        for each in read_predictions(fold.predictions_file(STRATEGY))[0]:
            yield each.image_id, each.file, each.detections
