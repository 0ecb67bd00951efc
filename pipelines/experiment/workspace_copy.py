"""A copy of a workspace, for an experiment: git's files and DVC's results as they are, in runs/experiments/NAME.

Results are links into DVC's cache, which both share. The checkpoints of trainings in progress stay in the workspace's
runs/train, so an experiment that is killed goes on from there in its next copy.
"""

import fcntl
import os
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from deepmark.data.shards.remote import is_url
from deepmark.errors import DeepmarkError
from deepmark.workspace.git import IDENTITY, git, run_git
from deepmark.workspace.layout import Workspace

_LINKS = ["reflink", "hardlink", "symlink", "copy"]
"""What is checked out is whichever of these the disk can do first: a copy of the shards may not fit on it."""


@contextmanager
def copied(workspace: Path, name: str, params: str) -> Iterator[Path]:
    """The copy, with `params` as its params.yaml; it is gone afterwards, however the block ends.

    Raises DeepmarkError where an experiment of this name is at work, and where the workspace has no commit.
    """
    if run_git(workspace, "rev-parse", "--verify", "--quiet", "HEAD").returncode:
        raise DeepmarkError(
            f"{workspace}: has no commit, and an experiment is kept as what differs from one. "
            "Make it: git add --all && git commit --message Workspace"
        )
    with _only_one(workspace / "runs/experiments" / name, name) as folder:
        copy = folder / "workspace"
        shutil.rmtree(copy, ignore_errors=True)  # of a process that was killed
        try:
            _copy_files(workspace, copy)
            _share_cache(workspace, copy)
            (copy / "params.yaml").write_text(params, "utf-8")
            _link_unknown_to_git(workspace, copy)
            yield copy
        finally:
            shutil.rmtree(folder)


def link(workspace: Path, copy: Path, path: str) -> None:
    """What lies at a path of the workspace, and is not in the copy, is there too; git does not see it."""
    source, place = workspace / path, copy / path
    if source.exists() and not place.exists():
        place.parent.mkdir(parents=True, exist_ok=True)
        place.symlink_to(source.resolve())
        with (copy / ".git/info/exclude").open("a", encoding="utf-8") as ignored:
            ignored.write(f"/{path}\n")


def find_kept(workspace: Path, name: str) -> str | None:
    """What bears the name already, branch, tag or experiment of any commit, with its message; None for a free name."""
    places = (f"refs/heads/{name}", f"refs/tags/{name}", f"refs/exps/*/*/{name}")
    return git(workspace, "for-each-ref", "--format=%(refname)%0a%(contents)", *places) or None


def keep(workspace: Path, copy: Path, name: str, message: str) -> None:
    """The copy as an experiment of DVC, from one moment to the next: what git sees of it, in a commit on HEAD.

    Raises DeepmarkError where the name was taken in the meantime.
    """
    head = git(copy, "rev-parse", "HEAD")
    git(copy, "add", "--all")
    git(copy, *IDENTITY, "commit", "--quiet", "--no-verify", "--allow-empty", "--message", message)
    git(workspace, "fetch", "--quiet", "--no-tags", "--no-write-fetch-head", str(copy), "HEAD")
    commit = git(copy, "rev-parse", "HEAD")
    try:  # DVC's place for experiments; the empty value says that there must be none
        git(workspace, "update-ref", f"refs/exps/{head[:2]}/{head[2:]}/{name}", commit, "")
    except DeepmarkError:
        if not find_kept(workspace, name):
            raise
        raise DeepmarkError(
            f"The name '{name}' was taken while the experiment ran. Launch it again with another: what ran is in DVC's "
            "cache, and does not run again."
        ) from None


@contextmanager
def _only_one(folder: Path, name: str) -> Iterator[Path]:
    folder.mkdir(parents=True, exist_ok=True)
    lock = os.open(folder, os.O_RDONLY)
    try:
        fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        yield folder
    except BlockingIOError:
        raise DeepmarkError(
            f"The experiment '{name}' is being run already. Wait for it, or choose another name."
        ) from None
    finally:
        os.close(lock)


def _copy_files(workspace: Path, copy: Path) -> None:
    """A clone, with the files as they are in the workspace: also what is not committed yet."""
    git(workspace, "clone", "--quiet", "--no-checkout", str(workspace), str(copy))
    git(copy, "reset", "--quiet")
    known = git(workspace, "ls-files", "-z", "--cached", "--others", "--exclude-standard", "--", ".", ":!runs")
    for file in filter(None, known.split("\0")):
        source, place = workspace / file, copy / file
        if source.is_file() or source.is_symlink():
            place.parent.mkdir(parents=True, exist_ok=True)
            shutil.copy2(source, place, follow_symlinks=False)


def _share_cache(workspace: Path, copy: Path) -> None:
    from dvc.config import Config
    from dvc.exceptions import NotDvcRepoError
    from dvc.repo import Repo

    try:
        with Repo(str(workspace)) as repo:
            cache = repo.cache.local_cache_dir
    except NotDvcRepoError:
        raise DeepmarkError(f"{workspace}: DVC does not know it. Make it known: dvc init") from None
    own = workspace / ".dvc/config.local"
    if own.is_file():
        shutil.copyfile(own, copy / ".dvc/config.local")
    with Config(str(copy / ".dvc")).edit("local") as config:
        config.setdefault("cache", {}).update(dir=cache, type=_LINKS)
        config.setdefault("core", {})["site_cache_dir"] = str(copy / ".dvc/tmp/site")  # else left below /var/tmp


def _link_unknown_to_git(workspace: Path, copy: Path) -> None:
    """What a training reads and writes beside its data: checkpoints in progress, start weights, fetched shards."""
    params = Workspace(copy).params
    kept = ["runs/train", *([params.storage.cache] if is_url(params.storage.shards) else [])]
    for path in kept:
        (workspace / path).mkdir(parents=True, exist_ok=True)
    for path in filter(None, (*kept, params.train.init)):
        link(workspace, copy, path)
