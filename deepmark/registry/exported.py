"""The exported files that a version of the model carries, and which of its files serves."""

import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from deepmark.digests import read_json_with_digest
from deepmark.errors import DeepmarkError
from deepmark.files import file_sha256
from deepmark.runtime.contract import CONTRACT_FILE, FILES, Contract
from deepmark.serving.logged_model import CHECKPOINT
from deepmark.workspace.layout import Workspace

EXPORTED_TAG = "exported"
"""The tag of a version with the figures of its exported files, as JSON: `ExportedFile` by precision."""

_REMEDY = "`deepmark export`, or `dvc repro`, makes it of this checkpoint."


@dataclass(frozen=True, kw_only=True, slots=True)
class ExportedFile:
    """An ONNX file of `deepmark export`, with the figures that the stage measured on the validation images."""

    file: str
    """Its name."""

    sha256: str
    bytes: int
    ms: float
    """From a canvas to its detections, on the machine that exported."""

    box_ap: float | None
    landmark_ap: float | None
    """Of the strategy none, as torch's that the stage compares with."""


def exported_files(workspace: Workspace) -> dict[str, ExportedFile]:
    """The exported files of the workspace's checkpoint, by precision; none where they were never made.

    Files of another checkpoint, or of other parameters, are none. Raises DeepmarkError where promote.serve names a
    file that there is not, and where files are damaged.
    """
    serves, folder = workspace.params.promote.serve, workspace.export
    files = _measured(workspace) if _is_of_checkpoint(workspace) else {}
    for one in files.values():
        if not (folder / one.file).is_file() or file_sha256(folder / one.file) != one.sha256:
            raise DeepmarkError(
                f"{folder / one.file}: missing, or not the file that {workspace.export_metrics_file} is about. "
                "Export again: `deepmark export`, or `dvc repro`."
            )
    if serves != CHECKPOINT and serves not in files:
        raise DeepmarkError(
            f"promote.serve is {serves}, and {folder / FILES[serves]} does not exist, or is not of this checkpoint and "
            f"these parameters. {_REMEDY} Is {serves} in export.formats?"
        )
    return files


def exported_tag(files: Mapping[str, ExportedFile]) -> dict[str, str]:
    """The tag that stores the figures with a version; none for no files."""
    return {EXPORTED_TAG: json.dumps({name: asdict(one) for name, one in files.items()})} if files else {}


def _is_of_checkpoint(workspace: Workspace) -> bool:
    """Whether the files in export/ were made of the workspace's checkpoint with its parameters."""
    contract = workspace.export / CONTRACT_FILE
    if not contract.is_file() or not workspace.export_metrics_file.is_file():
        return False
    from deepmark.export.export_files import params_sha256

    params, made_of = workspace.params, Contract.read(contract).sha256
    wanted = {"checkpoint": file_sha256(workspace.model_file), "params": params_sha256(params.predict, params.export)}
    return made_of == wanted


def _measured(workspace: Workspace) -> dict[str, ExportedFile]:
    metrics: dict[str, Any] = read_json_with_digest(workspace.export_metrics_file, "deepmark export")
    return {
        name: ExportedFile(
            file=one["file"],
            sha256=one["sha256"],
            bytes=one["bytes"],
            ms=one["ms"],
            box_ap=one["box_ap"]["value"],
            landmark_ap=one["landmark_ap"]["value"],
        )
        for name, one in metrics["files"].items()
    }


def carried(workspace: Workspace, files: Mapping[str, ExportedFile]) -> list[Path]:
    """What a version carries of export/: these files, and their contract."""
    return [workspace.export / name for name in (CONTRACT_FILE, *(one.file for one in files.values())) if files]
