"""One process of a training: join the others, and train.

Started by torchrun through launch.py; below a scheduler that sets RANK, `deepmark train` itself is the process.
"""

import argparse
import ctypes
import os
import signal
import sys
from contextlib import ExitStack
from pathlib import Path

import cv2
import torch
from torch.distributed.elastic.multiprocessing.errors import record

from deepmark.errors import DeepmarkError
from deepmark.train.distributed.peer_watchdog import watched
from deepmark.train.distributed.process_group import Group, joined_group
from deepmark.train.distributed.stop_signal import StopSignal
from deepmark.train.run import train_rank
from deepmark.workspace.layout import Workspace

_PR_SET_PDEATHSIG = 1


def die_with_parent(launcher: int | None) -> None:
    """A rank whose launcher was killed ends too, instead of holding a GPU for ever (Linux).

    `launcher` is the parent's process id, for the case that it is gone already; None where it is not known.
    """
    if sys.platform == "linux":
        ctypes.CDLL(None).prctl(_PR_SET_PDEATHSIG, signal.SIGKILL)
    if launcher is not None and os.getppid() != launcher:
        sys.exit("the launcher is gone")


def _train_watched(workspace: Workspace, group: Group, stop: StopSignal) -> None:
    with watched(group.watch):
        train_rank(workspace, group, stop)


def run_rank(workspace: Workspace, launcher: int | None = None) -> None:
    """Be the process of the training that RANK announces, from joining the others to the end.

    Raises what went wrong after it is written down for torchrun: the user's to mend as DeepmarkError.
    """
    die_with_parent(launcher)
    stop = StopSignal()
    stop.listen()
    cv2.setNumThreads(0)
    try:
        with ExitStack() as stack:
            group = record(stack.enter_context)(joined_group(workspace.params.train.launch.timeout_seconds))
            assert group is not None
            if group.device.type == "cpu" and "OMP_NUM_THREADS" not in os.environ:
                torch.set_num_threads(max(1, (os.cpu_count() or 1) // group.local_world))
            # Inside the group: the reason is on disk before the other ranks notice that one is gone, and fail of that.
            record(_train_watched)(workspace, group, stop)
    except SystemExit as end:
        # Cut off in a collective, gloo's threads wait for the interpreter, which at its end waits for them.
        sys.stderr.flush()
        os._exit(int(end.code or 0))
    finally:
        stop.hear_no_more()


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--workspace", type=Path, required=True)
    parser.add_argument("--launcher", type=int, help="process id of the parent")
    arguments = parser.parse_args()
    run_rank(Workspace(arguments.workspace), arguments.launcher)


def _is_written_down() -> bool:
    """Whether the launcher can read why this process failed; it tells the user of the first rank that did."""
    return Path(os.environ.get("TORCHELASTIC_ERROR_FILE", "none")).is_file()


if __name__ == "__main__":
    try:
        main()
    except DeepmarkError as error:
        sys.exit(1 if _is_written_down() else f"deepmark train: {error}")
    except BaseException:
        if _is_written_down():
            sys.exit(1)
        raise
