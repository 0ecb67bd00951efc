"""Designs garments: the panels of each category, how they are cut, and how they hang."""

from collections.abc import Mapping
from dataclasses import dataclass, replace

from numpy.random import Generator

from deepmark.synthetic.outfit import DRESSES
from deepmark.synthetic.rendered.bodice import Build, build_of, collar_of, on_straps, open_in_front, sleeved, sleeveless
from deepmark.synthetic.rendered.chart import LEGS
from deepmark.synthetic.rendered.cut import Cut, Edge
from deepmark.synthetic.rendered.drape import Hang
from deepmark.synthetic.rendered.figure import Figure
from deepmark.synthetic.rendered.mesh import Part
from deepmark.vocabulary import DEEPFASHION2

WAIST, HIP = 0.15, 0.0
"""z of the natural waist and of the widest hips in the mean shape."""

_CHEST, _THIGH, _SHOULDER = 0.36, -0.1, -0.06
"""Heights below which cloth hangs: on the trunk, on a leg, and on an arm, there minus the way from the shoulder."""

_JOIN = WAIST + 0.02
"""z of the upper end of a dress's skirt, which covers the lower end of what it hangs on."""

_WITH_COLLAR, _COLLAR = 0.6, 0.005
"""Probability that outwear has a collar, and metres that it lies on the rest."""

