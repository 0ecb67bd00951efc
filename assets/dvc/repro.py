"""Makes stages of a workspace by `dvc repro`, as a process that cannot outlive us; knows nothing of Dagster."""

import re
import subprocess
import sys
import time
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from types import MappingProxyType
from typing import Literal

from assets.dvc import dvc_internals
from assets.dvc.graph import check_workspace_files
from deepmark.errors import DeepmarkError, redact
from deepmark.workspace.environment import child_environment

Outcome = Literal["ran", "restored", "unchanged"]

_PROCESS_LOST = re.compile(r"killed by SIG[A-Z]+|lost another process|lost machines or processes")
"""In what `deepmark train` prints: a signal ended a rank, or a process or its machine was lost."""


class StageFailedError(Exception):
    """The stage's command, or DVC itself, exited with an error; the message is the last that it printed."""


class StageEndedError(StageFailedError):
    """The stage was ended from outside (out of memory, a reboot, a lock that was never released): try it again."""


def repro(
    workspace: Path,
    *stages: str,
    options: Sequence[str] = ("--single-item",),
    env: Mapping[str, str] = MappingProxyType({}),
    progress: Callable[[str], None] = print,
    patience: float = 600.0,
) -> Outcome:
    """Bring stages up to date by `dvc repro`: by default these alone, and what they depend on stays as it is.

    `progress` gets each line that is printed, at once. While another process holds DVC's lock, or works on the same
    files, it tries again, for `patience` seconds. On any exception, it first ends every process that it started.

    Returns whether a command ran, DVC restored earlier results, or nothing had changed.
    Raises StageEndedError where trying again may help, StageFailedError where it will not.
    """
    try:
        check_workspace_files(workspace)
        dvc_internals.remove_cut_rwlock(workspace)
    except DeepmarkError as error:
        raise StageFailedError(str(error)) from None
    deadline, pause = time.monotonic() + patience, 0.5
    while True:
        status, lines = run_guarded(["dvc", "repro", *options, *stages], workspace, env, progress)
        text = "\n".join(lines)
        if status == 0:
            return _outcome(text)
        is_busy = dvc_internals.is_busy(text)
        if not is_busy or time.monotonic() + pause > deadline:
            ended = is_busy or _was_killed(status, text)
            message = "\n".join(dvc_internals.error_lines(lines)[-20:]) or "it failed and printed nothing"
            raise (StageEndedError if ended else StageFailedError)(message)
        progress(f"Another DVC process is at work in {workspace}: trying again in {pause:.1f} s.")
        time.sleep(pause)
        pause = min(1.5 * pause, 10.0)


def run_guarded(
    command: list[str], folder: Path, env: Mapping[str, str], progress: Callable[[str], None]
) -> tuple[int, list[str]]:
    """Run a command that cannot outlive us, in `folder`; returns its exit status and the lines that it printed.

    Passwords and signatures in URLs are hidden, for `progress` gets the lines too, and what it keeps is seen by many.
    """
    lines = []
    with subprocess.Popen(
        guarded(command),
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
                lines.append(redact(line.rstrip()))
                if not dvc_internals.is_advice(lines[-1]):
                    progress(lines[-1])
        except BaseException:
            guard.terminate()
            raise
    return guard.returncode, lines


def guarded(command: Sequence[str]) -> list[str]:
    """The command below assets.dvc.process_guard, which ends it when the other end of its stdin is closed."""
    return [sys.executable, "-P", "-m", "assets.dvc.process_guard", *command]


def _was_killed(status: int, text: str) -> bool:
    """DVC itself, a stage's command or a rank of a training, by a signal: -n, 256 - n or 128 + n as exit status."""
    dvc_was = status < 0 or 128 < status < dvc_internals.OTHER_ERROR
    return dvc_was or dvc_internals.command_was_killed(text) or bool(_PROCESS_LOST.search(text))


def _outcome(text: str) -> Outcome:
    if dvc_internals.has_run(text):
        return "ran"
    return "restored" if dvc_internals.has_restored(text) else "unchanged"
