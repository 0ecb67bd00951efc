"""Garments cut from the landmark figure of their category, in shoulder widths: x to the right, y down from the neck."""

from dataclasses import dataclass

import numpy as np
from jaxtyping import Float

from deepmark.schema import CATEGORIES, Category
from deepmark.synthetic.outfit import OUTWEAR, Look

Point = Float[np.ndarray, "2"]
Points = Float[np.ndarray, "_ 2"]
Range = tuple[float, float]


@dataclass(frozen=True, kw_only=True, slots=True)
class Fit:
    """How a category sits on the body and how its cut may vary."""

    across: int
    """The landmark whose distance to its mirror image is the width."""

    width: float
    """Shoulder widths."""

    below: int
    """Length and flare change what hangs below this landmark."""

    length: Range
    """Times the figure's."""

    flare: Range = (1.0, 1.0)
    """Width of the hem, times the figure's."""

    sleeve: Range = (1.0, 1.0)
    """Times the figure's. The figure draws the long sleeved dress to the elbow only, so that factor is the largest."""


FITS: dict[str, Fit] = {
    "short sleeve top": Fit(across=6, width=0.97, below=11, length=(0.5, 0.82), sleeve=(0.65, 0.95)),
    "long sleeve top": Fit(across=6, width=0.97, below=15, length=(0.55, 0.9), sleeve=(1.0, 1.15)),
    "short sleeve outwear": Fit(across=6, width=1.08, below=11, length=(0.7, 1.2), sleeve=(0.6, 0.85)),
    "long sleeve outwear": Fit(across=6, width=1.1, below=15, length=(0.8, 1.7), sleeve=(1.1, 1.3)),
    "vest": Fit(across=7, width=0.72, below=7, length=(0.9, 1.4)),
    "sling": Fit(across=7, width=0.72, below=7, length=(0.8, 1.4)),
    "shorts": Fit(across=0, width=0.7, below=0, length=(0.8, 1.25)),
    "trousers": Fit(across=0, width=0.7, below=0, length=(1.05, 1.35)),
    "skirt": Fit(across=0, width=0.64, below=0, length=(0.45, 0.85), flare=(0.5, 0.9)),
    "short sleeve dress": Fit(across=6, width=0.96, below=11, length=(1.0, 1.5), flare=(0.6, 1.0), sleeve=(0.6, 0.9)),
    "long sleeve dress": Fit(across=6, width=0.96, below=15, length=(1.0, 1.45), flare=(0.6, 1.0), sleeve=(1.25, 1.6)),
    "vest dress": Fit(across=7, width=0.66, below=7, length=(0.9, 1.4), flare=(0.6, 1.0)),
    "sling dress": Fit(across=7, width=0.7, below=7, length=(0.95, 1.5), flare=(0.7, 1.1)),
}

ELBOW = 0.62
"""From the shoulder joint, shoulder widths."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Arm:
    """One arm's pose, radians; seen so that the arm hangs on the left of the picture."""

    lift: float
    """From hanging straight down outwards."""

    bend: float
    """Of the elbow, inwards."""


def flip(category: Category, points: Points) -> Points:
    """The garment in a mirror at x = 0, its landmarks numbered by the picture again."""
    return points[list(category.mirror)] * (-1, 1)


def left_sleeve(category: Category) -> tuple[int, ...]:
    """Landmarks of the sleeve on the left, from the shoulder by the cuff to the armpit; none for sleeveless ones."""
    if category.name.startswith("short sleeve"):
        return tuple(range(6, 12))
    return tuple(range(6, 16)) if category.name.startswith("long sleeve") else ()


def joint_of(category: Category, points: Points) -> Point:
    """Where the sleeve on the left hangs on the body."""
    sleeve = left_sleeve(category)
    return (points[sleeve[0]] + points[sleeve[-1]]) / 2


def girth(look: Look, points: Points) -> float:
    """Half the width of what goes around the chest, measured at the two landmarks below the arm."""
    category = CATEGORIES[look.category]
    below = (left_sleeve(category) or (6,))[-1] + 1
    return float(np.abs(points[[below, below + 1], 0]).min())


