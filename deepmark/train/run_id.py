"""What decides how a training ends, and the folder that its checkpoints live in."""

from pathlib import Path
from typing import Any

from deepmark.errors import DeepmarkError
from deepmark.files import file_sha256
from deepmark.schema import SPLITS
from deepmark.train.checkpoint import digest
from deepmark.workspace.inputs import index_sha256
from deepmark.workspace.layout import Workspace

_NOT_OF_THE_RECIPE = {"checkpoint_minutes", "checkpoint_steps", "checkpoints_kept", "launch", "device_batch", "compile"}
"""What a run may change when it goes on: how it is kept, and on which machines it runs."""


def recipe(workspace: Workspace) -> dict[str, Any]:
    """Everything that decides what a training becomes: sections of params.yaml, the shards' and start weights' sums."""
    params = workspace.params
    init = init_file(workspace)
    return {
        "model": params.model.model_dump(mode="json"),
        "augment": params.augment.model_dump(mode="json"),
        "train": params.train.model_dump(mode="json", exclude=_NOT_OF_THE_RECIPE),
        "shards": {split: index_sha256(workspace, split) for split in SPLITS},
        "start": init and file_sha256(init),
    }


def init_file(workspace: Workspace) -> Path | None:
    """The start weights that params.yaml names, relative to the workspace; None where it names none.

    Raises DeepmarkError where the file is missing.
    """
    name = workspace.params.train.init
    if name is None:
        return None
    path = workspace.root / name
    if not path.is_file():
        raise DeepmarkError(
            f"params.yaml: train: init: {path} is not there. Make it with `deepmark import-checkpoint FILE --backbone "
            f"{workspace.params.model.backbone} --out {name}`, or set it to null to start from nothing."
        )
    return path


def run_folder(workspace: Workspace) -> Path:
    """Where the working checkpoints of this recipe on this data live."""
    return workspace.runs / "train" / digest(recipe(workspace))
