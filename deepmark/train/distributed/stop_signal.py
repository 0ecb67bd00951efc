"""Being told to end: a step is finished and a checkpoint written first, where one is being made."""

import signal
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from typing import NoReturn

_SIGNALS = (signal.SIGTERM, signal.SIGINT)


class StoppedError(Exception):
    """The training was told to end, all processes have agreed on the step, and the position says where it stands."""


class StopSignal:
    """SIGTERM (preemption, a scheduler's time limit) and SIGINT (Ctrl-C), heard by one process of a training.

    While steps are made they are only noted, and the loop ends after the step at which any process heard one. At any
    other time nothing is lost that is not on disk, and the process ends at once.
    """

    def __init__(self) -> None:
        self._heard: int | None = None
        self._waits = False

    def listen(self) -> None:
        """Take the place of this process's handlers."""
        for number in _SIGNALS:
            signal.signal(number, self._hear)

    def hear_no_more(self) -> None:
        """This process is on its way out.

        The launcher tells all processes when one has ended, and the interpreter's last steps cannot be cut short
        without a traceback.
        """
        for number in _SIGNALS:
            signal.signal(number, signal.SIG_IGN)

    def _hear(self, number: int, _: object) -> None:
        self._heard = number
        if not self._waits:
            self.leave()

    @property
    def is_heard(self) -> bool:
        """Whether this process was told to end."""
        return self._heard is not None

    def leave(self) -> NoReturn:
        """End this process as one that was stopped; the processes that heard nothing end as those that did."""
        self.hear_no_more()
        sys.exit(128 + (self._heard or signal.SIGTERM))

    @contextmanager
    def noted_only(self) -> Iterator[None]:
        """Inside, signals are noted only; so they are after an error inside, while it is dealt with."""
        self._waits = True
        yield
        self._waits = False
        if self.is_heard:
            self.leave()
