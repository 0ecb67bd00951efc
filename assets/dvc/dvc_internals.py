"""Everything of DVC that it does not document: the sentences it prints, modules behind its commands, its git refs.

Read in `VERSION`. When DVC is raised, read this file again; nothing else of the product imports `dvc`.
"""

import contextlib
import io
import json
import re
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import psutil

from deepmark.errors import DeepmarkError

VERSION = "3.67.1"

UP_TO_DATE = "Data and pipelines are up to date."
"""What `dvc repro` prints where no stage has anything to do."""

EXPERIMENTS = "refs/exps"
"""Where `dvc exp` looks for experiments in git: refs/exps/ab/cdef…/NAME is a commit on top of the commit abcdef…"""

OTHER_ERROR = 255
"""The exit status of `dvc repro` for every error of its own or of a stage."""

_BUSY = re.compile(r"Unable to acquire lock|is busy, it is being blocked by")
_ADVICE = re.compile(
    r"$|To track the changes with git|\tgit add |To enable auto staging|\tdvc config core.autostage|Use `dvc push`|"
    r"(Generating|Updating) lock file"
)
_COMMAND_KILLED = re.compile(r"failed to run: .*, exited with (-\d+|1[345]\d)")
_RUNNING = "Running stage '"


def is_busy(output: str) -> bool:
    """Whether `dvc repro` gave up because another process holds DVC's lock, or works on the same files."""
    return bool(_BUSY.search(output))


def is_advice(line: str) -> bool:
    """Whether a line is empty or advice for people who run DVC by hand, which it repeats at every stage."""
    return bool(_ADVICE.match(line))


def command_was_killed(output: str) -> bool:
    """Whether a signal ended a stage's command; a shell reports 128 + the signal's number."""
    return bool(_COMMAND_KILLED.search(output))


def has_run(output: str) -> bool:
    """Whether `dvc repro` has run a stage's command."""
    return _RUNNING in output


def has_restored(output: str) -> bool:
    """Whether `dvc repro` took an earlier result from its cache instead of running a command."""
    return "is cached - skipping run" in output


def error_lines(lines: Sequence[str]) -> list[str]:
    """What the last command printed before it failed, or what DVC printed where it did not get to a command."""
    lines = [line for line in lines if line.strip()]
    started = max((number for number, line in enumerate(lines) if line.startswith(_RUNNING)), default=None)
    if started is None:
        return lines
    after = lines[started + 2 :]  # the line in between is the command
    return [line for line in after if not line.startswith("ERROR: failed to reproduce")]


def load_stages(file: Path) -> dict[str, Any]:
    """The stages of a dvc.yaml by address, in its order: cmd, deps, outs and meta of each.

    Raises DeepmarkError for a file that DVC cannot read.
    """
    from dvc.dvcfile import load_file
    from dvc.exceptions import DvcException, PrettyDvcException
    from dvc.repo import Repo

    try:
        return dict(load_file(Repo(str(file.parent), uninitialized=True), str(file)).stages)
    except PrettyDvcException as error:
        with contextlib.redirect_stderr(io.StringIO()) as printed, contextlib.suppress(ValueError):
            error.__pretty_exc__()
        raise DeepmarkError(f"{file}: DVC cannot read it.\n{printed.getvalue().strip() or error}") from error
    except DvcException as error:
        raise DeepmarkError(f"{file}: DVC cannot read it: {error}") from error


def is_up_to_date(workspace: Path, stage: str) -> bool:
    """Whether DVC finds nothing to do for a stage; False where it cannot tell now.

    It cannot while another process is at work, or where a file cannot be read: `dvc repro` waits, or reports it. Asked
    in this process, it takes 0.1 s; starting `dvc repro` takes 0.65 s before it finds the same.
    """
    from dvc.exceptions import DvcException
    from dvc.repo import Repo

    try:
        with Repo(str(workspace)) as repo:
            return not repo.status(targets=[f"{workspace}/dvc.yaml:{stage}"])
    except DvcException:
        return False


def remove_cut_rwlock(workspace: Path) -> None:
    """Remove .dvc/tmp/rwlock where a kill left it empty or cut: DVC would refuse every command for ever.

    Raises DeepmarkError where another process of DVC is at work, which may hold what the file said.
    """
    from dvc.lock import LockError, make_lock

    file = workspace / ".dvc/tmp/rwlock"
    if _is_whole(file):
        return
    others = _processes_of_dvc(workspace)
    try:
        if not others:
            with make_lock(str(file.with_name("rwlock.lock")), tmp_dir=str(file.parent)):  # DVC writes it under this
                if not _is_whole(file):
                    file.unlink()
            return
    except LockError:
        pass
    raise DeepmarkError(
        f"{file}: cut, by a kill at the wrong moment, and DVC is at work here"
        + (f" (process {', '.join(map(str, others))})" if others else "")
        + ". Start again when that has ended, and this file is removed."
    )


def _is_whole(file: Path) -> bool:
    try:
        return isinstance(json.loads(file.read_bytes()), dict)
    except FileNotFoundError:
        return True
    except ValueError:
        return False


def _processes_of_dvc(workspace: Path) -> list[int]:
    """The processes whose command is dvc, or a script of that name, in the folder of a workspace or below it."""
    found = []
    for process in psutil.process_iter(["cmdline", "cwd"]):
        words, folder = process.info["cmdline"] or [], process.info["cwd"]
        if folder and Path(folder).is_relative_to(workspace.resolve()) and "dvc" in {Path(w).name for w in words[:2]}:
            found.append(process.pid)
    return found


def share_cache(workspace: Path, copy: Path, link_types: Sequence[str]) -> None:
    """Make a clone of a workspace use the workspace's cache and its local settings.

    Files are checked out as the first of `link_types` that the disk can do. Raises DeepmarkError for a workspace
    without DVC.
    """
    from dvc.config import Config
    from dvc.config_schema import RelPath
    from dvc.exceptions import NotDvcRepoError
    from dvc.repo import Repo

    try:
        with Repo(str(workspace)) as repo:
            cache = repo.cache.local_cache_dir
    except NotDvcRepoError:
        raise DeepmarkError(f"{workspace}: not a DVC repository. Make it one: dvc init") from None
    settings = workspace / ".dvc/config.local"
    if settings.is_file():
        (copy / ".dvc/config.local").write_bytes(settings.read_bytes())
    with Config(str(copy / ".dvc")).edit("local") as config:
        # Both are written as relative paths, because DVC writes ASCII only into a configuration.
        config.setdefault("cache", {}).update(dir=RelPath(cache), type=list(link_types))
        config.setdefault("core", {})["site_cache_dir"] = ".dvc/tmp/site"  # else left below /var/tmp
