"""Where the landmarks of a garment are: one place each, on its cut edges and the lines between front and back."""

import numpy as np

from deepmark.shapes import Bool, Float
from deepmark.synthetic.rendered.chart import ARMS, LEGS
from deepmark.synthetic.rendered.crossing import Spot, at_vertex, crossing, place_of
from deepmark.synthetic.rendered.cut import RIDGE, Edge
from deepmark.synthetic.rendered.design import HIP, WAIST
from deepmark.synthetic.rendered.garment import Piece, Worn
from deepmark.synthetic.rendered.mesh import Part
from deepmark.vocabulary import DEEPFASHION2

_KNEE, _ELBOW = -0.35, 0.2525
"""z, and the way from the shoulder along the arm, in the mean shape."""

_SEAM = 0.01
"""Metres above the end of an upper piece below which the piece under it has the landmarks."""

_SHARE = 0.55
"""Where the landmark of a neckline lies between the middle and the shoulder."""

_MIDDLES = {
    "neck front": (Edge.NECK, -1),
    "neck back": (Edge.NECK, 1),
    "front top edge": (Edge.TOP, -1),
    "back top edge": (Edge.TOP, 1),
    "waistband middle": (Edge.TOP, -1),
    "hem middle": (Edge.BOTTOM, -1),
    "skirt hem middle": (Edge.BOTTOM, -1),
}
"""Landmarks in the middle: their edge, and -1 for the front or 1 for the back."""


def spots_of(worn: Worn) -> list[Spot]:
    """The place of every landmark of the garment's category, in its order."""
    return [_spot(worn, name) for name in DEEPFASHION2.categories[worn.design.category].parts]


def positions_of(spots: list[Spot]) -> Float[np.ndarray, "k 3"]:
    """Where landmarks are in the world."""
    return np.stack([shares @ piece.posed[corners] for piece, corners, shares in spots])


def normals_at(spots: list[Spot]) -> Float[np.ndarray, "k 3"]:
    return np.stack([shares @ piece.normals[corners] for piece, corners, shares in spots])


def _spot(worn: Worn, name: str) -> Spot:
    side, _, rest = name.partition(" ")
    sign = {"left": -1, "right": 1}.get(side, 0)
    return _middle(worn, name) if sign == 0 else _side(worn, rest, sign)


def _middle(worn: Worn, name: str) -> Spot:
    if name == "crotch":
        piece = worn.upper
        x, z = piece.surface.places[:, 0], piece.surface.places[:, 2]
        return at_vertex(piece, int(np.argmin(np.where(np.abs(x) < 1e-4, z, np.inf))))
    edge, behind = _MIDDLES[name]
    piece = worn.lower if edge == Edge.BOTTOM else worn.upper
    x, y = piece.surface.places[:, 0], piece.surface.places[:, 1]
    return crossing(piece, piece.inside[:, edge], x, prefer=behind * y)


def _side(worn: Worn, name: str, sign: int) -> Spot:
    upper, lower = worn.upper, worn.lower
    if name == "armpit":
        return _armpit(upper, sign)
    if name == "shoulder" or any(word in name for word in ("sleeve", "cuff", "elbow")):
        return _on_sleeve(upper, name, sign)
    if name in ("neck", "armhole top"):
        return _on_ridge(upper, upper.inside[:, Edge.NECK if name == "neck" else Edge.ARM], sign)
    if name == "neckline":
        return _on_neckline(upper, sign)
    if name.startswith("strap") or name == "top edge":
        return _at_straps(worn, name, sign)
    if name.startswith("front") or name == "collar end":
        return _on_front(worn, name, sign)
    if any(word in name for word in ("leg", "knee", "ankle", "thigh")):
        return _on_leg(upper, name, sign)
    if name == "waistband":
        if upper.panel.layer == "lower":
            return _on_leg(upper, name, sign)
        return _on_side(upper, upper.inside[:, Edge.TOP], sign)
    if "hem corner" in name:
        return _on_side(lower, lower.inside[:, Edge.BOTTOM], sign)
    piece = lower if name in ("skirt side", "hip side") else upper
    return _on_side(piece, piece.surface.chart.height - _level(worn, name, sign), sign)


def _level(worn: Worn, name: str, sign: int) -> float:
    """z of a landmark on the side line, in the mean shape."""
    upper, end = worn.upper, _hem(worn)
    if name == "hip side":
        return HIP
    if name == "skirt side":
        start = upper.panel.cut.top if upper is worn.lower else HIP
        assert isinstance(start, float)
        return (start + end) / 2
    armpit = float(place_of(_armpit(upper, sign))[2])
    if worn.lower.panel.layer == "skirt":
        return WAIST if name == "waist side" else (armpit + WAIST) / 2
    share = 1 / 3 if name == "chest side" else 2 / 3 if upper.panel.cut.armhole is None else 1 / 2
    return armpit + (end - armpit) * share


def _hem(worn: Worn) -> float:
    """z of the lower end, in the mean shape."""
    bottom = worn.lower.panel.cut.bottom
    assert bottom is not None
    return bottom


def _on_side(piece: Piece, level: Float[np.ndarray, " n"], sign: int) -> Spot:
    x, front = piece.surface.places[:, 0], piece.surface.chart.front
    return crossing(piece, level, front, prefer=sign * x, allowed=piece.surface.mesh.part == Part.TRUNK)


