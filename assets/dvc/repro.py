"""Makes stages of a workspace through DVC, as a process that cannot outlive us; knows nothing of Dagster."""

import re
import subprocess
import sys
import time
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from types import MappingProxyType
from typing import Literal

from deepmark.workspace.environment import child_environment

Outcome = Literal["ran", "restored", "unchanged"]

_BUSY = re.compile(r"Unable to acquire lock|is busy, it is being blocked by")
_CHATTER = re.compile(
    r"$|To track the changes with git|\tgit add |To enable auto staging|\tdvc config core.autostage|Use `dvc push`|"
    r"(Generating|Updating) lock file"
)
"""What DVC repeats at every stage, to people who run it by hand."""


_ENDED = re.compile(r"failed to run: .*, exited with (-\d+|1[345]\d)|killed by SIG[A-Z]+|LostMachineError")
"""A signal ended the command (a shell says 128 + its number) or a rank of the training; or a machine was lost."""


class StageFailedError(Exception):
    """The stage's command, or DVC itself, exited with an error; the message is what it said last."""


class StageEndedError(StageFailedError):
    """The stage was ended from outside (no memory, a reboot, a lock nobody gave back): it may work the next time."""


def is_up_to_date(workspace: Path, stage: str) -> bool:
    """Whether DVC finds nothing to do for a stage; False where that cannot be told now.

    Asked in this process: 0.1 s, where starting `dvc` takes 0.65 s before it finds the same.
    """
    from dvc.exceptions import DvcException
    from dvc.repo import Repo

    try:
        with Repo(str(workspace)) as repo:
            return not repo.status(targets=[f"{workspace}/dvc.yaml:{stage}"])
    except DvcException:
        return False  # another process is at work, or a file cannot be read: `dvc repro` waits, or says so


def repro(
    workspace: Path,
    *stages: str,
    options: Sequence[str] = ("--single-item",),
    env: Mapping[str, str] = MappingProxyType({}),
    tell: Callable[[str], None] = print,
    patience: float = 600.0,
) -> Outcome:
    """Bring stages up to date by `dvc repro`: by default these alone, and what they depend on stays as it is.

    `tell` gets each line it prints, as it comes. While another process holds DVC's lock, or works on the same files,
    it tries again, for `patience` seconds. Interrupted by whatever exception, it first ends every process it started.

    Returns whether a command ran, DVC restored earlier results, or nothing had changed.
    Raises StageEndedError where trying again may help, StageFailedError where it will not.
    """
    deadline, pause = time.monotonic() + patience, 0.5
    while True:
        status, lines = run_guarded(["dvc", "repro", *options, *stages], workspace, env, tell)
        text = "\n".join(lines)
        if status == 0:
            return _outcome(text)
        is_busy = _BUSY.search(text)
        if not is_busy or time.monotonic() + pause > deadline:
            # DVC itself exits with 255 for whatever went wrong; below that, 256 - n or 128 + n stand for a signal.
            ended = is_busy or status < 0 or 128 < status < 255 or _ENDED.search(text)
            raise (StageEndedError if ended else StageFailedError)(_last_words(lines))
        tell(f"Another DVC process is at work in {workspace}: trying again in {pause:.1f} s.")
        time.sleep(pause)
        pause = min(1.5 * pause, 10.0)


def run_guarded(
    command: list[str], folder: Path, env: Mapping[str, str], tell: Callable[[str], None]
) -> tuple[int, list[str]]:
    """A command that cannot outlive us, in `folder`: its exit status, and the lines it printed."""
    lines = []
    with subprocess.Popen(
        [sys.executable, "-P", "-m", "assets.dvc.process_guard", *command],
        cwd=folder,
        env={**child_environment(), "PYTHONUNBUFFERED": "1", "DVC_NO_ANALYTICS": "true", **env},
        stdin=subprocess.PIPE,  # never written: its end tells the guard that we are gone
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        errors="replace",
        start_new_session=True,  # a terminal's Ctrl-C reaches us alone, and the guard through us
    ) as guard:
        assert guard.stdout is not None
        try:
            for line in guard.stdout:
                lines.append(line.rstrip())
                if not _CHATTER.match(lines[-1]):
                    tell(lines[-1])
        except BaseException:
            guard.terminate()
            raise
    return guard.returncode, lines


def _outcome(text: str) -> Outcome:
    if "Running stage" in text:
        return "ran"
    return "restored" if "is cached - skipping run" in text else "unchanged"


def _last_words(lines: list[str]) -> str:
    """What the last command said before it failed; what DVC said, where it did not get as far as the command."""
    said = [line for line in lines if line.strip()]
    started = max((number for number, line in enumerate(said) if line.startswith("Running stage '")), default=None)
    if started is not None:  # the next line is the command
        said = [line for line in said[started + 2 :] if not line.startswith("ERROR: failed to reproduce")]
    return "\n".join(said[-20:]) or "it failed without a word"
