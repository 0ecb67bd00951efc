"""Reads the results of a COCO results file one by one, through a window of a few megabytes.

A JSON parser would convert everything to numbers; here the keypoints, nine tenths of the file, stay text.
"""

import json
import re
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, BinaryIO, NoReturn

from deepmark.data.ingest.strict_json import (
    BYTE_ORDER_MARK,
    InvalidInputError,
    json_fault,
    object_with_unique_keys,
)
from deepmark.errors import DeepmarkError

CHUNK = 4 * 2**20
"""Bytes read at a time."""

MOST_BYTES = 64 * 2**20
"""The limit for one result. Real ones have about 4 KB; without a quotation mark it could be the rest of the file."""

_SPACE = re.compile(rb"[ \t\r\n]*")
_KEYPOINTS = re.compile(rb'"keypoints"[ \t\r\n]*:[ \t\r\n]*\[([^\[\]{}"]*)\]')
RESULTS_FORM = (
    'A results file is one list: [{"image_id": …, "category_id": …, "bbox": […], "keypoints": […], "score": …}, …].'
)

_DECODER = json.JSONDecoder(object_pairs_hook=object_with_unique_keys)

Result = tuple[dict[str, Any], int, bytes | None]
"""The fields without keypoints, the position of the keypoints' text in the file, and that text."""


def _is_incomplete(error: Exception) -> bool:
    """Whether the text failed to parse only because it is incomplete."""
    return isinstance(error, json.JSONDecodeError) and (
        error.pos == len(error.doc) or error.msg.startswith("Unterminated string")
    )


class ResultsReader:
    """Reads the file through a window that moves forward."""

    def __init__(self, path: Path, file: BinaryIO, progress: Callable[[int], None]) -> None:
        self.path, self.file, self.progress = path, file, progress
        self.window, self.at, self.base = b"", 0, 0

    def fail(self, fault: str) -> NoReturn:
        raise DeepmarkError(
            f"{self.path}: not a COCO results file: byte {self.base + self.at:,}: {fault}. {RESULTS_FORM}"
        )

    def _more(self) -> bool:
        part = self.file.read(CHUNK)
        self.progress(len(part))
        self.window, self.base, self.at = self.window[self.at :] + part, self.base + self.at, 0
        return bool(part)

    def _symbol(self) -> bytes:
        """The next byte that is not white space, without consuming it; empty at the end of the file."""
        while True:
            space = _SPACE.match(self.window, self.at)
            assert space is not None
            self.at = space.end()
            if self.at < len(self.window) or not self._more():
                return self.window[self.at : self.at + 1]

    def _result(self) -> Result:
        """The result that starts here.

        A proper prefix of a JSON object is never a JSON object, so the result ends at the first closing brace up to
        which the text parses.
        """
        stop = self.at
        while True:
            stop = self.window.find(b"}", stop) + 1
            if not stop:
                stop = len(self.window) - self.at
                if stop > MOST_BYTES or not self._more():
                    self.fail("this result does not end")
                continue
            text = self.window[self.at : stop]
            points = _KEYPOINTS.search(text)
            head = text[: points.start(1)] + text[points.end(1) :] if points else text
            try:
                fields = _DECODER.decode(head.decode("utf-8"))
            except (ValueError, RecursionError) as error:
                if _is_incomplete(error):
                    continue
                self.fail(f"this result {json_fault(error)}")
            except InvalidInputError as error:
                self.fail(f"in this result, {error.reason}")
            begin = self.base + self.at + (points.start(1) if points else 0)
            self.at = stop
            return fields, begin, points.group(1) if points else None

    def results(self) -> Iterator[Result]:
        """All results; raises DeepmarkError at the first fault."""
        while len(self.window) < len(BYTE_ORDER_MARK) and self._more():
            pass
        self.at = len(BYTE_ORDER_MARK) if self.window.startswith(BYTE_ORDER_MARK) else 0
        if self._symbol() != b"[":
            self.fail("it does not begin with [")
        self.at += 1
        if self._symbol() != b"]":
            while True:
                if self._symbol() != b"{":
                    self.fail("expected a result, {…}")
                yield self._result()
                if self._symbol() != b",":
                    break
                self.at += 1
        if self._symbol() != b"]":
            self.fail("the list does not end here, and does not go on. Was the file copied whole?")
        self.at += 1
        if self._symbol():
            self.fail("there is something after the list")
