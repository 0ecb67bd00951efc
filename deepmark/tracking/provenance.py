"""Provenance of a result: the commits of code and workspace, and the version of the data."""

import os
from pathlib import Path

from deepmark.schema import SPLITS
from deepmark.version import __version__
from deepmark.workspace.dvc_lock import joined_md5, locked_outs
from deepmark.workspace.git import run_git
from deepmark.workspace.layout import Workspace

EXPERIMENT_VARIABLE = "DEEPMARK_EXPERIMENT"
"""The environment variable that names the experiment a command runs for."""

EXPERIMENT_TAG = "deepmark.experiment"
"""Of a run: that name."""

DATA_TAG = "data.version"
"""Of a run: the version of the data it learnt from."""


def code_version() -> str | None:
    """The git commit of this code, with "-dirty" if it was edited since; None where it is not a checkout."""
    return _git_commit(Path(__file__).parents[1], "__init__.py")


def code_in_words() -> str:
    """The git commit of this code; or that there is none, and the release."""
    return code_version() or f"none: DeepMark {__version__}"


def workspace_version(workspace: Path) -> str | None:
    """The git commit of the workspace, with "-dirty" if anything but dvc.lock was edited since."""
    return _git_commit(workspace, "params.yaml")


def data_version(workspace: Path) -> str | None:
    """One md5 for all shards, from those in dvc.lock; None where DVC did not make them.

    dvc.lock may not know shards on other storage: for those it is made from the sha256 sums of their indices.
    """
    remote = _remote_data_version(workspace)
    if remote is not None:
        return remote
    outs = [out for stage in locked_outs(workspace).values() for out in stage]
    lines = sorted(f"{out['path']} {out['md5']}" for out in outs if out["path"].startswith("data/shards/"))
    return joined_md5(lines) if lines else None


def _remote_data_version(workspace: Path) -> str | None:
    from deepmark.data.shards.remote import is_url

    if not (workspace / "params.yaml").is_file() or not is_url(Workspace(workspace).params.storage.shards):
        return None
    from deepmark.workspace.inputs import index_sha256

    return joined_md5(index_sha256(Workspace(workspace), split) for split in SPLITS)


def provenance_tags(workspace: Path) -> dict[str, str]:
    """The tags of a run: versions of code, workspace and data, and the experiment; none for what is not known."""
    commit = workspace_version(workspace)
    facts = {
        "deepmark.version": __version__,
        "deepmark.commit": code_version(),
        "workspace.commit": commit,
        EXPERIMENT_TAG: os.environ.get(EXPERIMENT_VARIABLE),
        DATA_TAG: data_version(workspace),
        "mlflow.source.name": "deepmark train",
        "mlflow.source.git.commit": commit,
    }
    return {name: value for name, value in facts.items() if value}


def _git_commit(folder: Path, file: str) -> str | None:
    """HEAD of the repository that tracks `file` in `folder`; None for an ignored copy inside another repository."""
    try:
        if run_git(folder, "ls-files", "--error-unmatch", file).returncode != 0:
            return None
        head = run_git(folder, "rev-parse", "--verify", "HEAD")
        dirty = run_git(folder, "diff", "--quiet", "HEAD", "--", ".", ":!dvc.lock").returncode != 0
    except FileNotFoundError:  # git is not installed
        return None
    return head.stdout.strip() + "-dirty" * dirty if head.returncode == 0 else None
