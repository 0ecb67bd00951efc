"""JSON as the standard has it: what Python's reader lets through besides is refused.

NaN, Infinity, numbers beyond a double and objects with the same key twice all pass `json.loads`.
"""

import json
import math
from reprlib import Repr
from typing import Any, NoReturn

_repr = Repr()
_repr.maxlevel, _repr.maxlist, _repr.maxdict, _repr.maxstring, _repr.maxlong, _repr.maxother = 2, 6, 4, 60, 40, 60


class UnfitError(Exception):
    """One input cannot be used: `kind` to count by, `reason` for a person."""

    def __init__(self, kind: str, reason: str) -> None:
        super().__init__(kind, reason)
        self.kind = kind
        self.reason = reason


def shown(value: Any) -> str:
    """A value as a message can show it: short, printable, whatever it is."""
    return _repr.repr(value)


def _not_finite(word: str) -> NoReturn:
    raise UnfitError("number_not_finite", f"holds {word}, which is not a number of JSON")


def _finite(digits: str) -> float:
    number = float(digits)
    if not math.isfinite(number):
        raise UnfitError("number_not_finite", f"the number {shown(digits)} is too large to be represented")
    return number


def _without_duplicates(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    fields = dict(pairs)
    if len(fields) < len(pairs):
        seen: set[str] = set()
        twice = next(key for key, _ in pairs if key in seen or seen.add(key))  # type: ignore[func-returns-value]
        raise UnfitError("key_duplicate", f"the key {shown(twice)} appears twice in one object")
    return fields


def parse_json(data: bytes) -> Any:
    """The value of a JSON text in UTF-8.

    Raises UnfitError of the kinds json_unreadable, number_not_finite and key_duplicate.
    """
    try:
        return json.loads(
            data.decode("utf-8"),
            parse_constant=_not_finite,
            parse_float=_finite,
            object_pairs_hook=_without_duplicates,
        )
    except UnicodeDecodeError as error:
        raise UnfitError("json_unreadable", f"is not UTF-8 text (byte {error.start})") from None
    except RecursionError:
        raise UnfitError("json_unreadable", "is nested too deeply") from None
    except ValueError as error:  # not JSON, or an integer of more than 4,300 digits
        raise UnfitError("json_unreadable", f"is not JSON: {error}") from None
