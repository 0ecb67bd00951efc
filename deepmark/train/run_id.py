"""The id of a training run: a fingerprint of everything that decides its result. It names the checkpoint folder."""

from pathlib import Path
from typing import Any

from deepmark.errors import DeepmarkError
from deepmark.files import file_sha256
from deepmark.models.packaged import OPEN, OPEN_BACKBONE, packaged_weights
from deepmark.schema import SPLITS
from deepmark.train.checkpoint import fingerprint
from deepmark.workspace.inputs import index_sha256
from deepmark.workspace.layout import Workspace

_IRRELEVANT = {"checkpoint_minutes", "checkpoint_steps", "checkpoints_kept", "device_batch", "compile"}
"""Parameters of `train` that may change when a run resumes: how it is saved, and how a step is computed."""


def training_inputs(workspace: Workspace) -> dict[str, Any]:
    """All that decides the result of a training: sections of params.yaml, checksums of shards and initial weights."""
    params = workspace.params
    init, teacher = init_file(workspace), teacher_file(workspace)
    return {
        "model": params.model.model_dump(mode="json"),
        "augment": params.augment.stored(),
        "train": {name: value for name, value in params.train.stored().items() if name not in _IRRELEVANT},
        "shards": {split: index_sha256(workspace, split) for split in SPLITS},
        "start": init and file_sha256(init),
        **({"teacher": file_sha256(teacher)} if teacher else {}),
    }


def init_file(workspace: Workspace) -> Path | None:
    """The file of the initial weights that params.yaml names, relative to the workspace; None where it names none.

    The name "open" is that of the model that comes with DeepMark.

    Raises DeepmarkError where the file is missing, and for that name where the backbone is another one.
    """
    name, backbone = workspace.params.train.init, workspace.params.model.backbone
    if name == OPEN:
        if backbone != OPEN_BACKBONE:
            raise DeepmarkError(
                f"params.yaml: train: init: {OPEN}: is the light network, but model.backbone is {backbone}. Set that "
                f"to {OPEN_BACKBONE}, or train.init to null or a file."
            )
        return packaged_weights("or set train.init to null, to start from nothing")
    if backbone == OPEN_BACKBONE:
        make = f"`{OPEN}` is the model that comes with DeepMark. Name that or a model file"
    else:
        make = f"Make it with `deepmark import-checkpoint FILE --backbone {backbone} --out {name}`"
    return _named_file(workspace, "init", name, f"{make}, or set it to null to start from nothing.")


def teacher_file(workspace: Workspace) -> Path | None:
    """The model file of the teacher that params.yaml names, relative to the workspace; None where it names none.

    Raises DeepmarkError where the file is missing.
    """
    advice = "Copy there the model.safetensors that `deepmark train` wrote for a larger network, or set it to null."
    return _named_file(workspace, "teacher", workspace.params.train.teacher, advice)


def _named_file(workspace: Workspace, parameter: str, name: str | None, advice: str) -> Path | None:
    if name is None:
        return None
    path = workspace.root / name
    if not path.is_file():
        raise DeepmarkError(f"params.yaml: train: {parameter}: {path} is not there. {advice}")
    return path


def run_folder(workspace: Workspace) -> Path:
    """The folder of the checkpoints that this training resumes from; computing it reads and hashes its inputs."""
    return workspace.runs / "train" / fingerprint(training_inputs(workspace))
