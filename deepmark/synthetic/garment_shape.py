"""Garment shapes from the landmark figures of the categories; shoulder widths, x to the right, y down from the neck."""

from dataclasses import dataclass

import numpy as np

from deepmark.shapes import Float
from deepmark.synthetic.outfit import OUTWEAR, GarmentDesign
from deepmark.vocabulary import DEEPFASHION2, Category

Point = Float[np.ndarray, "2"]
Points = Float[np.ndarray, "_ 2"]
Range = tuple[float, float]


@dataclass(frozen=True, kw_only=True, slots=True)
class Fit:
    """The size of a category on the body, and how its shape may vary."""

    across: str
    """The part whose distance to its mirror image is the width."""

    width: float
    """Shoulder widths."""

    length: Range
    """Relative to the figure."""

    flare: Range = (1.0, 1.0)
    """Width of the hem, relative to the figure."""

    sleeve: Range = (1.0, 1.0)
    """Relative to the figure, which draws the long sleeved dress to the elbow only: that factor is the largest."""


_SHOULDER, _ARMPIT, _WAISTBAND = "left shoulder", "left armpit", "left waistband"

FITS: dict[str, Fit] = {
    "short sleeve top": Fit(across=_SHOULDER, width=0.97, length=(0.5, 0.82), sleeve=(0.65, 0.95)),
    "long sleeve top": Fit(across=_SHOULDER, width=0.97, length=(0.55, 0.9), sleeve=(1.0, 1.15)),
    "short sleeve outwear": Fit(across=_SHOULDER, width=1.08, length=(0.7, 1.2), sleeve=(0.6, 0.85)),
    "long sleeve outwear": Fit(across=_SHOULDER, width=1.1, length=(0.8, 1.7), sleeve=(1.1, 1.3)),
    "vest": Fit(across=_ARMPIT, width=0.72, length=(0.9, 1.4)),
    "sling": Fit(across=_ARMPIT, width=0.72, length=(0.8, 1.4)),
    "shorts": Fit(across=_WAISTBAND, width=0.7, length=(0.8, 1.25)),
    "trousers": Fit(across=_WAISTBAND, width=0.7, length=(1.05, 1.35)),
    "skirt": Fit(across=_WAISTBAND, width=0.64, length=(0.45, 0.85), flare=(0.5, 0.9)),
    "short sleeve dress": Fit(across=_SHOULDER, width=0.96, length=(1.0, 1.5), flare=(0.6, 1.0), sleeve=(0.6, 0.9)),
    "long sleeve dress": Fit(across=_SHOULDER, width=0.96, length=(1.0, 1.45), flare=(0.6, 1.0), sleeve=(1.25, 1.6)),
    "vest dress": Fit(across=_ARMPIT, width=0.66, length=(0.9, 1.4), flare=(0.6, 1.0)),
    "sling dress": Fit(across=_ARMPIT, width=0.7, length=(0.95, 1.5), flare=(0.7, 1.1)),
}

