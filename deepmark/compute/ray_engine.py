"""Runs the pieces of a stage on the machines of a Ray cluster.

A lost machine costs the pieces that it had: they are done again elsewhere. Tasks and no other part of Ray are used,
because the pieces, their order and the files are ours, and have to be the same bytes as on one machine.
"""

import os
import time
from collections import deque
from collections.abc import Callable, Generator, Iterable
from pathlib import Path
from typing import Any, TypeVar

from deepmark.compute.engine import Place
from deepmark.compute.ray_cluster import Machine, connect, head_answers, machines, warn
from deepmark.compute.software import differences, software
from deepmark.errors import DeepmarkError
from deepmark.params import ComputeParams

T = TypeVar("T")
R = TypeVar("R")

AHEAD = 2
"""Results per core of the cluster that may wait for the consumer; limits the memory."""

LOOK_SECONDS = 1.0
"""Between two looks at the machines, while a result is waited for."""

LOSSES = 20
"""How often the same piece may be lost with its process or machine, before the piece itself is taken for the cause."""

NO_CORES_SECONDS = 600
"""How long to wait for a machine with a core, where the last one was lost: a scheduler may bring another."""

HEAD_SECONDS = 20
"""How long the head may be silent."""

IDLE_SECONDS = 60
"""How long to wait, at an early end, for the pieces under way."""


def run_piece(function: Callable[[T], R], item: T, folder: str, ours: dict[str, str]) -> R:
    """One piece, on a machine of the cluster: with this software, and with relative paths from this folder."""
    if differs := differences(ours, software()):
        raise DeepmarkError(
            f"{_here()} has joined the cluster with {', '.join(differs)}. Install the same release there, start Ray on "
            "it again, and run this command again."
        )
    try:
        os.chdir(folder)
    except OSError as error:
        raise DeepmarkError(
            f"{folder}: cannot be entered on {_here()} ({error.strerror}). A workspace has to lie in a folder that all "
            "machines of the cluster share, under the same path."
        ) from None
    return function(item)


def _here() -> str:
    import ray

    return f"{os.uname().nodename} ({ray.util.get_node_ip_address()})"


class Ray:
    """An engine over the cores, or the GPUs, of a Ray cluster, whose machines may come and go."""

    name = "ray"

    def __init__(self, params: ComputeParams) -> None:
        self.params, self.machines, self.lost = params, 0, 0

    def map_in_order(
        self, function: Callable[[T], R], items: Iterable[T], *, on: Place = "core"
    ) -> Generator[R, None, None]:
        """As `Engine`; raises DeepmarkError where no cluster can be used, or a piece was lost `LOSSES` times."""
        crew = _Crew(connect(self.params), on, self.params.workers, self)
        import ray

        task: Any = ray.remote(**crew.needs, max_retries=LOSSES, retry_exceptions=False)(run_piece)
        shared = [ray.put(function), str(Path.cwd()), ray.put(software())]
        waiting: deque[Any] = deque()
        try:
            for item in items:
                crew.wait_for_a_place(waiting)
                waiting.append(task.remote(shared[0], item, *shared[1:]))
                while len(waiting) > AHEAD * crew.size:
                    yield crew.result_of(waiting.popleft())
            while waiting:
                yield crew.result_of(waiting.popleft())
        finally:
            if waiting and crew.has_head:
                for ref in waiting:
                    ray.cancel(ref)
                ray.wait(list(waiting), num_returns=len(waiting), timeout=IDLE_SECONDS, fetch_local=False)


class _Crew:
    """The machines at work on one stage: how many pieces they take, and which of them were lost."""

    def __init__(self, found: list[Machine], on: Place, workers: int | None, engine: Ray) -> None:
        self.workers, self.engine = workers, engine
        self.on_gpus = on == "device" and any(machine.gpus for machine in found)
        kinds = sorted({str(machine.gpu) for machine in found if machine.gpus})
        if self.on_gpus and len(kinds) > 1:
            raise DeepmarkError(
                f"the GPUs of the Ray cluster are of {len(kinds)} kinds ({', '.join(kinds)}), whose results differ "
                "in the last bits. Start Ray with --num-gpus=0 on the machines of one kind."
            )
        self.needs: dict[str, Any] = {"num_gpus": 1, "num_cpus": 0} if self.on_gpus else {"num_cpus": 1}
        self.size, self.has_head = 1, True
        self.since = self.looked = self.heard = time.monotonic()
        self.known: dict[str, Machine] = {}
        self._count(found)

    def _count(self, found: list[Machine]) -> None:
        working = {machine.id: machine for machine in found if (machine.gpus if self.on_gpus else machine.cores)}
        lost = sorted(machine.name for key, machine in self.known.items() if key not in working)
        if lost:
            self.engine.lost += len(lost)
            warn(f"lost {', '.join(lost)}: what ran there is done again on the {len(working)} that remain.")
        places = sum(int(machine.gpus if self.on_gpus else machine.cores) for machine in working.values())
        self.known, self.size = working, min(places, self.workers or places) or 1
        self.engine.machines = len(working)
        if working:
            self.since = time.monotonic()
        elif time.monotonic() - self.since > NO_CORES_SECONDS:
            raise DeepmarkError(
                f"the Ray cluster has had no {'GPU' if self.on_gpus else 'core'} for {NO_CORES_SECONDS // 60} minutes. "
                "Start Ray on its machines again, then run the same command again; `deepmark cluster check` shows them."
            )

    def _look(self) -> None:
        """Look which machines there are, once in `LOOK_SECONDS`; raises DeepmarkError where the head is lost.

        Ray itself would end this process a minute after the loss, with no more than a line of its log.
        """
        now = time.monotonic()
        if now - self.looked < LOOK_SECONDS:
            return
        self.looked = now
        if head_answers():
            self.heard = now
            self._count(machines())
        elif now - self.heard > HEAD_SECONDS:
            self.has_head = False
            raise DeepmarkError(
                f"the head of the Ray cluster has not answered for {HEAD_SECONDS} seconds. Start Ray on all machines "
                "again, then run the same command again."
            )

    def wait_for_a_place(self, waiting: Iterable[Any]) -> None:
        """Wait until fewer pieces than `compute.workers` are under way."""
        import ray

        unfinished = list(waiting)
        while self.workers and len(unfinished) >= self.workers:
            _, unfinished = ray.wait(
                unfinished, num_returns=len(unfinished) - self.workers + 1, timeout=LOOK_SECONDS, fetch_local=False
            )
            self._look()

    def result_of(self, ref: Any) -> Any:
        """The result of a piece, or the exception of its function; meanwhile looks which machines there are."""
        import ray
        import ray.exceptions as gone

        ready: list[Any] = []
        while not ready:
            ready, _ = ray.wait([ref], timeout=LOOK_SECONDS)
            self._look()
        try:
            return ray.get(ref)
        except gone.RayTaskError as error:
            raise error.cause from error
        except gone.OutOfMemoryError as error:
            raise DeepmarkError(
                "a machine of the Ray cluster has too little memory for a piece of this stage. Give its `ray start` "
                "fewer cores (--num-cpus), or lower compute.workers."
            ) from error
        except (
            gone.WorkerCrashedError,
            gone.NodeDiedError,
            gone.ObjectLostError,
        ) as error:
            raise DeepmarkError(
                f"a piece of this stage was lost {LOSSES + 1} times with the process or the machine that it ran on, "
                "most often for lack of memory. Look at the machines' memory, then run the same command again."
            ) from error
