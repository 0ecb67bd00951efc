"""A copy of a workspace for an experiment, in runs/experiments/NAME: git's files and DVC's results as they are.

Results are links into DVC's cache, which both share. The checkpoints of trainings in progress stay in the workspace's
runs/train, so an experiment that is killed continues from them in its next copy.
"""

import shutil
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from filelock import FileLock, Timeout

from assets.dvc import dvc_internals
from deepmark.data.shards.remote import is_url
from deepmark.errors import DeepmarkError
from deepmark.workspace.git import IDENTITY, git, run_git
from deepmark.workspace.layout import Workspace

_LINK_TYPES = ["reflink", "hardlink", "symlink", "copy"]
"""DVC takes the first that the disk can do: a copy of the shards may not fit on it."""


@contextmanager
def workspace_copy(workspace: Path, name: str, params: str) -> Iterator[Path]:
    """The copy, with `params` as its params.yaml; it is removed afterwards, however the block ends.

    Raises DeepmarkError where an experiment of this name is running, and where the workspace has no commit.
    """
    if run_git(workspace, "rev-parse", "--verify", "--quiet", "HEAD").returncode:
        raise DeepmarkError(
            f"{workspace}: has no commit, and an experiment is kept as what differs from one. "
            "Make it: git add --all && git commit --message Workspace"
        )
    with _locked(workspace / "runs/experiments" / name, name) as folder:
        copy = folder / "workspace"
        shutil.rmtree(copy, ignore_errors=True)  # of a process that was killed
        try:
            _copy_files(workspace, copy)
            dvc_internals.share_cache(workspace, copy, _LINK_TYPES)
            (copy / "params.yaml").write_text(params, "utf-8")
            _link_training_files(workspace, copy)
            yield copy
        finally:
            shutil.rmtree(copy)


def link(workspace: Path, copy: Path, path: str) -> None:
    """Link a path of the workspace into the copy, unless the copy has it; git ignores the link."""
    source, target = workspace / path, copy / path
    if source.exists() and not target.exists():
        target.parent.mkdir(parents=True, exist_ok=True)
        target.symlink_to(source.resolve())
        with (copy / ".git/info/exclude").open("a", encoding="utf-8") as ignored:
            ignored.write(f"/{path}\n")


def find_kept(workspace: Path, name: str) -> str | None:
    """The branch, tag or experiment that has this name, with the message of its commit; None for a free name."""
    refs = (f"refs/heads/{name}", f"refs/tags/{name}", f"{dvc_internals.EXPERIMENTS}/*/*/{name}")
    return git(workspace, "for-each-ref", "--format=%(refname)%0a%(contents)", *refs) or None


def keep(workspace: Path, copy: Path, name: str, message: str) -> None:
    """Make the copy an experiment of DVC: a commit on HEAD with its files. It is all there, or nothing is.

    Raises DeepmarkError where the name was taken in the meantime.
    """
    head = git(copy, "rev-parse", "HEAD")
    git(copy, "add", "--all")
    git(copy, *IDENTITY, "commit", "--quiet", "--no-verify", "--allow-empty", "--message", message)
    git(workspace, "fetch", "--quiet", "--no-tags", "--no-write-fetch-head", str(copy), "HEAD")
    commit = git(copy, "rev-parse", "HEAD")
    try:  # the empty last word demands that the ref does not exist yet
        git(workspace, "update-ref", f"{dvc_internals.EXPERIMENTS}/{head[:2]}/{head[2:]}/{name}", commit, "")
    except DeepmarkError:
        if not find_kept(workspace, name):
            raise
        raise DeepmarkError(
            f"The name '{name}' was taken while the experiment ran. Launch it again with another name: its results are "
            "in DVC's cache, so nothing runs again."
        ) from None


@contextmanager
def _locked(folder: Path, name: str) -> Iterator[Path]:
    """The folder, for one process at a time; it is removed at the end if it is empty."""
    lock = FileLock(folder / "lock", blocking=False)
    try:
        lock.acquire()
    except Timeout:
        raise DeepmarkError(
            f"The experiment '{name}' is running already. Wait for it, or choose another name."
        ) from None
    try:
        yield folder
    finally:
        (folder / "lock").unlink()  # a process that has opened this file finds it gone, and makes a new one
        with suppress(OSError):
            folder.rmdir()
        lock.release()


def _copy_files(workspace: Path, copy: Path) -> None:
    """A clone, with the files as they are in the workspace, also those that are not committed yet."""
    git(workspace, "clone", "--quiet", "--no-checkout", str(workspace), str(copy))
    git(copy, "reset", "--quiet")
    known = git(workspace, "ls-files", "-z", "--cached", "--others", "--exclude-standard", "--", ".", ":!runs")
    for file in filter(None, known.split("\0")):
        source, target = workspace / file, copy / file
        if source.is_file() or source.is_symlink():
            target.parent.mkdir(parents=True, exist_ok=True)
            shutil.copy2(source, target, follow_symlinks=False)


def _link_training_files(workspace: Path, copy: Path) -> None:
    """Link what a training uses beside its data, unknown to git: checkpoints, initial weights, fetched shards."""
    params = Workspace(copy).params
    folders = ["runs/train", *([params.storage.cache] if is_url(params.storage.shards) else [])]
    for path in folders:
        (workspace / path).mkdir(parents=True, exist_ok=True)
    for path in filter(None, (*folders, params.train.init_in_workspace)):
        link(workspace, copy, path)
