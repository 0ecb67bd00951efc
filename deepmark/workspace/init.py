"""Making a workspace: a new folder with params.yaml, dvc.yaml and data/, and its own git and DVC repositories."""

import shutil
import subprocess
from os import PathLike
from pathlib import Path

from deepmark.errors import DeepmarkError, missing_extra, nearest
from deepmark.workspace.environment import tool
from deepmark.workspace.git import IDENTITY, git
from deepmark.workspace.layout import Workspace, check_place

_GIT_IGNORE = "/data/?*\n!/data/.gitignore\n!/data/*.dvc\n/runs/\n/dvc_plots/\n/mlflow.db\n/mlartifacts/\n/.dagster/\n"
"""data/raw.dvc is for git, what lies beside it is not. For "/data/*" DVC would take data/ itself to be ignored, and not
look for raw.dvc there."""


def profile_file(profile: str) -> Path:
    """The params.yaml that a profile starts with."""
    return Path(__file__).parent / "profiles" / f"{profile}.yaml"


def _dvc_yaml() -> Path:
    beside_package, in_package = Path(__file__).parents[2] / "dvc.yaml", Path(__file__).parent / "profiles/dvc.yaml"
    return in_package if in_package.is_file() else beside_package


def _run(*command: str, cwd: Path) -> subprocess.CompletedProcess[str]:
    try:
        return subprocess.run(command, cwd=cwd, check=True, capture_output=True, text=True)
    except subprocess.CalledProcessError as error:
        raise DeepmarkError(f"{cwd}: `{' '.join(command)}` failed: {error.stderr.strip()}") from None


def init_workspace(root: str | PathLike[str], profile: str) -> Workspace:
    """Make `root` a workspace with a git and a DVC repository of its own; an existing workspace is left as it is.

    Raises DeepmarkError where the folder holds something else or has a name that its tools cannot work with, and where
    there is no such profile.
    """
    root = Path(root)
    check_place(root)
    if not profile_file(profile).is_file():
        profiles = sorted(file.stem for file in profile_file(profile).parent.glob("*.yaml") if file.stem != "dvc")
        raise DeepmarkError(f"profile '{profile}': there is none of this name. {nearest(profile, profiles)}")
    if (root / "params.yaml").is_file() and (root / ".dvc").is_dir():
        return Workspace(root)
    if root.is_dir() and any(root.iterdir()):
        raise DeepmarkError(f"{root}: not empty, and not a workspace. Give a new folder.")
    if shutil.which("git") is None:
        raise DeepmarkError("git: not found. A workspace is a git repository: install git.")
    if not tool("dvc").is_file():
        raise missing_extra("pipeline")
    root.mkdir(parents=True, exist_ok=True)
    shutil.copyfile(profile_file(profile), root / "params.yaml")
    shutil.copyfile(_dvc_yaml(), root / "dvc.yaml")
    (root / ".gitignore").write_text(_GIT_IGNORE, "utf-8")
    (root / "data").mkdir()
    git(root, "init", "--quiet", "--initial-branch=main")
    _run(str(tool("dvc")), "init", "--quiet", cwd=root)
    _run(str(tool("dvc")), "config", "core.analytics", "false", cwd=root)
    git(root, "add", "--all")
    git(root, *IDENTITY, "commit", "--quiet", "--message", f"A DeepMark workspace, profile {profile}")
    return Workspace(root)
