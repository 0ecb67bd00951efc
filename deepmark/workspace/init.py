"""Making a workspace: a new folder with params.yaml, dvc.yaml and data/, and its own git and DVC repositories."""

import shutil
import subprocess
from os import PathLike
from pathlib import Path

from deepmark.errors import DeepmarkError, as_path, missing_extra, nearest
from deepmark.files import write_text
from deepmark.vocabulary import check_same
from deepmark.vocabulary.vocabulary_file import read_vocabulary
from deepmark.workspace.environment import tool
from deepmark.workspace.git import IDENTITY, git, run_git
from deepmark.workspace.ingest_inputs import with_dependencies
from deepmark.workspace.layout import Workspace, check_place

_GIT_IGNORE = "/data/?*\n!/data/.gitignore\n!/data/*.dvc\n/runs/\n/dvc_plots/\n/mlflow.db\n/mlartifacts/\n/.dagster/\n"
"""data/raw.dvc is for git, what lies beside it is not. For "/data/*" DVC would take data/ itself to be ignored, and not
look for raw.dvc there."""


_FIRST_COMMIT = "A DeepMark workspace, profile "


def profile_file(profile: str) -> Path:
    """The params.yaml that a profile starts with."""
    return Path(__file__).parent / "profiles" / f"{profile}.yaml"


def profiles() -> list[str]:
    """The names of all profiles."""
    return sorted(file.stem for file in profile_file("paper").parent.glob("*.yaml") if file.stem != "dvc")


def dvc_yaml() -> Path:
    """The dvc.yaml of a new workspace."""
    beside_package, in_package = Path(__file__).parents[2] / "dvc.yaml", Path(__file__).parent / "profiles/dvc.yaml"
    return in_package if in_package.is_file() else beside_package


def _run(*command: str, cwd: Path) -> subprocess.CompletedProcess[str]:
    try:
        return subprocess.run(command, cwd=cwd, check=True, capture_output=True, text=True)
    except subprocess.CalledProcessError as error:
        raise DeepmarkError(f"{cwd}: `{' '.join(command)}` failed: {error.stderr.strip()}") from None


def init_workspace(
    root: str | PathLike[str], profile: str | None = None, vocabulary: str | PathLike[str] | None = None
) -> Workspace:
    """Make `root` a workspace with a git and a DVC repository of its own; an existing workspace is left as it is.

    `profile` is "paper" for a new workspace, unless it is named. `vocabulary` is a vocabulary.yaml, which is copied
    into the workspace; without one, labels are of DeepFashion2's categories. What an error leaves unfinished is
    removed.

    Raises DeepmarkError where the folder holds something else, a workspace of another profile or vocabulary, or has a
    name that its tools cannot work with, and where there is no such profile, or the vocabulary has a fault.
    """
    root, wanted = as_path(root, "init_workspace: root"), profile
    profile = str(profile or "paper")
    words = None if vocabulary is None else as_path(vocabulary, "init_workspace: vocabulary")
    named = None if words is None else read_vocabulary(words)
    check_place(root)
    if not profile_file(profile).is_file():
        raise DeepmarkError(f"profile '{profile}': there is none of this name. {nearest(str(profile), profiles())}")
    if (root / "params.yaml").is_file() and (root / ".dvc").is_dir():
        if wanted and (made_with := _profile_of(root)) not in (profile, None):
            raise DeepmarkError(
                f"{root}: a workspace of the profile {made_with} already; it stays as it is. Give a new folder for "
                f"{profile}, or change its params.yaml."
            )
        if named is not None:
            remedy = "Give a new folder, or change its vocabulary.yaml."
            check_same(named, words, Workspace(root).vocabulary, f"the workspace {root}", remedy)
        return Workspace(root)
    if root.exists() and not root.is_dir():
        raise DeepmarkError(f"{root}: is a file. Give a new folder.")
    if root.is_dir() and any(root.iterdir()):
        raise DeepmarkError(f"{root}: not empty, and not a workspace. Give a new folder.")
    if shutil.which("git") is None:
        raise DeepmarkError("git: not found. A workspace is a git repository: install git.")
    if not tool("dvc").is_file():
        raise missing_extra("pipeline")
    existed = root.exists()
    try:
        _make(root, profile, words)
    except BaseException:
        for left in [*root.iterdir()] if root.is_dir() else []:
            shutil.rmtree(left) if left.is_dir() else left.unlink()
        if root.is_dir() and not existed:
            root.rmdir()
        raise
    return Workspace(root)


def _make(root: Path, profile: str, vocabulary: Path | None) -> None:
    root.mkdir(parents=True, exist_ok=True)
    shutil.copyfile(profile_file(profile), root / "params.yaml")
    shutil.copyfile(dvc_yaml(), root / "dvc.yaml")
    if vocabulary is not None:
        shutil.copyfile(vocabulary, Workspace(root).vocabulary_file)
        write_text(root / "dvc.yaml", with_dependencies((root / "dvc.yaml").read_text("utf-8"), root))
    (root / ".gitignore").write_text(_GIT_IGNORE, "utf-8")
    (root / "data").mkdir()
    git(root, "init", "--quiet", "--initial-branch=main")
    _run(str(tool("dvc")), "init", "--quiet", cwd=root)
    _run(str(tool("dvc")), "config", "core.analytics", "false", cwd=root)
    git(root, "add", "--all")
    git(root, *IDENTITY, "commit", "--quiet", "--message", f"{_FIRST_COMMIT}{profile}")


def _profile_of(root: Path) -> str | None:
    """The profile that a workspace was made with, by its first commit; None where that does not say."""
    if shutil.which("git") is None:
        return None
    for message in run_git(root, "log", "--max-parents=0", "--format=%s").stdout.splitlines():
        if message.startswith(_FIRST_COMMIT):
            return message.removeprefix(_FIRST_COMMIT)
    return None
