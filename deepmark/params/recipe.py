"""What the parameters of params.yaml are, in words, and in which of them two recipes differ."""

import ast
import inspect
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cache
from typing import TYPE_CHECKING, Any

from deepmark.params.section import Section

if TYPE_CHECKING:
    from deepmark.params import Params

RECIPE = ("model", "augment", "train", "predict")
"""The sections that decide what a detector finds."""

_OPERATION = {
    *("train.device_batch", "train.compile", "train.checkpoint_minutes", "train.checkpoint_steps"),
    *("train.checkpoints_kept", "predict.batch_size"),
}
"""Parameters of these sections that change no result, or by rounding alone."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Change:
    """A parameter that one recipe has otherwise than another."""

    name: str
    """Such as "train.ema"."""

    value: Any
    other: Any
    """The other recipe's."""

    words: str
    """What the parameter is: its docstring, on one line."""


def recipe_changes(params: "Params", other: "Params") -> list[Change]:
    """The parameters that decide a result and differ from the other recipe's, in the order of params.yaml."""
    return [
        change for section in RECIPE for change in _changes(section, getattr(params, section), getattr(other, section))
    ]


def _changes(path: str, section: Section, other: Section) -> Iterator[Change]:
    for name in type(section).model_fields:
        place, value, others = f"{path}.{name}", getattr(section, name), getattr(other, name)
        if place in _OPERATION or value == others:
            continue
        if isinstance(value, Section):
            yield from _changes(place, value, others)
        else:
            yield Change(name=place, value=value, other=others, words=param_words(type(section)).get(name, ""))


@cache
def param_words(section: type[Section]) -> dict[str, str]:
    """The docstrings of a section's parameters, each on one line, by name."""
    (body,) = ast.parse(inspect.getsource(section)).body
    assert isinstance(body, ast.ClassDef)
    words = {}
    for statement, following in zip(body.body, body.body[1:], strict=False):
        if isinstance(statement, ast.AnnAssign) and isinstance(following, ast.Expr):
            assert isinstance(statement.target, ast.Name)
            assert isinstance(following.value, ast.Constant)
            words[statement.target.id] = " ".join(str(following.value.value).split())
    return words
