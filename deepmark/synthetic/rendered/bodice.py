"""Samples how a garment is cut above the waist: at the neck, at the arms, at its straps, and at an open front."""

from dataclasses import replace
from functools import cache

import numpy as np
from numpy.random import Generator

from deepmark.synthetic.rendered.cut import RIDGE, Armhole, Collar, Cut, Neckline, Opening, Rim, Strap
from deepmark.synthetic.rendered.figure import Figure
from deepmark.synthetic.rendered.mesh import Part

_WIDEST = 0.155
"""x of the ends of the shoulders, where an armhole may still be."""


class Build:
    """Measures of the trunk in the mean shape, by which necklines and armholes are cut."""

    def __init__(self, figure: Figure) -> None:
        surface = figure.upper
        points = surface.places
        x, z = np.abs(points[:, 0]), points[:, 2]
        ridge = np.abs(points[:, 1] - RIDGE) < 0.03
        self._x = np.arange(0.04, 0.17, 0.01)
        self._ridge = np.array([z[ridge & (np.abs(x - at) < 0.012)].max() for at in self._x])
        self._z = np.arange(0.2, 0.4, 0.02)
        trunk = surface.mesh.part == Part.TRUNK
        self._side = np.array([x[trunk & (np.abs(z - at) < 0.02)].max() for at in self._z])
        self.armpit = float(z[surface.armhole].min())
        """z of the armpits."""

    def ridge(self, x: float) -> float:
        """z of the shoulders' ridge at this distance from the middle."""
        return float(np.interp(x, self._x, self._ridge))

    def side(self, z: float) -> float:
        """Half the width of the trunk."""
        return float(np.interp(z, self._z, self._side))


@cache
def build_of(figure: Figure) -> Build:
    return Build(figure)


def sleeved(rng: Generator, build: Build, *, long: bool) -> Cut:
    cuff = rng.uniform(0.4, 0.47) if long else rng.uniform(0.1, 0.235)
    return Cut(cuff=cuff, neck=_neckline(rng, build))


def sleeveless(rng: Generator, build: Build) -> Cut:
    neck = _neckline(rng, build)
    shoulder = min(neck.half_width + rng.uniform(0.025, 0.08), _WIDEST)
    bottom = build.armpit - (rng.uniform(0.0, 0.02) if rng.random() < 0.7 else rng.uniform(0.02, 0.06))
    armhole = Armhole(
        shoulder=(shoulder, build.ridge(shoulder)),
        armpit=(build.side(bottom), bottom),
        power=rng.uniform(1.2, 2.2),
        front=rng.uniform(0.0, 0.02),
        back=rng.uniform(0.0, 0.012),
    )
    return Cut(neck=neck, armhole=armhole)


def on_straps(rng: Generator, build: Build) -> tuple[Cut, Cut]:
    """The straps, and what hangs from them."""
    half_width = rng.uniform(0.003, 0.006) if rng.random() < 0.6 else rng.uniform(0.007, 0.016)
    middle = rng.uniform(0.085, 0.115)
    bottom = build.armpit - rng.uniform(0.0, 0.02)
    front = build.armpit + rng.uniform(0.0, 0.05)
    rim = Rim(
        front=front,
        back=bottom + rng.uniform(0.015, 0.06),
        joint=(middle, front + rng.uniform(0.0, 0.06)),
        power=float(rng.choice((1.0, 1.5, 2.5))),
    )
    shoulder = middle + half_width
    armhole = Armhole(
        shoulder=(shoulder, build.ridge(shoulder)),
        armpit=(build.side(bottom), bottom),
        power=rng.uniform(2.5, 4.0),
        front=0.0,
        back=0.0,
    )
    strap = Strap(middle=middle, half_width=half_width, rim=rim)
    return Cut(strap=strap), Cut(top=rim, armhole=armhole)


def open_in_front(rng: Generator, build: Build, bottom: float, *, long: bool) -> Cut:
    """A jacket or a coat that ends at this z."""
    cut = sleeved(rng, build, long=long)
    half_width = rng.uniform(0.07, 0.1)
    if rng.random() < 0.6:  # a lapel's deep V, else as a cardigan's or a blouson's
        depth, power = rng.uniform(0.1, 0.27), 1.0
    else:
        depth, power = rng.uniform(0.05, 0.1), 2.0
    neck = Neckline(
        half_width=half_width,
        front=depth,
        back=rng.uniform(0.005, 0.025),
        power=power,
        shoulder=build.ridge(half_width),
    )
    kind = rng.random()
    if kind < 0.25:  # buttoned or zipped: the edges touch
        gaps = (0.0015, 0.0015)
    elif kind < 0.65:
        gaps = (rng.uniform(0.008, 0.03), rng.uniform(0.02, 0.07))
    else:
        gaps = (rng.uniform(0.02, 0.045), rng.uniform(0.06, 0.11))
    opening = Opening(top=(gaps[0], neck.shoulder - depth), bottom=(gaps[1], bottom))
    return replace(cut, neck=neck, opening=opening)


def collar_of(rng: Generator, cut: Cut) -> Cut:
    """A collar along the neckline of what is open in front."""
    assert cut.neck is not None
    return Cut(collar=Collar(neck=cut.neck, width=rng.uniform(0.05, 0.12)), opening=cut.opening)


def _neckline(rng: Generator, build: Build) -> Neckline:
    half_width = rng.uniform(0.062, 0.105)
    return Neckline(
        half_width=half_width,
        front=rng.uniform(0.05, 0.11) if rng.random() < 0.6 else rng.uniform(0.09, 0.17),
        back=rng.uniform(0.012, 0.05),
        power=float(rng.choice((1.0, 2.0, 2.5, 4.0))),
        shoulder=build.ridge(half_width),
    )
