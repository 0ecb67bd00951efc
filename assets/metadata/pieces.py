"""Where the pieces of a stage run, how many are done, which machines were lost: as metadata while the stage runs."""

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from threading import Event, Thread
from typing import Any

import dagster as dg

from deepmark.compute.reported import KEY

LOOK_SECONDS = 2.0


class PiecesShown:
    """Shows the messages of a stage's engine as observations of its asset, and keeps the latest of them."""

    def __init__(self, context: dg.AssetExecutionContext, asset: str, partition: str | None) -> None:
        self.context, self.asset, self.partition = context, asset, partition
        self.latest: dict[str, Any] = {}
        self._seen = 0

    @contextmanager
    def of(self, messages: Callable[[], Sequence[Any]]) -> Iterator[None]:
        """Look at the messages of a Pipes session until the block ends, and once more."""
        ended = Event()

        def watch() -> None:
            while not ended.wait(LOOK_SECONDS):
                self.look(messages())

        thread = Thread(target=watch, daemon=True)
        thread.start()
        try:
            yield
        finally:
            ended.set()
            thread.join()
            self.look(messages())

    def look(self, messages: Sequence[Any]) -> None:
        """Show the newest of the messages that came since the last look."""
        new, self._seen = messages[self._seen :], len(messages)
        told = [message[KEY] for message in new if isinstance(message, dict) and KEY in message]
        if told:
            self.latest = told[-1]
            self.context.log_event(
                dg.AssetObservation(asset_key=self.asset, partition=self.partition, metadata=self.latest)
            )
