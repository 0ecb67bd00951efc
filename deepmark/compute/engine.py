"""The one way in which stages spread work: a function mapped over pieces, with results in the order of the pieces."""

from collections.abc import Callable, Generator, Iterable
from typing import Literal, Protocol, TypeVar, runtime_checkable

T = TypeVar("T")
R = TypeVar("R")

Place = Literal["core", "device"]
"""What an item takes: a core, or a device for a network, which is a GPU, or cores where there is no GPU."""


@runtime_checkable
class Engine(Protocol):
    """Runs the pieces of a stage somewhere. What the pieces are never depends on it, so results do not either."""

    def map_in_order(
        self, function: Callable[[T], R], items: Iterable[T], *, on: Place = "core"
    ) -> Generator[R, None, None]:
        """The results in the order of the items, each made on a core, or on a device for a network.

        `function` must be importable by its name, and give the same result where it is called again with the same item,
        as happens where a machine was lost. A consumer that may stop early must close the iterator
        (`contextlib.closing`), which waits until all workers are idle.

        Raises what `function` raises, and DeepmarkError where the work cannot go on.
        """
        ...
