"""What a file of records or predictions holds, and the vocabulary that its numbers mean."""

from collections.abc import Iterator
from typing import TypeVar

from deepmark.vocabulary import Vocabulary

_Row = TypeVar("_Row")


class Rows(Iterator[_Row]):
    """The rows of a file, read as they are consumed, in its order; and its vocabulary, which is known at once."""

    def __init__(self, rows: Iterator[_Row], vocabulary: Vocabulary) -> None:
        self._rows = rows
        self.vocabulary = vocabulary

    def __iter__(self) -> Iterator[_Row]:
        return self._rows

    def __next__(self) -> _Row:
        return next(self._rows)
