"""The id of a training run: a fingerprint of everything that decides its result. It names the checkpoint folder."""

from pathlib import Path
from typing import Any

from deepmark.errors import DeepmarkError
from deepmark.files import file_sha256
from deepmark.schema import SPLITS
from deepmark.train.checkpoint import fingerprint
from deepmark.workspace.inputs import index_sha256
from deepmark.workspace.layout import Workspace

_IRRELEVANT = {"checkpoint_minutes", "checkpoint_steps", "checkpoints_kept", "launch", "device_batch", "compile"}
"""Parameters of `train` that may change when a run resumes: how it is saved, and on which machines it runs."""


def training_inputs(workspace: Workspace) -> dict[str, Any]:
    """All that decides the result of a training: sections of params.yaml, checksums of shards and initial weights."""
    params = workspace.params
    init = init_file(workspace)
    return {
        "model": params.model.model_dump(mode="json"),
        "augment": params.augment.model_dump(mode="json"),
        "train": params.train.model_dump(mode="json", exclude=_IRRELEVANT),
        "shards": {split: index_sha256(workspace, split) for split in SPLITS},
        "start": init and file_sha256(init),
    }


def init_file(workspace: Workspace) -> Path | None:
    """The file of the initial weights that params.yaml names, relative to the workspace; None where it names none.

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
    """The folder of the checkpoints that this training resumes from; computing it reads and hashes its inputs."""
    return workspace.runs / "train" / fingerprint(training_inputs(workspace))
