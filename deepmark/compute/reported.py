"""Tells Dagster, where it started the stage, on which engine its pieces run, how many are done, and what was lost."""

import os
import time
from collections.abc import Callable, Generator, Iterable, Sized
from contextlib import closing
from typing import Any, Protocol, TypeVar

from deepmark.compute.engine import Engine, Place

T = TypeVar("T")
R = TypeVar("R")

KEY = "pieces"
"""What the messages to Dagster are called, by which the assets know them."""

EVERY_SECONDS = 5.0
"""Between two messages, unless a machine was lost or all pieces are done."""


class PlacedEngine(Engine, Protocol):
    """An engine that knows where it is at work."""

    name: str
    machines: int
    """At work now."""

    lost: int
    """Machines that were lost since the first piece."""


class Reported:
    """An engine that does what another does, and says how far it is."""

    def __init__(self, engine: PlacedEngine, send: Callable[[dict[str, Any]], None]) -> None:
        self.engine, self.send = engine, send

    def map_in_order(
        self, function: Callable[[T], R], items: Iterable[T], *, on: Place = "core"
    ) -> Generator[R, None, None]:
        """As `Engine`."""
        total, done, said, lost = (len(items) if isinstance(items, Sized) else None), 0, 0.0, 0
        with closing(self.engine.map_in_order(function, items, on=on)) as results:
            for result in results:
                done += 1
                now = time.monotonic()
                if now - said >= EVERY_SECONDS or self.engine.lost != lost or done == total:
                    said, lost = now, self.engine.lost
                    self.send({KEY: self._facts(done, total)})
                yield result

    def _facts(self, done: int, total: int | None) -> dict[str, Any]:
        return {
            "engine": self.engine.name,
            "machines": self.engine.machines,
            "pieces done": done,
            **({"pieces": total} if total is not None else {}),
            "lost machines": self.engine.lost,
        }


def reported(engine: PlacedEngine) -> Engine:
    """The engine, which reports to Dagster where Dagster started a parent of this process."""
    return Reported(engine, _send) if "DAGSTER_PIPES_CONTEXT" in os.environ else engine


def _send(message: dict[str, Any]) -> None:
    from dagster_pipes import PipesContext, open_dagster_pipes

    if not PipesContext.is_initialized():
        open_dagster_pipes()  # the process that Dagster started closes it, after its children have ended
    PipesContext.get().report_custom_message(message)
