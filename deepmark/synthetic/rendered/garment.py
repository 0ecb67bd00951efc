"""Shapes garments on a person: cloth that is pushed off the body, and hangs over what is below."""

from dataclasses import dataclass

import numpy as np

from deepmark.shapes import Float, Int
from deepmark.synthetic.rendered.chart import ARMS, LEGS, Chart, Surface, chart_of
from deepmark.synthetic.rendered.cut import is_cloth
from deepmark.synthetic.rendered.design import Design, Panel
from deepmark.synthetic.rendered.drape import hung_radius
from deepmark.synthetic.rendered.figure import Figure, Person
from deepmark.synthetic.rendered.mesh import Mesh, Part, Vectors

_JOINED = 100.0
"""Factor of the metres inside an edge that is none to the eye: no hem is near it."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Piece:
    """A panel on a person."""

    panel: Panel
    surface: Surface
    inside: Float[np.ndarray, "n 6"]
    """See `Cut.inside`."""

    rest: Vectors
    """Its vertices on the person before the pose."""

    posed: Vectors
    """Its vertices in the world."""

    normals: Vectors

    @property
    def cloth(self) -> Vectors:
        """Those of its vertices in the world that no edge leaves out."""
        return self.posed[is_cloth(self.inside)]


@dataclass(frozen=True, kw_only=True, slots=True)
class Worn:
    """A garment on a person."""

    design: Design
    pieces: tuple[Piece, ...]
    """Straps or a collar, if there are any; then from the shoulders or the waist to the hem."""

    @property
    def upper(self) -> Piece:
        """The highest piece but for straps and collars."""
        return next(piece for piece in self.pieces if not piece.panel.trim)

    @property
    def lower(self) -> Piece:
        """The piece with the hem."""
        return self.pieces[-1]

    @property
    def cloth(self) -> Vectors:
        """See `Piece.cloth`."""
        return np.concatenate([piece.cloth for piece in self.pieces])


@dataclass(frozen=True, kw_only=True, slots=True)
class _Sheet:
    """Cloth from which pieces are cut: see `Piece`."""

    rest: Vectors
    posed: Vectors
    normals: Vectors


@dataclass(frozen=True, kw_only=True, slots=True)
class _Cloth:
    """What is worn already: places before the pose, and the part of the body that each lies on."""

    layer: str
    points: Vectors
    part: Int[np.ndarray, " n"]
    ease: float
    """Metres that it stands off the body where it does not hang."""


_Under = dict[int, Float[np.ndarray, "_ 3"]]
"""What already lies on each part of the body: heights, angles and radii."""


def dress(figure: Figure, person: Person, designs: list[Design]) -> list[Worn]:
    """The garments on a person, the innermost first: each stands off those below it."""
    layers: list[_Cloth] = []
    found = []
    for design in designs:
        under = _under(figure, person, layers)
        pieces: list[Piece] = []
        cloths: list[_Cloth] = []
        sheets: dict[tuple[str, int], _Sheet] = {}  # panels of one layer that hang alike are one sheet of cloth
        for panel in design.panels:
            ease = design.ease + max((one.ease for one in layers if one.layer == panel.layer), default=0.0)
            key = panel.layer, id(panel.hangs)
            if key not in sheets:
                sheets[key] = _sheet(figure, person, panel, under, ease)
            pieces.append(_piece(figure, panel, sheets[key]))
            cloths.append(_cloth(pieces[-1], ease))
        layers += cloths
        found.append(Worn(design=design, pieces=tuple(pieces)))
    return found


def _cloth(piece: Piece, ease: float) -> _Cloth:
    mesh, inside = piece.surface.mesh, is_cloth(piece.inside)
    return _Cloth(layer=piece.panel.layer, points=piece.rest[inside], part=mesh.part[inside], ease=ease)


def _sheet(figure: Figure, person: Person, panel: Panel, under: _Under, ease: float) -> _Sheet:
    mesh: Mesh = getattr(figure, panel.layer).mesh
    rest = _shaped(person, mesh, panel, under, ease)
    posed = mesh.posed(rest, person.transforms).astype(np.float32)
    return _Sheet(
        rest=mesh.with_parts(rest),
        posed=mesh.with_parts(posed),
        normals=mesh.with_parts(mesh.faces.normals(posed)),
    )


def _piece(figure: Figure, panel: Panel, sheet: _Sheet) -> Piece:
    surface: Surface = getattr(figure, panel.layer)
    inside = panel.cut.inside(surface)
    if panel.joined is not None:
        inside[:, panel.joined] *= _JOINED
    posed = sheet.posed + panel.lift * sheet.normals
    return Piece(panel=panel, surface=surface, inside=inside, rest=sheet.rest, posed=posed, normals=sheet.normals)


def _shaped(person: Person, mesh: Mesh, panel: Panel, under: _Under, ease: float) -> Vectors:
    """The vertices of the subdivision on the person, pushed out and hanging."""
    rest = mesh.subdivision(person.rest)
    points = mesh.with_parts(rest)
    chart = chart_of(points, mesh.part, person.joints)
    pushed = points + ease * mesh.with_parts(mesh.faces.normals(rest))
    for part, hang in panel.hangs.items():
        mine = mesh.part == part
        own = Chart(**{name: getattr(chart, name)[mine] for name in Chart.__slots__})
        radius = hung_radius(own, hang, (_coordinates(own), *((under[part],) if part in under else ())))
        if panel.layer == "skirt":
            hung = own.at(radius)
        else:
            start = np.clip((hang.top + 0.08 - own.height) / 0.08, 0, 1)
            grown = np.maximum(radius - own.radius, ease) * start + ease * (1 - start)
            hung = np.where((start > 0)[:, None], own.at(own.radius + grown), pushed[mine])
            hung = start[:, None] * hung + (1 - start[:, None]) * pushed[mine]
        if part in LEGS:
            side = -1 if part == Part.LEFT_LEG else 1
            hung[:, 0] = side * np.maximum(side * hung[:, 0], 0.0)
        pushed[mine] = hung
    counts = np.bincount(mesh.own, minlength=len(rest))[:, None]
    total = np.stack([np.bincount(mesh.own, pushed[:, axis], minlength=len(rest)) for axis in range(3)], axis=1)
    moved = total / counts - rest
    return rest + mesh.faces.smoothed(moved, rounds=2)  # parts go over into each other


def _coordinates(chart: Chart) -> Float[np.ndarray, "n 3"]:
    return np.stack([chart.height, chart.angle, chart.radius], axis=1)


def _under(figure: Figure, person: Person, layers: list[_Cloth]) -> _Under:
    """Coordinates of the body below the chest about the trunk and the legs, and of what is worn about every part."""
    legs = figure.lower.mesh.subdivision(person.rest)
    points = np.concatenate([legs, *(one.points for one in layers)])
    part = np.concatenate([np.full(len(legs), int(Part.TRUNK)), *(one.part for one in layers)])
    on_arm = np.isin(part, ARMS)
    chosen = {Part.TRUNK: ~on_arm, **{arm: part == arm for arm in ARMS}}
    chosen |= {leg: ~on_arm & ((points[:, 0] > 0) == (leg == Part.RIGHT_LEG)) for leg in LEGS}
    found: _Under = {}
    for place, mine in chosen.items():
        if mine.any():
            chart = chart_of(points[mine], np.full(np.count_nonzero(mine), int(place)), person.joints)
            found[int(place)] = _coordinates(chart)
    return found