_TUCKED = 0.02
"""Metres of a top that are in a waistband."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Panel:
    """A piece of a garment: the layer of the body it is cut from, its edges, and how it hangs on each part."""

    layer: str
    """The name of one of the figure's meshes."""

    cut: Cut
    hangs: Mapping[Part, Hang]
    joined: Edge | None = None
    """The edge at which the garment goes on in another panel."""

    trim: bool = False
    """Whether it is a strap or a collar, on which only landmarks of its own lie."""

    lift: float = 0.0
    """Metres that it lies on the rest of the garment."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Design:
    """A garment before it is worn."""

    category: int
    panels: tuple[Panel, ...]
    """Straps or a collar, if there are any; then from the shoulders or the waist to the hem."""

    ease: float
    """Metres that it stands off the body, or what is worn under it."""

    @property
    def name(self) -> str:
        return DEEPFASHION2.categories[self.category].name


def sample_design(rng: Generator, figure: Figure, category: int) -> Design:
    """A new garment of a category."""
    name, looseness = DEEPFASHION2.categories[category].name, rng.random()
    if name == "skirt":
        return Design(category=category, panels=(_skirt(rng, rng.uniform(0.075, 0.12), ease=0.006),), ease=0.006)
    if name in ("trousers", "shorts"):
        leg = Hang(
            top=_THIGH,
            slope=-0.2 + 0.3 * rng.random() ** 1.5,
            ease=0.005 + 0.012 * looseness,
            folds=0.006 * looseness,
            waves=5,
        )
        bottom = rng.uniform(-0.31, -0.15) if name == "shorts" else rng.uniform(-0.78, -0.62)
        cut = Cut(top=rng.uniform(0.08, WAIST), bottom=bottom)
        hangs = {part: replace(leg, phase=rng.uniform(0, 6)) for part in LEGS}
        return Design(category=category, panels=(Panel(layer="lower", cut=cut, hangs=hangs),), ease=leg.ease)
    return (_outwear if "outwear" in name else _upper)(rng, build_of(figure), category, looseness)


def _upper(rng: Generator, build: Build, category: int, looseness: float) -> Design:
    """A top or a dress."""
    name, dress = DEEPFASHION2.categories[category].name, category in DRESSES
    trunk = _trunk(rng, looseness)
    if dress:
        trunk = replace(trunk, folds=0.0, slope=min(trunk.slope, -0.05))
    hangs = {Part.TRUNK: trunk}
    straps: tuple[Panel, ...] = ()
    if "sling" in name:
        strap, cut = on_straps(rng, build)
        straps = (Panel(layer="upper", cut=strap, hangs=hangs, joined=Edge.BOTTOM, trim=True),)
    elif "vest" in name:
        cut = sleeveless(rng, build)
    else:
        cut = sleeved(rng, build, long="long" in name)
        hangs |= _sleeves(rng, 0.6 * looseness if "long" in name else looseness)
    if dress:
        below = _below_the_waist(cut, hangs, _skirt(rng, _JOIN, ease=trunk.ease))
    else:
        below = (Panel(layer="upper", cut=replace(cut, bottom=rng.uniform(-0.03, 0.13)), hangs=hangs),)
    return Design(category=category, panels=(*straps, *below), ease=trunk.ease)


def _outwear(rng: Generator, build: Build, category: int, looseness: float) -> Design:
    """A jacket that ends at the hips, or a coat."""
    long = "long" in DEEPFASHION2.categories[category].name
    trunk = replace(_trunk(rng, 0.3 + 0.7 * looseness), slope=rng.uniform(-0.2, 0.12))
    hangs = {Part.TRUNK: trunk, **_sleeves(rng, 0.3 + 0.5 * looseness)}
    if rng.random() < 0.6:
        bottom = rng.uniform(-0.04, 0.08)
        cut = open_in_front(rng, build, bottom, long=long)
        panels: tuple[Panel, ...] = (Panel(layer="upper", cut=replace(cut, bottom=bottom), hangs=hangs),)
    else:
        bottom = rng.uniform(-0.45, -0.12)
        cut = open_in_front(rng, build, bottom, long=long)
        hang = Hang(top=WAIST, slope=rng.uniform(-0.05, 0.15), ease=trunk.ease, folds=0.01, phase=rng.uniform(0, 6))
        skirt = Cut(top=_JOIN, bottom=bottom, opening=cut.opening)
        panels = _below_the_waist(cut, hangs, Panel(layer="skirt", cut=skirt, hangs={Part.TRUNK: hang}))
    if rng.random() < _WITH_COLLAR:
        collar = collar_of(rng, cut)
        panels = (Panel(layer="upper", cut=collar, hangs=hangs, trim=True, lift=_COLLAR), *panels)
    return Design(category=category, panels=panels, ease=trunk.ease)


def _below_the_waist(cut: Cut, hangs: Mapping[Part, Hang], skirt: Panel) -> tuple[Panel, ...]:
    """What is above the waist, sewn to a skirt."""
    upper = Panel(layer="upper", cut=replace(cut, bottom=_JOIN - 0.07), hangs=hangs, joined=Edge.BOTTOM)
    return upper, replace(skirt, joined=Edge.TOP)


def _trunk(rng: Generator, looseness: float) -> Hang:
    return Hang(
        top=_CHEST,
        slope=-0.35 + 0.45 * looseness,
        ease=0.004 + 0.012 * looseness,
        folds=rng.uniform(0.1, 0.9) * 0.016 * looseness,
        waves=int(rng.integers(4, 9)),
        phase=rng.uniform(0, 6),
    )


def _sleeves(rng: Generator, looseness: float) -> dict[Part, Hang]:
    slope = -0.25 + 0.4 * looseness
    return {
        part: Hang(
            top=_SHOULDER, slope=slope, ease=0.004 + 0.008 * looseness, folds=0.004 * looseness, phase=rng.uniform(0, 6)
        )
        for part in (Part.LEFT_ARM, Part.RIGHT_ARM)
    }


def _skirt(rng: Generator, top: float, *, ease: float) -> Panel:
    flare = rng.uniform(-0.12, 0.12) if rng.random() < 0.45 else rng.uniform(0.1, 0.5)
    hang = Hang(
        top=WAIST,
        slope=flare,
        ease=ease,
        folds=max(flare, 0.03) * rng.uniform(0.05, 0.22),
        waves=int(rng.integers(6, 14)),
        phase=rng.uniform(0, 6),
    )
    bottom = rng.choice(
        [rng.uniform(-0.3, -0.12), rng.uniform(-0.45, -0.3), rng.uniform(-0.66, -0.45)], p=(0.4, 0.4, 0.2)
    )
    return Panel(layer="skirt", cut=Cut(top=top, bottom=float(bottom)), hangs={Part.TRUNK: hang})


def tucked(top: Design, lower: Design) -> Design:
    """The top as it goes into a waistband: what is far below that shows nowhere, and is left out."""
    waistband = lower.panels[0].cut.top
    assert isinstance(waistband, float)
    return replace(top, panels=tuple(_shortened(panel, waistband - _TUCKED) for panel in top.panels))


def _shortened(panel: Panel, bottom: float) -> Panel:
    """The panel, ending no lower than this z."""
    if panel.cut.bottom is None:
        return panel
    return replace(panel, cut=replace(panel.cut, bottom=max(panel.cut.bottom, bottom)))
