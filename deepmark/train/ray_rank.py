"""One process of a training on a Ray cluster: what `worker` is below torchrun, and knows nothing of Ray.

It runs in a thread of a process of Ray's, so it handles no signals; the word to end is a file in the shared workspace,
and so is rank 0's log, because Ray would write what processes print to standard output, among a command's facts.
"""

import os
import traceback
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, redirect_stderr
from dataclasses import dataclass
from pathlib import Path
from typing import NoReturn

import torch

from deepmark.errors import DeepmarkError, told_as_mistakes
from deepmark.train.checkpoint import LOCK_SECONDS, RunLockedError
from deepmark.train.distributed.launch import RankError
from deepmark.train.distributed.meeting import MeetingError
from deepmark.train.distributed.process_group import (
    LostPeerError,
    join_process_group,
    lost_peers_told,
    rank_from_environment,
)
from deepmark.train.distributed.stop_signal import StopSignal
from deepmark.train.prepare_process import prepare_process
from deepmark.train.run import train_rank
from deepmark.workspace.layout import Workspace

_ZOMBIE_SECONDS = 60.0
"""How long a process on a machine that was cut off may go on, until Ray ends it there, and hold the lock of the run."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Job:
    """What each process is told; the paths are of a folder that all machines share."""

    workspace: Path
    run_folder: Path
    folder: Path
    """Of one start of the command: rank 0's log, and the word that the training is to end."""

    threads: int
    """Of a process on a CPU, which decide the bits of its sums; Ray would count the cores that it gave."""

    seconds: float
    """How long processes wait for each other."""

    environment: Mapping[str, str]

    @property
    def log(self) -> Path:
        return self.folder / "log"

    @property
    def stop(self) -> Path:
        return self.folder / "stop"

    @property
    def begun(self) -> Path:
        """There once processes have begun to train, so that those of a second start know that they are that."""
        return self.folder / "begun"


class _StopFile(StopSignal):
    """The word to end, which a file brings: the signal reaches the process of the command alone."""

    def __init__(self, file: Path) -> None:
        super().__init__()
        self.file = file

    @property
    def is_received(self) -> bool:
        return self.file.exists()

    def exit(self) -> NoReturn:
        raise DeepmarkError("stopped. The same command goes on from the last checkpoint.")


def run_rank_on_ray(job: Job) -> None:
    """One process of a training, started by Ray Train, from joining the others to the end.

    Raises LostPeerError where another process was lost, after which Ray starts all again, and DeepmarkError for
    anything else, which ends the training.
    """
    info = rank_from_environment()
    assert info is not None
    os.environ.update(job.environment)
    prepare_process()
    again = job.begun.exists()
    with _logged(job.log, here=info.rank == 0):
        try:
            with told_as_mistakes(), join_process_group(job.seconds) as group:
                if group.device.type == "cpu":
                    torch.set_num_threads(job.threads)
                if group.is_first:
                    job.begun.touch()
                with lost_peers_told(group):
                    workspace, stop = Workspace(job.workspace), _StopFile(job.stop)
                    lock_seconds = _ZOMBIE_SECONDS if again else LOCK_SECONDS
                    train_rank(workspace, job.run_folder, group, stop, lock_seconds=lock_seconds)
        except MeetingError as error:  # one was lost before it came
            raise LostPeerError(str(error)) from None
        except RunLockedError as error:
            if again:  # by a process on a machine that was cut off
                raise LostPeerError(str(error)) from None
            raise
        except DeepmarkError:
            raise
        except Exception as error:
            text = f"rank {info.rank} of the training failed: {type(error).__name__}: {error}\n"
            raise RankError((text + traceback.format_exc()).rstrip()) from None


@contextmanager
def _logged(file: Path, *, here: bool) -> Iterator[None]:
    """Let the first process write what it prints into the log, and the others into Ray's."""
    if not here:
        yield
        return
    with file.open("a", encoding="utf-8", buffering=1) as log, redirect_stderr(log):
        yield