ELBOW = 0.62
"""Distance of the elbow from the shoulder joint, shoulder widths."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Arm:
    """The pose of an arm, radians, for an arm on the left of the image."""

    lift: float
    """0 hangs straight down; larger values lift the arm outwards."""

    bend: float
    """How far the elbow is bent inwards."""


def flip(category: Category, points: Points) -> Points:
    """The garment mirrored at x = 0, with its landmarks renumbered so that left is left in the image again."""
    return points[list(category.mirror)] * (-1, 1)


def left_sleeve(category: Category) -> tuple[int, ...]:
    """Landmarks of the left sleeve, from the shoulder along the cuff to the armpit; empty for sleeveless garments."""
    if _SHOULDER not in category.parts:
        return ()
    return tuple(range(category.parts.index(_SHOULDER), category.parts.index(_ARMPIT) + 1))


def shoulder_joint(category: Category, points: Points) -> Point:
    """The joint from which the left sleeve hangs."""
    sleeve = left_sleeve(category)
    return (points[sleeve[0]] + points[sleeve[-1]]) / 2


def chest_half_width(design: GarmentDesign, points: Points) -> float:
    """Half the width at the chest, measured at the two highest landmarks of the left side, sleeves excluded."""
    parts = DEEPFASHION2.categories[design.category].parts
    upper = "left chest side" if "left chest side" in parts else _ARMPIT
    return float(np.abs(points[[parts.index(upper), parts.index("left waist side")], 0]).min())


def direction(angle: float) -> Point:
    """The unit vector at this angle: down for 0, to the left for a right angle."""
    return np.array([-np.sin(angle), np.cos(angle)])


def shape_garment(design: GarmentDesign, arms: tuple[Arm, Arm]) -> Points:
    """The landmarks of the garment on a wearer with these arms (left, right in the image); its top edge is at y = 0."""
    category = DEEPFASHION2.categories[design.category]
    fit = FITS[category.name]
    points = np.array(category.shape.points) * (category.shape.aspect, 1) - (category.shape.aspect / 2, 0)
    points *= fit.width * (0.92 + 0.16 * design.width) / abs(2 * points[category.parts.index(fit.across), 0])
    points = _open_front(design, category, points)
    points = _lengthen(design, fit, category, points)
    if left_sleeve(category):
        for arm in arms:
            points = flip(category, _set_sleeve(category, points, arm, _interpolate(fit.sleeve, design.sleeve)))
    return points


def _interpolate(bounds: Range, share: float) -> float:
    return bounds[0] + share * (bounds[1] - bounds[0])


def _open_front(design: GarmentDesign, category: Category, points: Points) -> Points:
    """Varies how far outwear is open, and how deep other necklines are."""
    points = points.copy()
    if design.category in OUTWEAR:
        edges = [landmark for line in category.shape.inner_lines for landmark in line[2:]]
        points[edges, 0] *= 1 + 1.6 * design.opening
    elif category.shape.inner_lines:
        neckline = list(category.shape.inner_lines[0][1:-1])
        rim = points[category.shape.inner_lines[0][0], 1]
        points[neckline, 1] = rim + (points[neckline, 1] - rim) * (0.85 + 0.65 * design.neck)
    return points


def _lengthen(design: GarmentDesign, fit: Fit, category: Category, points: Points) -> Points:
    """Varies the length and the flare of what hangs below the armpit or the waistband; sleeves stay."""
    points = points.copy()
    top = category.parts.index(_ARMPIT if _ARMPIT in category.parts else _WAISTBAND)
    start, end = points[top, 1], points[:, 1].max()
    depth = np.maximum(points[:, 1] - start, 0)
    depth[list(_sleeves(category))] = 0
    points[:, 0] *= 1 + (_interpolate(fit.flare, design.flare) - 1) * depth / (end - start)
    points[:, 1] += (_interpolate(fit.length, design.length) - 1) * depth
    return points


def _sleeves(category: Category) -> frozenset[int]:
    """Landmarks of both sides that move with an arm; shoulder and armpit do not."""
    left = left_sleeve(category)[1:-1]
    return frozenset(left) | {category.mirror[landmark] for landmark in left}


def _set_sleeve(category: Category, points: Points, arm: Arm, factor: float) -> Points:
    """Scales the length of the left sleeve by `factor`, turns it along the arm and bends it at the elbow."""
    sleeve = left_sleeve(category)
    half = len(sleeve) // 2
    outer, inner = list(sleeve[1:half]), list(sleeve[half:-1])
    points, joint = points.copy(), shoulder_joint(category, points)
    cuff = (points[sleeve[half - 1]] + points[sleeve[half]]) / 2
    axis = (cuff - joint) / np.linalg.norm(cuff - joint)
    for part, anchor in ((outer, points[sleeve[0]]), (inner, points[sleeve[-1]])):
        points[part] += (factor - 1) * ((points[part] - anchor) @ axis)[:, None] * axis
    loose = outer + inner
    points[loose] = rotated(points[loose], joint, arm.lift - np.arctan2(-axis[0], axis[1]))
    elbow = joint + ELBOW * direction(arm.lift)
    past = ((points - elbow) @ direction(arm.lift) > 0) & np.isin(np.arange(len(points)), loose)
    points[past] = rotated(points[past], elbow, -arm.bend)
    return points


def rotated(points: Points, center: Point, angle: float) -> Points:
    """The points rotated about the centre; a positive angle turns down towards left."""
    cos, sin = np.cos(angle), np.sin(angle)
    return (points - center) @ np.array([[cos, sin], [-sin, cos]]) + center


def hem_depth(design: GarmentDesign, points: Points) -> float:
    """The y of the lowest landmark, sleeves excluded."""
    sleeves = _sleeves(DEEPFASHION2.categories[design.category])
    return float(max(y for landmark, y in enumerate(points[:, 1]) if landmark not in sleeves))
