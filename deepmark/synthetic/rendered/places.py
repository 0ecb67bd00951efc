"""Where the landmarks of a garment are: one place each, on its cut edges and the lines between front and back."""

import numpy as np

from deepmark.shapes import Bool, Float, Int
from deepmark.synthetic.rendered.chart import ARMS, LEGS
from deepmark.synthetic.rendered.cut import BOTTOM_EDGE, CUFF_EDGE, NECK_EDGE, TOP_EDGE
from deepmark.synthetic.rendered.garment import HIP, WAIST, Piece, Worn
from deepmark.synthetic.rendered.mesh import Part
from deepmark.vocabulary import DEEPFASHION2

Spot = tuple[Piece, Int[np.ndarray, "3"], Float[np.ndarray, "3"]]
"""The piece that holds a landmark, the vertices of its triangle, and their shares."""

_KNEE, _ELBOW = -0.35, 0.2525
"""z, and the way from the shoulder along the arm, in the mean shape."""


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
    first, last = worn.pieces[0], worn.pieces[-1]
    if name == "crotch":
        x, z = first.surface.places[:, 0], first.surface.places[:, 2]
        best = int(np.argmin(np.where(np.abs(x) < 1e-4, z, np.inf)))
        return first, np.array([best] * 3), np.array([1.0, 0.0, 0.0])
    piece, column = {
        "neck front": (first, NECK_EDGE),
        "neck back": (first, NECK_EDGE),
        "hem middle": (last, BOTTOM_EDGE),
        "skirt hem middle": (last, BOTTOM_EDGE),
        "waistband middle": (first, TOP_EDGE),
    }[name]
    front = piece.surface.places[:, 1] * (1 if name == "neck back" else -1)
    return _crossing(piece, piece.inside[:, column], piece.surface.places[:, 0], prefer=front)


def _side(worn: Worn, name: str, sign: int) -> Spot:
    upper, last = worn.pieces[0], worn.pieces[-1]
    if any(word in name for word in ("sleeve", "cuff", "elbow")) or name in ("shoulder", "armpit"):
        return _on_sleeve(upper, name, sign)
    if name in ("neck", "neckline"):
        x, y = upper.surface.places[:, 0], upper.surface.places[:, 1]
        if name == "neck":
            return _crossing(upper, upper.inside[:, NECK_EDGE], _ridge(upper), prefer=sign * x)
        half = _crossing(upper, upper.inside[:, NECK_EDGE], _ridge(upper), prefer=sign * x)
        share = 0.55 * float(half[2] @ x[half[1]])
        return _crossing(upper, upper.inside[:, NECK_EDGE], x - share, prefer=-y)
    piece = last if "skirt" in name else upper
    if "leg" in name or "knee" in name or "ankle" in name or "thigh" in name:
        return _on_leg(piece, name, sign)
    if name == "waistband":
        if piece.surface.mesh.part.max() > 0:
            return _on_leg(piece, name, sign)
        return _on_side(piece, piece.inside[:, TOP_EDGE], sign)
    if "hem corner" in name:
        return _on_side(piece, piece.inside[:, BOTTOM_EDGE], sign)
    if name == "hip side":
        return _on_side(last, last.surface.chart.height - HIP, sign)
    return _on_side(piece, piece.surface.chart.height - _level(worn, name, sign), sign)


def _level(worn: Worn, name: str, sign: int) -> float:
    """z of a landmark on the side line, in the mean shape."""
    upper, last = worn.pieces[0], worn.pieces[-1]
    end = _lowest(last)
    if name == "skirt side":
        start = HIP if len(worn.pieces) > 1 else _highest(last)
        return (start + end) / 2
    piece, corners, shares = _on_sleeve(upper, "armpit", sign)
    armpit = float(shares @ piece.surface.places[corners][:, 2])
    if len(worn.pieces) > 1:
        return WAIST if name == "waist side" else (armpit + WAIST) / 2
    return armpit + (end - armpit) * (2 / 3 if name == "waist side" else 1 / 3)


