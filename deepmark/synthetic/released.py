"""Drawn images as DeepFashion2's: categories as frequent as among its released items, and images of its shapes.

Its rarest category, short sleeve outwear, has 543 of 312,186 training items, its most frequent one 71,645.
Sources: the released annotations' numbers of items (deepfashion2.json); images are 470 to 750 pixels wide and up to
1,100 high, and of 32 real images fitted into a square a quarter of the square is empty, so that the mean of width by
height is .74. How large the boxes are in their images is not published: garments fill images as in other drawings.
"""

from functools import cache

import numpy as np
from numpy.random import Generator

from deepmark.synthetic.canvas import Size
from deepmark.synthetic.outfit import OUTWEAR, Kinds, companions_of
from deepmark.vocabulary import DEEPFASHION2

_OUTWEAR_WORN = 0.5
"""The share of companions of the kind outwear that are drawn: with all of them, outwear would be too frequent even if
it never led an outfit."""

_ROUNDS = 500
"""Of the iteration for the leading categories; its counts are then right to 1e-4."""

_WIDTHS, _MOST_HEIGHT = (470, 750), 1100
_ASPECT, _ASPECT_SPREAD, _ASPECTS = 0.74, 0.08, (0.55, 1.0)
"""Pixels; width by height: mean, standard deviation, range."""

_TARGETS = tuple(category.released_items["train"] for category in DEEPFASHION2.categories)


def _within(kind: tuple[int, ...]) -> list[tuple[int, float]]:
    """The categories of a kind, and the share of each of its released items."""
    total = sum(_TARGETS[one] for one in kind)
    return [(one, _TARGETS[one] / total) for one in kind]


def _items(lead: int) -> list[float]:
    """The expected number of items of every category in an outfit that this one leads."""
    found, before = [0.0] * len(DEEPFASHION2.categories), 0.0
    found[lead] = 1.0
    for bound, kinds in companions_of(lead):
        for kind in kinds:
            chance = (bound - before) * (_OUTWEAR_WORN if kind == OUTWEAR else 1)
            for one, share in _within(kind):
                found[one] += chance * share
        before = bound
    return found


@cache
def leading_shares() -> tuple[float, ...]:
    """How often each category leads an outfit, so that all items together are as frequent as those released.

    By iterative proportional fitting, in plain floats, which give the same on every machine.
    """
    shares, items = [1.0] * len(DEEPFASHION2.categories), [_items(lead) for lead in range(len(DEEPFASHION2.categories))]
    wanted = [one / sum(_TARGETS) for one in _TARGETS]
    for _ in range(_ROUNDS):
        counts = [sum(share * of[one] for share, of in zip(shares, items, strict=True)) for one in range(len(shares))]
        shares = [share * goal * sum(counts) / count for share, goal, count in zip(shares, wanted, counts, strict=True)]
    return tuple(share / sum(shares) for share in shares)


def sample_released_kinds(rng: Generator) -> Kinds:
    """The garments of a pair, their categories as frequent as among the released training items."""
    lead, chance = int(rng.choice(len(DEEPFASHION2.categories), p=leading_shares())), rng.random()
    kinds: Kinds = next((kinds for bound, kinds in companions_of(lead) if chance < bound), ())
    chosen = [lead]
    for kind in kinds:
        if kind != OUTWEAR or rng.random() < _OUTWEAR_WORN:
            categories, shares = zip(*_within(kind), strict=True)
            chosen.append(int(rng.choice(categories, p=shares)))
    return tuple((one,) for one in chosen)


def sample_released_size(rng: Generator) -> Size:
    """The height and the width of an image, pixels."""
    aspect = float(np.clip(rng.normal(_ASPECT, _ASPECT_SPREAD), *_ASPECTS))
    width = int(rng.integers(*_WIDTHS, endpoint=True))
    height = min(_MOST_HEIGHT, round(width / aspect))
    return height, min(width, round(height * aspect))