def _on_leg(piece: Piece, name: str, sign: int) -> Spot:
    height, bottom = piece.surface.chart.height, piece.panel.cut.bottom
    assert bottom is not None
    level = {
        "waistband": piece.inside[:, Edge.TOP],
        "thigh outer": height - (HIP + max(_KNEE, bottom)) / 2,
        "knee outer": height - _KNEE,
        "knee inner": height - _KNEE,
    }.get(name, piece.inside[:, Edge.BOTTOM])
    return _on_limb(piece, level, name, piece.surface.mesh.part == LEGS[(sign + 1) // 2])


def _on_limb(piece: Piece, level: Float[np.ndarray, " n"], name: str, mine: Bool[np.ndarray, " n"]) -> Spot:
    """On the outer or the inner line of an arm or a leg."""
    outer = -1 if name.endswith("inner") else 1
    return crossing(piece, level, piece.surface.chart.front, prefer=outer * piece.surface.chart.out, allowed=mine)


def _on_sleeve(piece: Piece, name: str, sign: int) -> Spot:
    if name == "shoulder":
        return _armhole_end(piece, sign, highest=True)
    cuff = piece.panel.cut.cuff
    assert cuff is not None
    mine = piece.surface.mesh.part == ARMS[(sign + 1) // 2]
    way = -piece.surface.chart.height
    start = _armhole_end(piece, sign, highest=not name.endswith("inner"))
    begin = float(way[start[1][0]])
    level = {
        "upper": (begin + min(cuff, _ELBOW)) / 2,
        "elbow": _ELBOW,
        "lower": (_ELBOW + cuff) / 2,
    }.get(name.partition(" ")[0], cuff)
    return _on_limb(piece, way - level, name, mine)


def _armhole_end(piece: Piece, sign: int, *, highest: bool) -> Spot:
    """The highest or the lowest place where arm and trunk meet."""
    mine = piece.surface.armhole & (piece.surface.mesh.part == ARMS[(sign + 1) // 2])
    z = piece.surface.places[:, 2] * (1 if highest else -1)
    return at_vertex(piece, int(np.argmax(np.where(mine, z, -np.inf))))


def _armpit(piece: Piece, sign: int) -> Spot:
    """Where arm and trunk meet, or the lowest place of an armhole."""
    lowest = _armhole_end(piece, sign, highest=False)
    if piece.panel.cut.armhole is None:
        return lowest
    x, y, z = piece.surface.places.T
    return crossing(piece, piece.inside[:, Edge.ARM], y - place_of(lowest)[1], prefer=-z, allowed=sign * x > 0)


def _on_ridge(piece: Piece, edge: Float[np.ndarray, " n"], sign: int) -> Spot:
    """Where an edge crosses the ridge of the shoulders."""
    x, y, z = piece.surface.places.T
    return crossing(piece, edge, y - RIDGE, prefer=z, allowed=sign * x > 0)


def _on_neckline(piece: Piece, sign: int) -> Spot:
    """Between the ridge of the shoulder and the middle, or the edge of an open front."""
    x, y = piece.surface.places[:, 0], piece.surface.places[:, 1]
    edge = piece.inside[:, Edge.NECK]
    start = 0.0 if piece.panel.cut.opening is None else place_of(_collar_end(piece, sign))[0]
    end = place_of(_on_ridge(piece, edge, sign))[0]
    return crossing(piece, edge, x - (1 - _SHARE) * start - _SHARE * end, prefer=-y)


def _at_straps(worn: Worn, name: str, sign: int) -> Spot:
    """On the middle of a strap where it is highest or joins the front, or between it and the middle of the front."""
    piece = worn.pieces[0]
    assert piece.panel.cut.strap is not None
    middle = sign * piece.panel.cut.strap.middle
    if name == "strap top":
        x, y, z = piece.surface.places.T
        return crossing(piece, x - middle, y - RIDGE, prefer=z)
    upper = worn.upper
    x, y = upper.surface.places[:, 0], upper.surface.places[:, 1]
    share = 1.0 if name == "strap joint" else _SHARE
    return crossing(upper, upper.inside[:, Edge.TOP], x - share * middle, prefer=-y)


def _collar_end(piece: Piece, sign: int) -> Spot:
    """Where the neckline meets the open front."""
    return _along_front(piece, piece.inside[:, Edge.NECK], sign)


def _on_front(worn: Worn, name: str, sign: int) -> Spot:
    """On the edge of an open front."""
    if name == "front hem":
        return _along_front(worn.lower, worn.lower.inside[:, Edge.BOTTOM], sign)
    collar = _collar_end(worn.upper, sign)
    if name == "collar end":
        return collar
    top, share = float(place_of(collar)[2]), 1 / 3 if name == "front upper" else 2 / 3
    level = top + (_hem(worn) - top) * share
    bottom = worn.upper.panel.cut.bottom
    assert bottom is not None
    piece = worn.upper if level > bottom + _SEAM else worn.lower
    return _along_front(piece, piece.surface.places[:, 2] - level, sign)


def _along_front(piece: Piece, level: Float[np.ndarray, " n"], sign: int) -> Spot:
    surface = piece.surface
    allowed = (sign * surface.places[:, 0] > -1e-4) & (surface.chart.front > 0) & ~surface.on_arm
    return crossing(piece, piece.inside[:, Edge.FRONT], level, prefer=surface.chart.front, allowed=allowed)
