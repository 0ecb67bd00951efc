"""Samples outfits, and the design of each garment."""

from dataclasses import dataclass

from numpy.random import Generator

from deepmark.schema import CATEGORIES
from deepmark.synthetic.texture import Texture, sample_texture

TOPS = tuple(c.index for c in CATEGORIES if c.name.endswith(" top") or c.name in ("vest", "sling"))
OUTWEAR = tuple(c.index for c in CATEGORIES if c.name.endswith("outwear"))
BOTTOMS = tuple(c.index for c in CATEGORIES if c.name in ("shorts", "trousers", "skirt"))
DRESSES = tuple(c.index for c in CATEGORIES if c.name.endswith("dress"))

_LEADS = (*range(len(CATEGORIES)), *range(len(CATEGORIES)), *DRESSES)
"""The leading categories of pairs, in turns. Dresses lead more often, because they seldom accompany other garments: so
all 13 categories become about equally frequent."""


@dataclass(frozen=True, kw_only=True, slots=True)
class GarmentDesign:
    """Everything that two images of the same piece of clothing share; numbers are in 0..1 unless stated."""

    category: int
    """0..12."""

    style: int
    """Its number in the pair; 0 if the other image of the pair does not show it."""

    texture: Texture
    width: float
    length: float
    sleeve: float
    flare: float
    neck: float
    opening: float
    """Position of the garment in the ranges of its category (garment_shape.py)."""

    buttons: bool
    print_size: float
    """Size of the print on the chest, shoulder widths; 0 for none."""


def sample_design(rng: Generator, category: int, *, style: int = 0) -> GarmentDesign:
    """A new garment of the category."""
    width, length, sleeve, flare, neck, opening = rng.random(6)
    has_print = category in TOPS and rng.random() < 0.25
    return GarmentDesign(
        category=category,
        style=style,
        texture=sample_texture(rng),
        width=width,
        length=length,
        sleeve=sleeve,
        flare=flare,
        neck=neck,
        opening=opening,
        buttons=bool(rng.random() < 0.25),
        print_size=rng.uniform(0.12, 0.2) if has_print else 0.0,
    )


def sample_companions(rng: Generator, lead: int) -> list[tuple[int, ...]]:
    """The further garments of an outfit, each as the categories it may have."""
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
    """The common part of the images of one pair: identical garments, and garments of which only the kind is fixed."""

    styled: tuple[GarmentDesign, ...]
    free: tuple[tuple[int, ...], ...]


def sample_pair(rng: Generator, number: int) -> Pair:
    """The outfit of a pair; `number` counts pairs from 0 and sets the leading category, so that no category is rare."""
    lead = _LEADS[number % len(_LEADS)]
    kinds: list[tuple[int, ...]] = [(lead,), *sample_companions(rng, lead)]
    styled: list[GarmentDesign] = []
    free: list[tuple[int, ...]] = []
    for kind in kinds:
        if rng.random() < 0.6:
            styled.append(sample_design(rng, int(rng.choice(kind)), style=len(styled) + 1))
        else:
            free.append(kind)
    return Pair(styled=tuple(styled), free=tuple(free))


def sample_outfit(rng: Generator, pair: Pair) -> list[GarmentDesign]:
    """The garments of one image of the pair, innermost first: bottoms, top or dress, outwear."""
    designs = [*pair.styled, *(sample_design(rng, int(rng.choice(kind))) for kind in pair.free)]
    return sorted(designs, key=lambda design: (design.category in OUTWEAR, design.category not in BOTTOMS))
