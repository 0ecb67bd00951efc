"""Designs garments, and shapes them on a person."""

from dataclasses import dataclass, replace

import numpy as np
from numpy.random import Generator

from deepmark.shapes import Float, Int
from deepmark.synthetic.rendered.chart import LEGS, Chart, Surface, chart_of
from deepmark.synthetic.rendered.cut import BOTTOM_EDGE, TOP_EDGE, Cut, Neckline
from deepmark.synthetic.rendered.drape import Hang, hung_radius
from deepmark.synthetic.rendered.figure import Figure, Person
from deepmark.synthetic.rendered.mesh import Mesh, Part, Vectors, normals_of
from deepmark.vocabulary import DEEPFASHION2

WAIST, HIP = 0.15, 0.0
"""z of the natural waist and of the widest hips in the mean shape."""


def _indices(*names: str) -> tuple[int, ...]:
    return tuple(DEEPFASHION2.by_name[name].index for name in names)


TOPS = _indices("short sleeve top", "long sleeve top")
LOWERS = _indices("trousers", "skirt", "shorts")
DRESSES = _indices("short sleeve dress", "long sleeve dress")
CATEGORIES = (*TOPS, *LOWERS, *DRESSES)
"""Those that are rendered."""

_CHEST, _THIGH, _SHOULDER = 0.36, -0.1, -0.06
"""Heights below which cloth hangs: on the trunk, on a leg, and on an arm, there minus the way from the shoulder."""

_TUCKED = 0.02
"""Metres of a top that are in a waistband."""

_JOINED = 100.0
"""Factor of the metres inside an edge that is none to the eye: no hem is near it."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Panel:
    """A piece of a garment: the layer of the body it is cut from, its edges, and how it hangs on each part."""

    layer: str
    """The name of one of the figure's meshes."""

    cut: Cut
    hangs: dict[Part, Hang]
    joined: int | None = None
    """The edge, as a column of `Cut.inside`, at which the garment goes on in another panel."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Design:
    """A garment before it is worn."""

    category: int
    panels: tuple[Panel, ...]
    ease: float
    """Metres that it stands off the body, or what is worn under it."""

    @property
    def name(self) -> str:
        return DEEPFASHION2.categories[self.category].name


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


def _neckline(rng: Generator, ridge: "Ridge") -> Neckline:
    half_width = rng.uniform(0.062, 0.105)
    return Neckline(
        half_width=half_width,
        front=rng.uniform(0.05, 0.11) if rng.random() < 0.6 else rng.uniform(0.09, 0.17),
        back=rng.uniform(0.012, 0.05),
        power=float(rng.choice((1.0, 2.0, 2.5, 4.0))),
        shoulder=ridge(half_width),
    )


class Ridge:
    """The height of the shoulders' ridge in the mean shape, by the distance from the middle."""

    def __init__(self, figure: Figure) -> None:
        points = figure.upper.places
        middle = (np.abs(points[:, 0]) < 0.16) & (points[:, 2] > 0.4)
        x, z = np.abs(points[middle, 0]), points[middle, 2]
        self._x = np.arange(0.04, 0.15, 0.01)
        self._z = np.array([z[np.abs(x - at) < 0.012].max() for at in self._x])

    def __call__(self, x: float) -> float:
        return float(np.interp(x, self._x, self._z))


def sample_design(rng: Generator, figure: Figure, category: int) -> Design:
    """A new garment of one of `CATEGORIES`."""
    name, looseness = DEEPFASHION2.categories[category].name, rng.random()
    if category not in LOWERS:
        return _upper(rng, figure, category, looseness, long="long" in name)
    if name == "skirt":
        return Design(category=category, panels=(_skirt(rng, rng.uniform(0.075, 0.12), ease=0.006),), ease=0.006)
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


def _upper(rng: Generator, figure: Figure, category: int, looseness: float, *, long: bool) -> Design:
    """A top or a dress."""
    dress = category in DRESSES
    cut = Cut(
        bottom=0.1 if dress else rng.uniform(-0.03, 0.13),
        cuff=rng.uniform(0.4, 0.47) if long else rng.uniform(0.1, 0.235),
        neck=_neckline(rng, Ridge(figure)),
    )
    trunk = _trunk(rng, looseness)
    hangs = {Part.TRUNK: trunk, **_sleeves(rng, 0.6 * looseness if long else looseness)}
    if not dress:
        panel = Panel(layer="upper", cut=cut, hangs=hangs)
        return Design(category=category, panels=(panel,), ease=trunk.ease)
    hangs[Part.TRUNK] = replace(trunk, folds=0.0, slope=min(trunk.slope, -0.05))
    upper = Panel(layer="upper", cut=cut, hangs=hangs, joined=BOTTOM_EDGE)
    skirt = replace(_skirt(rng, WAIST + 0.02, ease=trunk.ease), joined=TOP_EDGE)
    return Design(category=category, panels=(upper, skirt), ease=trunk.ease)


