"""Chooses images for the report: the best, a typical and the worst garment of every category and subset."""

from collections import defaultdict
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, NamedTuple

from deepmark.schema import SOURCES, SUBSETS

if TYPE_CHECKING:
    import pandas as pd

KINDS: tuple[str, ...] = ("worst", "typical", "best")
EVERYTHING = "all items"

MANY = 20
"""Categories of which a page has room for three images each, and no more."""

NEAR = 0.05
"""A chosen image also represents another group if its item is within this share of that group's items."""


class Reason(NamedTuple):
    """Why an image is shown, such as kind "worst" of the group "vest"."""

    kind: str
    group: str


@dataclass(frozen=True, kw_only=True, slots=True)
class Choice:
    """An image to show."""

    image_id: int
    reasons: tuple[Reason, ...]


def groups(names: Sequence[str]) -> dict[str, tuple[str, str] | None]:
    """For each group, the column of items.parquet and its value for items of the group; first the categories."""
    return {
        EVERYTHING: None,
        **{name: ("category", name) for name in names},
        **{
            f"{field.replace('_in', '')}: {word}": (field, word)
            for field, words in SUBSETS.items()
            for word in words.values()
        },
        **{f"source: {source}": ("source", source) for source in SOURCES},
    }


def item_quality(items: "pd.DataFrame") -> "pd.Series[float]":
    """The quality of the detection of each item, 0..1: 0 if it was missed or detected as another category, else the
    similarity (OKS) of its landmarks or, if none is labelled, the overlap of its box.
    """
    right = items.found_category == items.category
    return items.oks.fillna(items.iou).fillna(0.0).where(right, 0.0)


def choose(items: "pd.DataFrame", count: int, names: Sequence[str]) -> list[Choice]:
    """Choose at most `count` images, each with all groups that it represents; the first groups take precedence.

    `items` is the content of tables/{strategy}/items.parquet. Among missed items, a confident mistake is the worst. Of
    more than `MANY` categories, the worst items of all come first, then the typical ones.
    """
    order = items.assign(quality=item_quality(items), sure=items.score.fillna(0.0)).sort_values(
        ["quality", "sure", "image_id", "item"], ascending=[True, False, True, True]
    )
    reasons: dict[int, list[Reason]] = defaultdict(list)
    places = []
    for group, place in groups(names).items():
        members = order if place is None else order[order[place[0]] == place[1]]
        places += [(Reason(kind, group), images) for kind, images in _candidates(members.image_id.tolist())]
    if len(names) > MANY:
        places.sort(key=lambda one: KINDS.index(one[0].kind))
    for reason, candidates in places:
        known = [image_id for image_id in candidates if image_id in reasons]
        if known or len(reasons) < count:
            reasons[(known or candidates)[0]].append(reason)
    return [Choice(image_id=image_id, reasons=tuple(why)) for image_id, why in reasons.items()]


def _candidates(ordered: list[int]) -> Iterator[tuple[str, list[int]]]:
    """The images that can represent each kind, best first. Kinds share no item, so few items give few kinds."""
    number = len(ordered)
    near = min(int(number * NEAR), (number - 3) // 3) + 1 if number >= 3 else 1
    middle = sorted(range(number), key=lambda i: abs(i - (number - 1) / 2))[:near]
    if number >= 2:
        yield "worst", ordered[:near]
    if number != 2 and number:
        yield "typical", [ordered[i] for i in middle]
    if number >= 2:
        yield "best", ordered[::-1][:near]
