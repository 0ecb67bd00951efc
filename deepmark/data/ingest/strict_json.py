"""A JSON parser that accepts only what the standard allows.

Python's `json.loads` also accepts NaN, Infinity, numbers too large for a double, and objects with a key twice.
"""

import json
import math
from reprlib import Repr
from typing import Any, NoReturn

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
    return _repr.repr(value)


def _refuse_constant(word: str) -> NoReturn:
    raise InvalidInputError("number_not_finite", f"holds {word}, which is not a number of JSON")


def _parse_float(digits: str) -> float:
    number = float(digits)
    if not math.isfinite(number):
        raise InvalidInputError("number_not_finite", f"the number {short_repr(digits)} is too large to be represented")
    return number


def _object_with_unique_keys(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    fields = dict(pairs)
    if len(fields) < len(pairs):
        seen: set[str] = set()
        duplicate = next(key for key, _ in pairs if key in seen or seen.add(key))  # type: ignore[func-returns-value]
        raise InvalidInputError("key_duplicate", f"the key {short_repr(duplicate)} appears twice in one object")
    return fields


def parse_json(data: bytes) -> Any:
    """The value of a JSON text in UTF-8.

    Raises InvalidInputError of the kinds json_unreadable, number_not_finite and key_duplicate.
    """
    try:
        return json.loads(
            data.decode("utf-8"),
            parse_constant=_refuse_constant,
            parse_float=_parse_float,
            object_pairs_hook=_object_with_unique_keys,
        )
    except UnicodeDecodeError as error:
        raise InvalidInputError("json_unreadable", f"is not UTF-8 text (byte {error.start})") from None
    except RecursionError:
        raise InvalidInputError("json_unreadable", "is nested too deeply") from None
    except ValueError as error:  # not JSON, or an integer of more than 4,300 digits
        raise InvalidInputError("json_unreadable", f"is not JSON: {error}") from None
