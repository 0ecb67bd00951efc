"""Samples outfits, and the design of each garment."""

from dataclasses import dataclass

from numpy.random import Generator

from deepmark.synthetic.texture import Texture, sample_texture
from deepmark.vocabulary import DEEPFASHION2

TOPS = tuple(c.index for c in DEEPFASHION2.categories if c.name.endswith(" top") or c.name in ("vest", "sling"))
OUTWEAR = tuple(c.index for c in DEEPFASHION2.categories if c.name.endswith("outwear"))
BOTTOMS = tuple(c.index for c in DEEPFASHION2.categories if c.name in ("shorts", "trousers", "skirt"))
DRESSES = tuple(c.index for c in DEEPFASHION2.categories if c.name.endswith("dress"))

_LEADS = (*range(len(DEEPFASHION2.categories)), *range(len(DEEPFASHION2.categories)), *DRESSES)
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


Kinds = tuple[tuple[int, ...], ...]
"""Garments of an outfit, each as the categories it may have."""

COMPANIONS: dict[tuple[int, ...], tuple[tuple[float, Kinds], ...]] = {
    TOPS: ((0.45, (BOTTOMS,)), (0.53, (OUTWEAR,))),
    BOTTOMS: ((0.6, (TOPS,)), (0.7, (TOPS, OUTWEAR))),
    OUTWEAR: ((0.2, (TOPS,)), (0.35, (TOPS, BOTTOMS)), (0.5, (DRESSES,))),
    DRESSES: ((0.1, (OUTWEAR,)),),
}
"""By the kind of the leading garment: what goes with it, and the probability of this or what stands before it; above
the last there is nothing."""


def companions_of(lead: int) -> tuple[tuple[float, Kinds], ...]:
    """The entry of `COMPANIONS` for a leading category."""
    return next(entry for kind, entry in COMPANIONS.items() if lead in kind)


def sample_companions(rng: Generator, lead: int) -> Kinds:
    """The further garments of an outfit."""
    chance = rng.random()
    return next((kinds for bound, kinds in companions_of(lead) if chance < bound), ())


@dataclass(frozen=True, kw_only=True, slots=True)
class Pair:
    """The common part of the images of one pair: identical garments, and garments of which only the kind is fixed."""

    styled: tuple[GarmentDesign, ...]
    free: tuple[tuple[int, ...], ...]


def sample_kinds(rng: Generator, number: int) -> Kinds:
    """The garments of a pair; `number` counts pairs from 0 and gives the leading category, so that none is rare."""
    lead = _LEADS[number % len(_LEADS)]
    return ((lead,), *sample_companions(rng, lead))


def sample_pair(rng: Generator, kinds: Kinds) -> Pair:
    """The outfit of a pair, of a garment of each kind."""
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
