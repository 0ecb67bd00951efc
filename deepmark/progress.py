"""Progress of a long job on standard error: a bar on a terminal, a line every ten seconds in a log."""

import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import timedelta

LINE_EVERY = 10.0
"""Seconds between two lines of a log."""


class _LogLines:
    def __init__(self, description: str, total: int, done: int) -> None:
        self.description, self.total, self.before, self.done = description, total, done, done
        self.started = self.spoke = time.monotonic()

    def advance(self, count: int) -> None:
        self.done += count
        now = time.monotonic()
        if now - self.spoke >= LINE_EVERY:
            self.spoke = now
            print(self.line(now), file=sys.stderr, flush=True)

    def line(self, now: float) -> str:
        rate = (self.done - self.before) / (now - self.started)
        speed = f"{rate:,.0f}" if rate >= 10 else f"{rate:.2g}"
        if not self.total:
            return f"{self.description}: {self.done:,} of ?, {speed} a second"
        left = timedelta(seconds=round((self.total - self.done) / rate)) if rate else "?"
        return f"{self.description}: {self.done:,} of {self.total:,}, {speed} a second, {left} left"


@contextmanager
def progress(description: str, total: int, *, done: int = 0) -> Iterator[Callable[[int], None]]:
    """A function to call with the number of further things done.

    `done` of them were done before, by an interrupted run. A total of 0 means that the total is not known.
    """
    if not sys.stderr.isatty():
        yield _LogLines(description, total, done).advance
        return
    from rich.console import Console
    from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn

    columns = (
        TextColumn("[bold]{task.description}"),
        BarColumn(),
        MofNCompleteColumn(),
        TimeRemainingColumn(),
    )
    with Progress(*columns, console=Console(stderr=True)) as bar:
        task = bar.add_task(description, total=total or None, completed=done)
        yield lambda count: bar.update(task, advance=count)
