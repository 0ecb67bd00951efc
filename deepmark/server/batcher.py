"""Images of different requests that wait together run as one batch; each gets the same digits as alone."""

import asyncio
import time
from collections import deque
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from dataclasses import dataclass, field
from typing import Any, Protocol, runtime_checkable

from deepmark.types import Detections


@runtime_checkable
class BatchDetector(Protocol):
    """The part of a detector that runs the network."""

    @property
    def same_in_batches(self) -> bool:
        """Whether an image has the same digits in a batch as alone. If not, images run one by one."""

    def detect(self, images: Sequence[Any]) -> list[Detections]:
        """The detections of each prepared image."""


@dataclass(slots=True, eq=False)
class _Job:
    detector: BatchDetector
    image: Any
    result: asyncio.Future[Detections]
    arrived: float = field(default_factory=time.monotonic)


def _run(detector: BatchDetector, images: list[Any]) -> list[Detections]:
    if detector.same_in_batches:
        return detector.detect(images)
    return [detections for image in images for detections in detector.detect([image])]


class Batcher:
    """Collects images, and runs them on one thread; use it as an asynchronous context manager."""

    def __init__(
        self, *, max_batch: int, max_delay: float, on_batch: Callable[[int, float], None] = lambda count, seconds: None
    ) -> None:
        """`max_delay`: seconds that the first image of a batch waits for others while the network is idle.

        `on_batch` is called after each batch with the number of its images, and its seconds.
        """
        self._max_batch, self._max_delay, self._on_batch = max_batch, max_delay, on_batch
        self._jobs: deque[_Job] = deque()
        self._arrived = asyncio.Event()
        self._full = asyncio.Event()
        self._thread = ThreadPoolExecutor(1, thread_name_prefix="network")

    async def __aenter__(self) -> "Batcher":
        self._worker = asyncio.create_task(self._work())
        return self

    async def __aexit__(self, *_: object) -> None:
        self._worker.cancel()
        with suppress(asyncio.CancelledError):
            await self._worker
        self._thread.shutdown()

    async def detect(self, detector: BatchDetector, image: Any) -> Detections:
        """The detections of an image that the same detector has prepared.

        Raises what the network raised for the batch.
        """
        job = _Job(detector, image, asyncio.get_running_loop().create_future())
        self._jobs.append(job)
        self._arrived.set()
        if len(self._jobs) >= self._max_batch:
            self._full.set()
        return await job.result

    async def _work(self) -> None:
        while True:
            await self._arrived.wait()
            await self._wait_for_others()
            batch = self._take()
            if not batch:
                continue
            started = time.monotonic()
            try:
                results = await asyncio.get_running_loop().run_in_executor(
                    self._thread, _run, batch[0].detector, [job.image for job in batch]
                )
            except Exception as error:  # whoever waits for the batch gets it, and the next batch goes on
                for job in batch:
                    if not job.result.done():
                        job.result.set_exception(error)
                continue
            for job, detections in zip(batch, results, strict=True):
                if not job.result.done():  # its client may have gone away meanwhile
                    job.result.set_result(detections)
            self._on_batch(len(batch), time.monotonic() - started)

    async def _wait_for_others(self) -> None:
        """Wait until there are enough images for a batch, or the first one has waited for `max_delay`."""
        self._full.clear()
        rest = self._jobs[0].arrived + self._max_delay - time.monotonic()
        if len(self._jobs) < self._max_batch and rest > 0:
            with suppress(TimeoutError):
                await asyncio.wait_for(self._full.wait(), rest)

    def _take(self) -> list[_Job]:
        """The first image that somebody still waits for, and those for the same detector, in order of arrival."""
        waiting = [job for job in self._jobs if not job.result.done()]
        batch = [job for job in waiting if job.detector is waiting[0].detector][: self._max_batch]
        taken = set(map(id, batch))
        self._jobs = deque(job for job in waiting if id(job) not in taken)
        if not self._jobs:
            self._arrived.clear()
        return batch
