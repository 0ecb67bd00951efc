"""The model that serves: a file for good, or whichever version has an alias in the registry."""

import asyncio
import logging
from typing import Any, Protocol, runtime_checkable

from deepmark.errors import explain
from deepmark.images import OpenedImage
from deepmark.server.batcher import BatchDetector
from deepmark.server.metrics import Metrics
from deepmark.vocabulary import Vocabulary

_log = logging.getLogger("uvicorn.error")  # uvicorn's own name for what is not about a request


@runtime_checkable
class Detector(BatchDetector, Protocol):
    """What a server needs of a detector; those of `load_detector` have it."""

    @property
    def min_score(self) -> float: ...

    @property
    def strategy(self) -> str: ...

    @property
    def vocabulary(self) -> Vocabulary: ...

    def prepare(self, image: OpenedImage) -> Any:
        """An image as the network sees it. Raises DeepmarkError where it is damaged."""

    def with_options(self, *, strategy: str | None = None, min_score: float | None = None) -> "Detector":
        """The same network with other options. Raises DeepmarkError for a strategy that it cannot do."""


class ServedModel:
    """A detector that was loaded, and what to say of it."""

    def __init__(self, detector: Detector, facts: dict[str, Any]) -> None:
        self.facts = facts
        """What answers say of the model: name and strategy, and the version of a registered one."""

        self.min_score, self.vocabulary = detector.min_score, detector.vocabulary
        self._loaded = detector
        self._by_strategy: dict[str, Detector] = {}

    def detector(self, strategy: str | None) -> Detector:
        """The detector for a strategy, that of the server if None; it leaves out no detection for its score.

        Raises DeepmarkError for a strategy that the model cannot do.
        """
        strategy = strategy or self._loaded.strategy
        if strategy not in self._by_strategy:
            self._by_strategy[strategy] = self._loaded.with_options(strategy=strategy, min_score=0.0)
        return self._by_strategy[strategy]


@runtime_checkable
class ModelSource(Protocol):
    """Where models come from."""

    def newest(self) -> int | None:
        """The version that should serve; None where there is only one."""

    def load(self, version: int | None) -> ServedModel: ...


class FollowedModel:
    """The model of a source, replaced when the source has another; requests that it took, it finishes."""

    def __init__(self, source: ModelSource, *, poll: float, metrics: Metrics) -> None:
        """`poll`: seconds between two questions for the version that should serve."""
        self._source, self._poll, self._metrics = source, poll, metrics
        self._version = source.newest()
        self.current = source.load(self._version)
        self._told: str | None = None
        self._say()

    def _say(self) -> None:
        self._metrics.model.info({name: str(value) for name, value in self.current.facts.items()})

    async def follow(self) -> None:
        """Until it is cancelled, load the version that should serve whenever it is another."""
        while self._version is not None:
            await asyncio.sleep(self._poll)
            await self.look()

    async def look(self) -> None:
        """Ask once. Where the new model cannot be loaded, the old one goes on serving, and the log says why."""
        try:
            version = await asyncio.to_thread(self._source.newest)
            if version == self._version:
                self._told = None
                return
            self.current = await asyncio.to_thread(self._source.load, version)
        except Exception as error:  # whatever it is, those who ask for detections shall get them
            self._metrics.model_changes.labels("failed").inc()
            message = explain(error) or f"{type(error).__name__}: {error}"
            if message != self._told:  # once, not at every question
                _log.error("the model stays %s: %s", self.current.facts["name"], message)
            self._told = message
            return
        self._version, self._told = version, None
        self._metrics.model_changes.labels("loaded").inc()
        self._say()
        _log.info("the model is now %s", self.current.facts["name"])
