"""SIGTERM and SIGINT: a training finishes its current step and writes a checkpoint before it ends."""

import signal
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from typing import NoReturn

_SIGNALS = (signal.SIGTERM, signal.SIGINT)


class StoppedError(Exception):
    """The training was told to end; all processes have agreed after which step, and the train state is at that step."""


class StopSignal:
    """SIGTERM (preemption, a scheduler's time limit) and SIGINT (Ctrl-C), as one process of a training handles them.

    During training steps a signal is only noted, and the loop ends after the step in which any process received one.
    At any other time everything worth keeping is on disk, and the process ends at once.
    """

    def __init__(self) -> None:
        self._received: int | None = None
        self._is_installed = False
        self._is_deferred = False

    def install(self) -> None:
        """Replace this process's signal handlers; without it, as in a thread of another program, none is noted."""
        self._is_installed = True
        for number in _SIGNALS:
            signal.signal(number, self._handle)

    def ignore(self) -> None:
        """Ignore further signals, because this process is ending.

        The launcher signals all processes when one has ended, and a signal during the interpreter's shutdown would
        print a traceback.
        """
        for number in _SIGNALS if self._is_installed else ():
            signal.signal(number, signal.SIG_IGN)

    def _handle(self, number: int, _: object) -> None:
        self._received = number
        if not self._is_deferred:
            self.exit()

    @property
    def received(self) -> signal.Signals | None:
        """The signal that this process received, if any."""
        return signal.Signals(self._received) if self._received is not None else None

    @property
    def is_received(self) -> bool:
        """Whether this process was told to end."""
        return self._received is not None

    def exit(self) -> NoReturn:
        """End this process with the exit code of a stopped one, also if another process received the signal."""
        self.ignore()
        sys.exit(128 + (self._received or signal.SIGTERM))

    @contextmanager
    def deferred(self) -> Iterator[None]:
        """Only note signals within, and act on them at the end; after an error they stay noted while it is handled."""
        self._is_deferred = True
        yield
        self._is_deferred = False
        if self.is_received:
            self.exit()
