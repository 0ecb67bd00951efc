"""What a request to /v1/detect goes through, from its body to its answer."""

import asyncio
import os
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from typing import Any

import numpy as np
from fastapi import Request

from deepmark.errors import DeepmarkError
from deepmark.images import open_image
from deepmark.server.answers import Options
from deepmark.server.batcher import Batcher
from deepmark.server.limits import Limits
from deepmark.server.metrics import Metrics
from deepmark.server.refusals import RequestRefusedError
from deepmark.server.served_model import Detector, FollowedModel
from deepmark.server.uploads import Upload, read_uploads
from deepmark.types import Detections
from deepmark.vocabulary import Vocabulary

_RETRY = {"Retry-After": "1"}
_PREPARED_BATCHES = 4
"""Batches of images that may be ready for the network at once; more would only take memory."""


class DetectService:
    """Answers requests with the detections of their images; use it as an asynchronous context manager."""

    def __init__(self, model: FollowedModel, limits: Limits, metrics: Metrics) -> None:
        self.model, self.limits, self.metrics = model, limits, metrics
        self.waiting = 0
        self._batcher = Batcher(max_batch=limits.max_batch, max_delay=limits.max_delay, on_batch=self._count_batch)
        self._decoders = ThreadPoolExecutor(os.cpu_count(), thread_name_prefix="decoder")
        self._ready = asyncio.Semaphore(_PREPARED_BATCHES * limits.max_batch)

    async def __aenter__(self) -> "DetectService":
        await self._batcher.__aenter__()
        return self

    async def __aexit__(self, *error: object) -> None:
        await self._batcher.__aexit__(*error)
        self._decoders.shutdown()

    def _count_batch(self, images: int, seconds: float) -> None:
        self.metrics.batch_images.observe(images)
        self.metrics.batch_seconds.observe(seconds)

    async def answer(self, request: Request, options: Options) -> dict[str, Any]:
        """The answer, as answers.DetectAnswer describes it. Raises RequestRefusedError."""
        if self.waiting >= self.limits.max_waiting:
            message = f"{self.limits.max_waiting} requests wait already. Try again soon."
            raise RequestRefusedError(429, "busy", message, headers=_RETRY)
        self.waiting += 1
        self.metrics.waiting.set(self.waiting)
        started = asyncio.get_running_loop().time()
        try:
            return await self._answer(request, options, started + self.limits.timeout)
        finally:
            self.waiting -= 1
            self.metrics.waiting.set(self.waiting)

    async def _answer(self, request: Request, options: Options, deadline: float) -> dict[str, Any]:
        uploads, model = [], self.model.current
        try:
            async with asyncio.timeout_at(deadline):
                uploads = await read_uploads(request, self.limits)
        except TimeoutError:
            message = f"the request did not arrive within {self.limits.timeout:g} seconds."
            raise RequestRefusedError(408, "too_slow", message) from None
        try:
            detector = model.detector(options.strategy)
        except DeepmarkError as error:
            raise RequestRefusedError(400, "bad_option", str(error)) from None
        least = model.min_score if options.min_score is None else options.min_score
        wanted = _numbers(options.category, model.vocabulary)
        try:
            async with asyncio.timeout_at(deadline):
                async with asyncio.TaskGroup() as tasks:
                    found = [tasks.create_task(self._detect(detector, upload, least, wanted)) for upload in uploads]
        except TimeoutError:
            message = f"no answer within {self.limits.timeout:g} seconds. Try again soon."
            raise RequestRefusedError(503, "no_time", message, headers=_RETRY) from None
        except BaseExceptionGroup as errors:  # of several, the first
            raise errors.exceptions[0] from None
        facts = {**model.facts, "strategy": detector.strategy, "min_score": least}
        return {"model": facts, "images": [task.result() for task in found]}

    async def _detect(self, detector: Detector, upload: Upload, least: float, wanted: list[int]) -> dict[str, Any]:
        async with self._ready:
            try:
                prepare = partial(self._prepare, detector, upload)
                size, note, prepared = await asyncio.get_running_loop().run_in_executor(self._decoders, prepare)
            except DeepmarkError as error:
                raise RequestRefusedError(400, "image_refused", str(error), image=upload.name) from None
            detections = await self._batcher.detect(detector, prepared)
        kept = _kept(detections, least, wanted)
        for category in kept.each_category:
            self.metrics.garments.labels(category.name).inc()
        height, width = size
        return {
            "name": upload.name,
            "width": width,
            "height": height,
            "note": note or None,
            "garments": kept.as_dicts(),
        }

    def _prepare(self, detector: Detector, upload: Upload) -> tuple[tuple[int, int], str, Any]:
        image = open_image(upload.content, name=upload.name, max_pixels=self.limits.max_pixels)
        return image.size, image.note, detector.prepare(image)


def _numbers(names: list[str], vocabulary: Vocabulary) -> list[int]:
    """The categories of these names; raises RequestRefusedError for one that the model does not know."""
    for place, name in enumerate(names):
        if name not in vocabulary.by_name:
            *others, last = (repr(known) for known in vocabulary.by_name)
            choice = f"{', '.join(others)} or {last}" if others else last
            raise RequestRefusedError(422, "bad_option", f"category.{place}: Input should be {choice}.")
    return [vocabulary.by_name[name].index for name in names]


def _kept(detections: Detections, least: float, wanted: list[int]) -> Detections:
    """Those of at least this score and of the wanted categories; of all where none is named."""
    keep = detections.scores >= least
    if wanted:
        keep &= np.isin(detections.categories, wanted)
    return detections[keep]
