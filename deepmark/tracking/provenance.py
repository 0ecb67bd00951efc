"""What a result was made from: the commits of code and workspace, and the version of the data."""

import hashlib
import os
from pathlib import Path

import deepmark
from deepmark.schema import SPLITS
from deepmark.workspace.git import run_git
from deepmark.workspace.layout import Workspace

EXPERIMENT_VARIABLE = "DEEPMARK_EXPERIMENT"
"""The environment variable in which a command finds the name of the experiment that it is run for."""


def code_version() -> str | None:
    """The git commit this code runs from, "-dirty" if edited since; None where it is not a checkout."""
    return _commit(Path(deepmark.__file__).parent, "__init__.py")


def workspace_version(workspace: Path) -> str | None:
    """The git commit of the workspace, "-dirty" if edited since (dvc.lock aside, which every stage rewrites)."""
    return _commit(workspace, "params.yaml")


def data_version(workspace: Path) -> str | None:
    """One md5 for the shards as dvc.lock knows them; None where DVC did not make them.

    For shards on other storage, of which dvc.lock may know nothing, one of the sha256 of their indices.
    """
    from ruamel.yaml import YAML

    away = _version_elsewhere(workspace)
    if away is not None:
        return away
    lock = workspace / "dvc.lock"
    if not lock.is_file():
        return None
    stages = (YAML(typ="safe", pure=True).load(lock.read_text("utf-8")) or {}).get("stages", {})
    outs = [out for stage in stages.values() for out in stage.get("outs", [])]
    lines = sorted(f"{out['path']} {out['md5']}" for out in outs if out["path"].startswith("data/shards/"))
    return hashlib.md5("\n".join(lines).encode(), usedforsecurity=False).hexdigest() if lines else None


def _version_elsewhere(workspace: Path) -> str | None:
    from deepmark.data.shards.remote import is_url

    if not (workspace / "params.yaml").is_file() or not is_url(Workspace(workspace).params.storage.shards):
        return None
    from deepmark.workspace.inputs import index_sha256

    sums = [index_sha256(Workspace(workspace), split) for split in SPLITS]
    return hashlib.md5("\n".join(sums).encode(), usedforsecurity=False).hexdigest()


def _commit(folder: Path, file: str) -> str | None:
    """HEAD of the repository that tracks `file` in `folder`: an ignored copy inside a foreign repository has none."""
    try:
        if run_git(folder, "ls-files", "--error-unmatch", file).returncode != 0:
            return None
        head = run_git(folder, "rev-parse", "--verify", "HEAD")
        dirty = run_git(folder, "diff", "--quiet", "HEAD", "--", ".", ":!dvc.lock").returncode != 0
    except FileNotFoundError:  # git is not installed
        return None
    return head.stdout.strip() + "-dirty" * dirty if head.returncode == 0 else None


def origin(workspace: Path) -> dict[str, str]:
    facts = {
        "deepmark.version": deepmark.__version__,
        "deepmark.commit": code_version(),
        "workspace.commit": workspace_version(workspace),
        "deepmark.experiment": os.environ.get(EXPERIMENT_VARIABLE),
        "data.version": data_version(workspace),
        "mlflow.source.name": "deepmark train",
        "mlflow.source.git.commit": workspace_version(workspace),
    }
    return {name: value for name, value in facts.items() if value}
