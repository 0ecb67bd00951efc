"""What is worn together, and what each garment looks like."""

from dataclasses import dataclass

from numpy.random import Generator

from deepmark.schema import CATEGORIES
from deepmark.synthetic.texture import Fabric, weave

TOPS = tuple(c.index for c in CATEGORIES if c.name.endswith(" top") or c.name in ("vest", "sling"))
OUTWEAR = tuple(c.index for c in CATEGORIES if c.name.endswith("outwear"))
BOTTOMS = tuple(c.index for c in CATEGORIES if c.name in ("shorts", "trousers", "skirt"))
DRESSES = tuple(c.index for c in CATEGORIES if c.name.endswith("dress"))

_LEADS = (*range(len(CATEGORIES)), *range(len(CATEGORIES)), *DRESSES)
"""Dresses lead more often because they are seldom anyone's companion: so all 13 categories become about as frequent."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Look:
    """All that makes two pictures show the same piece of clothing; numbers in 0..1 unless said otherwise."""

    category: int
    """0..12."""

    style: int
    """Its number inside the pair; 0 where nothing in the pair is the same."""

    fabric: Fabric
    width: float
    length: float
    sleeve: float
    flare: float
    neck: float
    opening: float
    """Where in its category's range of cuts the garment lies (tailor.py)."""

    buttons: bool
    print_size: float
    """Of the drawing on the chest, shoulder widths; 0 for none."""


def design(rng: Generator, category: int, *, style: int = 0) -> Look:
    """A new garment of the category."""
    width, length, sleeve, flare, neck, opening = rng.random(6)
    has_print = category in TOPS and rng.random() < 0.25
    return Look(
        category=category,
        style=style,
        fabric=weave(rng),
        width=width,
        length=length,
        sleeve=sleeve,
        flare=flare,
        neck=neck,
        opening=opening,
        buttons=bool(rng.random() < 0.25),
        print_size=rng.uniform(0.12, 0.2) if has_print else 0.0,
    )


def companions(rng: Generator, lead: int) -> list[tuple[int, ...]]:
    """The kinds of garment that join the lead, each as the categories it may be."""
    chance = rng.random()
    if lead in TOPS:
        return [BOTTOMS] if chance < 0.45 else [OUTWEAR] if chance < 0.53 else []
    if lead in BOTTOMS:
        return [TOPS] if chance < 0.6 else [TOPS, OUTWEAR] if chance < 0.7 else []
    if lead in OUTWEAR:
        return [TOPS] if chance < 0.2 else [TOPS, BOTTOMS] if chance < 0.35 else [DRESSES] if chance < 0.5 else []
    return [OUTWEAR] if chance < 0.1 else []


@dataclass(frozen=True, kw_only=True, slots=True)
class Pair:
    """What the pictures of one pair have in common: garments that are the same, and kinds that are chosen anew."""

    styled: tuple[Look, ...]
    free: tuple[tuple[int, ...], ...]


def plan_pair(rng: Generator, number: int) -> Pair:
    """The outfit of a pair; `number` counts pairs from 0 and sets the leading category, so that none is rare."""
    lead = _LEADS[number % len(_LEADS)]
    kinds: list[tuple[int, ...]] = [(lead,), *companions(rng, lead)]
    styled: list[Look] = []
    free: list[tuple[int, ...]] = []
    for kind in kinds:
        if rng.random() < 0.6:
            styled.append(design(rng, int(rng.choice(kind)), style=len(styled) + 1))
        else:
            free.append(kind)
    return Pair(styled=tuple(styled), free=tuple(free))


def choose_outfit(rng: Generator, pair: Pair) -> list[Look]:
    """The garments of one picture of the pair, innermost first: bottoms, top or dress, outwear."""
    looks = [*pair.styled, *(design(rng, int(rng.choice(kind))) for kind in pair.free)]
    return sorted(looks, key=lambda look: (look.category in OUTWEAR, look.category not in BOTTOMS))
