"""One process of a training: it joins the others, and trains.

launch.py starts it through torchrun; under a scheduler that sets RANK, `deepmark train` itself is the process.
"""

import argparse
import ctypes
import os
import signal
import sys
from contextlib import ExitStack
from pathlib import Path

import torch
from torch.distributed.elastic.multiprocessing.errors import record

from deepmark.errors import DeepmarkError, told_as_mistakes
from deepmark.train.distributed.process_group import ProcessGroup, join_process_group, lost_peers_told
from deepmark.train.distributed.stop_signal import StopSignal
from deepmark.train.distributed.torch_internals import error_is_written
from deepmark.train.prepare_process import prepare_process
from deepmark.train.run import train_rank
from deepmark.workspace.layout import Workspace

_PR_SET_PDEATHSIG = 1


def die_with_parent(launcher: int | None) -> None:
    """Make this rank end when its launcher is killed, instead of holding a GPU for ever (Linux).

    `launcher` is the parent's process id, for the case that it has ended already; None where it is not known.
    """
    if sys.platform == "linux":
        ctypes.CDLL(None).prctl(_PR_SET_PDEATHSIG, signal.SIGKILL)
    if launcher is not None and os.getppid() != launcher:
        sys.exit("the launcher is gone")


def _train_guarded(workspace: Workspace, run_folder: Path, group: ProcessGroup, stop: StopSignal) -> None:
    with told_as_mistakes(), lost_peers_told(group):
        train_rank(workspace, run_folder, group, stop)


def run_rank(workspace: Workspace, run_folder: Path, launcher: int | None = None) -> None:
    """Run the training process of the rank in the environment, from joining the others to the end.

    Errors are first written down for torchrun, then raised; a mistake of the user is a DeepmarkError.
    """
    die_with_parent(launcher)
    stop = StopSignal()
    stop.install()
    prepare_process()
    try:
        with ExitStack() as stack:
            group = record(stack.enter_context)(join_process_group(workspace.params.compute.timeout_seconds))
            assert group is not None
            if group.device.type == "cpu" and "OMP_NUM_THREADS" not in os.environ:
                torch.set_num_threads(max(1, (os.cpu_count() or 1) // group.local_world_size))
            # Inside the group: the error is on disk before the other ranks fail because this one has ended.
            record(_train_guarded)(workspace, run_folder, group, stop)
    except SystemExit as end:
        # After an interrupted collective, gloo's threads and the interpreter would wait for each other at shutdown.
        sys.stderr.flush()
        os._exit(int(end.code or 0))
    finally:
        stop.ignore()


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--workspace", type=Path, required=True)
    parser.add_argument("--run-folder", type=Path, required=True, help="for checkpoints")
    parser.add_argument("--launcher", type=int, help="process id of the parent")
    arguments = parser.parse_args()
    run_rank(Workspace(arguments.workspace), arguments.run_folder, arguments.launcher)


if __name__ == "__main__":
    try:
        main()
    except DeepmarkError as error:  # the launcher prints the error of the first rank that failed
        sys.exit(1 if error_is_written() else f"deepmark train: {error}")
    except BaseException:
        if error_is_written():
            sys.exit(1)
        raise
