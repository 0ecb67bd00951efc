"""The one reader of JSON that people give us: annotations, COCO data sets and COCO results.

A byte order mark at the beginning is skipped. Beyond that, only what the standard allows is accepted: Python's
`json.loads` also accepts NaN, Infinity, numbers too large for a double, and objects with a key twice.
"""

import json
import math
from collections.abc import Callable
from reprlib import Repr
from typing import Any, NoReturn

from deepmark.images.file_kinds import kind_of

BYTE_ORDER_MARK = b"\xef\xbb\xbf"
"""The three bytes that some editors write before a text in UTF-8."""

_PERHAPS_JSON = {"JSON", "text", "data of no known kind"}
"""What the beginning of a damaged JSON may look like; files of any other kind are told as what they are."""

_LONGEST_REPR = 160
_repr = Repr()
_repr.maxlevel, _repr.maxlist, _repr.maxdict, _repr.maxstring, _repr.maxlong, _repr.maxother = 2, 6, 4, 60, 40, 60


class InvalidInputError(Exception):
    """An input cannot be used. `kind` is a word for counting, `reason` a sentence for people."""

    def __init__(self, kind: str, reason: str) -> None:
        super().__init__(kind, reason)
        self.kind = kind
        self.reason = reason


def short_repr(value: Any) -> str:
    """A short, printable form of any value, for messages."""
    text = _repr.repr(value)
    return text if len(text) <= _LONGEST_REPR else f"{text[:_LONGEST_REPR]} …"


def _refuse_constant(word: str) -> NoReturn:
    raise InvalidInputError("number_not_finite", f"holds {word}, which is not a number of JSON")


def _parse_float(digits: str) -> float:
    number = float(digits)
    if not math.isfinite(number):
        raise InvalidInputError("number_not_finite", f"the number {short_repr(digits)} is too large to be represented")
    return number


def object_with_unique_keys(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    """An object of JSON; raises InvalidInputError of the kind key_duplicate where a key appears twice."""
    fields = dict(pairs)
    if len(fields) < len(pairs):
        seen: set[str] = set()
        duplicate = next(key for key, _ in pairs if key in seen or seen.add(key))  # type: ignore[func-returns-value]
        raise InvalidInputError("key_duplicate", f"the key {short_repr(duplicate)} appears twice in one object")
    return fields


def json_fault(error: ValueError | RecursionError) -> str:
    """Why `json.loads` refused a text, as a sentence without advice on Python."""
    if isinstance(error, RecursionError):
        return "is nested too deeply"
    if isinstance(error, UnicodeDecodeError):
        return f"is not UTF-8 text (byte {error.start})"
    if isinstance(error, json.JSONDecodeError):
        return f"is not JSON: {error}"
    return "holds a whole number of more than 4,300 digits"  # the only other ValueError of json.loads


def parse_json(
    data: bytes,
    *,
    parse_float: Callable[[str], float] = _parse_float,
    parse_constant: Callable[[str], Any] = _refuse_constant,
    make_object: Callable[[list[tuple[str, Any]]], Any] = object_with_unique_keys,
) -> Any:
    """The value of a JSON text in UTF-8; `parse_constant` is given NaN, Infinity and -Infinity, which JSON has not.

    Raises InvalidInputError of the kinds json_unreadable, number_not_finite and key_duplicate.
    """
    kind = kind_of(data)
    if kind not in _PERHAPS_JSON:
        raise InvalidInputError("json_unreadable", f"is {kind}, not JSON")
    try:
        return json.loads(
            data.removeprefix(BYTE_ORDER_MARK).decode("utf-8"),
            parse_constant=parse_constant,
            parse_float=parse_float,
            object_pairs_hook=make_object,
        )
    except (ValueError, RecursionError) as error:
        raise InvalidInputError("json_unreadable", json_fault(error)) from None