def tucked(top: Design, lower: Design) -> Design:
    """The top as it goes into a waistband: what is far below that shows nowhere, and is left out."""
    panel, waistband = top.panels[0], lower.panels[0].cut.top
    assert waistband is not None
    assert panel.cut.bottom is not None
    bottom = max(panel.cut.bottom, waistband - _TUCKED)
    return replace(top, panels=(replace(panel, cut=replace(panel.cut, bottom=bottom)),))


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


@dataclass(frozen=True, kw_only=True, slots=True)
class Piece:
    """A panel on a person."""

    surface: Surface
    inside: Float[np.ndarray, "n 4"]
    """See `Cut.inside`."""

    rest: Vectors
    """Its vertices on the person before the pose, those of the subdivision."""

    posed: Vectors
    """Its vertices with parts, in the world."""

    normals: Vectors


@dataclass(frozen=True, kw_only=True, slots=True)
class Worn:
    """A garment on a person."""

    design: Design
    pieces: tuple[Piece, ...]


Under = dict[int, list[Float[np.ndarray, "_ 3"]]]
"""What already lies on each part of the body: heights, angles and radii."""


def dress(figure: Figure, person: Person, designs: list[Design]) -> list[Worn]:
    """The garments on a person, the innermost first: each stands off those below it."""
    layers: list[Vectors] = []
    found = []
    for design in designs:
        pieces = tuple(_piece(figure, person, design, panel, layers) for panel in design.panels)
        layers += [piece.rest[_cloth(piece)] for piece in pieces]
        found.append(Worn(design=design, pieces=pieces))
    return found


def _cloth(piece: Piece) -> Int[np.ndarray, " n"]:
    """The vertices of the subdivision that are cloth."""
    return np.unique(piece.surface.mesh.own[(piece.inside > 0).all(axis=1)])


def _piece(figure: Figure, person: Person, design: Design, panel: Panel, layers: list[Vectors]) -> Piece:
    surface: Surface = getattr(figure, panel.layer)
    mesh = surface.mesh
    shaped = _shaped(figure, person, mesh, panel, layers, design.ease)
    posed = mesh.posed(shaped, person.transforms).astype(np.float32)
    inside = panel.cut.inside(surface)
    if panel.joined is not None:
        inside[:, panel.joined] *= _JOINED
    return Piece(
        surface=surface,
        inside=inside,
        rest=shaped,
        posed=mesh.with_parts(posed),
        normals=mesh.with_parts(normals_of(posed, mesh.plain_triangles)),
    )


def _shaped(figure: Figure, person: Person, mesh: Mesh, panel: Panel, layers: list[Vectors], ease: float) -> Vectors:
    """The vertices of the subdivision on the person, pushed out and hanging."""
    rest = mesh.subdivision(person.rest)
    points = mesh.with_parts(rest)
    chart = chart_of(points, mesh.part, person.joints)
    pushed = points + ease * mesh.with_parts(normals_of(rest, mesh.plain_triangles))
    below = _below(figure, person, layers)
    for part, hang in panel.hangs.items():
        mine = mesh.part == part
        own = Chart(**{name: getattr(chart, name)[mine] for name in Chart.__slots__})
        radius = hung_radius(own, hang, (_coordinates(own), *below.get(int(part), ())))
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
    return rest + _smoothed(moved, mesh, rounds=2)


def _smoothed(values: Vectors, mesh: Mesh, *, rounds: int) -> Vectors:
    """Values of neighbours mixed, so that parts go over into each other."""
    corners = mesh.plain_triangles
    sources, goals = corners[:, [0, 1, 2]].reshape(-1), corners[:, [1, 2, 0]].reshape(-1)
    both = np.concatenate([sources, goals]), np.concatenate([goals, sources])
    counts = np.bincount(both[1], minlength=len(values))[:, None]
    for _ in range(rounds):
        around = np.stack(
            [np.bincount(both[1], values[both[0], axis], minlength=len(values)) for axis in range(3)], axis=1
        )
        values = (values + around / counts) / 2
    return values


def _coordinates(chart: Chart) -> Float[np.ndarray, "n 3"]:
    return np.stack([chart.height, chart.angle, chart.radius], axis=1)


def _below(figure: Figure, person: Person, layers: list[Vectors]) -> Under:
    """Coordinates about the trunk of the body below the chest, and of the cloth that is worn already."""
    found: Under = {}
    legs = figure.lower.mesh.subdivision(person.rest)
    points = np.concatenate([legs, *layers])
    for part in (Part.TRUNK, *LEGS):
        mine = points if part == Part.TRUNK else points[(points[:, 0] > 0) == (part == Part.RIGHT_LEG)]
        chart = chart_of(mine, np.full(len(mine), int(part)), person.joints)
        found[int(part)] = [_coordinates(chart)]
    return found