def _lowest(piece: Piece) -> float:
    return float((piece.surface.places[:, 2] - piece.inside[:, BOTTOM_EDGE])[~piece.surface.on_arm][0])


def _highest(piece: Piece) -> float:
    return float((piece.surface.places[:, 2] + piece.inside[:, TOP_EDGE])[0])


def _on_side(piece: Piece, level: Float[np.ndarray, " n"], sign: int) -> Spot:
    x = piece.surface.places[:, 0]
    return _crossing(
        piece, level, piece.surface.chart.front, prefer=sign * x, allowed=piece.surface.mesh.part == Part.TRUNK
    )


def _on_leg(piece: Piece, name: str, sign: int) -> Spot:
    part = LEGS[(sign + 1) // 2]
    height = piece.surface.chart.height
    level = {
        "waistband": piece.inside[:, TOP_EDGE],
        "thigh outer": height - (HIP + max(_KNEE, _lowest(piece))) / 2,
        "knee outer": height - _KNEE,
        "knee inner": height - _KNEE,
    }.get(name, piece.inside[:, BOTTOM_EDGE])
    outer = -1 if name.endswith("inner") else 1
    return _crossing(
        piece,
        level,
        piece.surface.chart.front,
        prefer=outer * piece.surface.chart.out,
        allowed=piece.surface.mesh.part == part,
    )


def _on_sleeve(piece: Piece, name: str, sign: int) -> Spot:
    part = ARMS[(sign + 1) // 2]
    mine = piece.surface.mesh.part == part
    way = -piece.surface.chart.height
    if name in ("shoulder", "armpit"):
        z = piece.surface.places[:, 2] * (1 if name == "shoulder" else -1)
        best = int(np.argmax(np.where(mine & piece.surface.armhole, z, -np.inf)))
        return piece, np.array([best] * 3), np.array([1.0, 0.0, 0.0])
    outer = -1 if name.endswith("inner") else 1
    cuff = float((way + piece.inside[:, CUFF_EDGE])[mine][0])
    start = _on_sleeve(piece, "shoulder" if outer > 0 else "armpit", sign)
    begin = float(way[start[1][0]])
    level = {
        "upper": (begin + min(cuff, _ELBOW)) / 2,
        "elbow": _ELBOW,
        "lower": (_ELBOW + cuff) / 2,
    }.get(name.partition(" ")[0], cuff)
    return _crossing(
        piece, way - level, piece.surface.chart.front, prefer=outer * piece.surface.chart.out, allowed=mine
    )


def _ridge(piece: Piece) -> Float[np.ndarray, " n"]:
    return piece.surface.places[:, 1] + 0.012


def _crossing(
    piece: Piece,
    first: Float[np.ndarray, " n"],
    second: Float[np.ndarray, " n"],
    *,
    prefer: Float[np.ndarray, " n"],
    allowed: Bool[np.ndarray, " n"] | None = None,
) -> Spot:
    """Where both fields are zero; of several places the one where `prefer` is largest."""
    triangles, positive = piece.surface.mesh.triangles, first > 0
    one, two, three = (positive[triangles[:, corner]] for corner in range(3))
    triangles = triangles[(one != two) | (two != three)]
    if allowed is not None:
        triangles = triangles[allowed[triangles].all(axis=1)]
    b = second[triangles].astype(float)
    both = (b.min(axis=1) <= 0) & (b.max(axis=1) >= 0)
    triangles, b = triangles[both], b[both]
    a = first[triangles].astype(float)
    rows = np.stack([a, b, np.ones_like(a)], axis=1)
    good = np.abs(np.linalg.det(rows)) > 1e-14
    shares = np.linalg.solve(rows[good], np.array([0.0, 0.0, 1.0])[None, :, None])[..., 0]
    triangles = triangles[good]
    held = (shares > -1e-6).all(axis=1)
    assert held.any(), "an edge of a garment does not cross the line of its landmark"
    triangles, shares = triangles[held], shares[held]
    best = int(np.argmax((shares * prefer[triangles]).sum(axis=1)))
    return piece, triangles[best], shares[best]