def direction(angle: float) -> Point:
    """Down for 0, to the left for a right angle."""
    return np.array([-np.sin(angle), np.cos(angle)])


def cut(look: Look, arms: tuple[Arm, Arm]) -> Points:
    """The garment's landmarks on a wearer with these arms, left and right by the picture; its top edge has y = 0."""
    category = CATEGORIES[look.category]
    fit = FITS[category.name]
    points = np.array(category.shape.points) * (category.shape.aspect, 1) - (category.shape.aspect / 2, 0)
    points *= fit.width * (0.92 + 0.16 * look.width) / abs(2 * points[fit.across, 0])
    points = _open(look, category, points)
    points = _lengthen(look, fit, category, points)
    if left_sleeve(category):
        for arm in arms:
            points = flip(category, _set_sleeve(category, points, arm, _at(fit.sleeve, look.sleeve)))
    return points


def _at(span: Range, where: float) -> float:
    return span[0] + where * (span[1] - span[0])


def _open(look: Look, category: Category, points: Points) -> Points:
    """Outwear more or less open, other necklines more or less deep."""
    points = points.copy()
    if look.category in OUTWEAR:
        edges = [landmark for line in category.shape.inner_lines for landmark in line[2:]]
        points[edges, 0] *= 1 + 1.6 * look.opening
    elif category.shape.inner_lines:
        neckline = list(category.shape.inner_lines[0][1:-1])
        rim = points[category.shape.inner_lines[0][0], 1]
        points[neckline, 1] = rim + (points[neckline, 1] - rim) * (0.85 + 0.65 * look.neck)
    return points


def _lengthen(look: Look, fit: Fit, category: Category, points: Points) -> Points:
    points = points.copy()
    start, end = points[fit.below, 1], points[:, 1].max()
    depth = np.maximum(points[:, 1] - start, 0)
    depth[list(_sleeves(category))] = 0
    points[:, 0] *= 1 + (_at(fit.flare, look.flare) - 1) * depth / (end - start)
    points[:, 1] += (_at(fit.length, look.length) - 1) * depth
    return points


def _sleeves(category: Category) -> frozenset[int]:
    """Landmarks that move with an arm, on both sides; shoulder and armpit stay."""
    left = left_sleeve(category)[1:-1]
    return frozenset(left) | {category.mirror[landmark] for landmark in left}


def _set_sleeve(category: Category, points: Points, arm: Arm, stretch: float) -> Points:
    """The sleeve on the left made as long as told, turned into the arm's direction and bent at the elbow."""
    sleeve = left_sleeve(category)
    half = len(sleeve) // 2
    outer, inner = list(sleeve[1:half]), list(sleeve[half:-1])
    points, joint = points.copy(), joint_of(category, points)
    cuff = (points[sleeve[half - 1]] + points[sleeve[half]]) / 2
    axis = (cuff - joint) / np.linalg.norm(cuff - joint)
    for part, anchor in ((outer, points[sleeve[0]]), (inner, points[sleeve[-1]])):
        points[part] += (stretch - 1) * ((points[part] - anchor) @ axis)[:, None] * axis
    loose = outer + inner
    points[loose] = turned(points[loose], joint, arm.lift - np.arctan2(-axis[0], axis[1]))
    elbow = joint + ELBOW * direction(arm.lift)
    past = ((points - elbow) @ direction(arm.lift) > 0) & np.isin(np.arange(len(points)), loose)
    points[past] = turned(points[past], elbow, -arm.bend)
    return points


def turned(points: Points, center: Point, angle: float) -> Points:
    """The points turned about the centre, from down towards the left."""
    cos, sin = np.cos(angle), np.sin(angle)
    return (points - center) @ np.array([[cos, sin], [-sin, cos]]) + center


def hem(look: Look, points: Points) -> float:
    """How far down the garment reaches, sleeves aside."""
    sleeves = _sleeves(CATEGORIES[look.category])
    return float(max(y for landmark, y in enumerate(points[:, 1]) if landmark not in sleeves))
