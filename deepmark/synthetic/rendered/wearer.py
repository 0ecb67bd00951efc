"""The person who wears the garments: a shape, and skin, hair and shoes to be rendered."""

from dataclasses import dataclass
from functools import cache

import numpy as np
from numpy.random import Generator

from deepmark.shapes import Float, Float32, Int
from deepmark.synthetic.rendered.chart import Surface
from deepmark.synthetic.rendered.cut import Edge, no_edges
from deepmark.synthetic.rendered.design import Panel
from deepmark.synthetic.rendered.figure import Figure, Person
from deepmark.synthetic.rendered.garment import Piece, Worn
from deepmark.synthetic.rendered.mesh import Mesh, Part, Vectors
from deepmark.synthetic.rendered.renderer import COLUMNS, INSIDE, Layer, Material
from deepmark.synthetic.rendered.shaders import SEEN_INSIDE
from deepmark.synthetic.rendered.styles import Styles
from deepmark.synthetic.texture import Color, hsv, pick_color

_UNDER_SKIRT, _UNDER_COAT, _UNDER_CLOTH = 0.15, 0.05, 0.02
"""Metres inside the edges of a skirt, of a coat's skirt, and of other cloth, beyond which what is covered is left out:
it could come through."""

_GIRTH = (0.15, 0.05, 0.05, 0.085, 0.085)
"""Radius by which a fabric goes around a part, metres."""

_SHOE_TOP, _FACE, _HAIRLINE, _NAPE = -0.735, -0.062, 0.772, 0.64
"""z of low shoes; y before which there is face; z of the hair above it, and of the nape."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Looks:
    """What is seen of the person besides the clothes."""

    skin: Color
    hair: Color
    hair_end: float
    """z in the mean shape where the hair ends."""

    shoes: Color | None
    sole: float
    """Metres that the shoes stand off."""


def sample_shape(rng: Generator, styles: Styles) -> dict[str, float]:
    """anny's phenotypes of an adult."""
    return {
        "gender": float(np.clip(rng.choice((0.1, 0.9)) + rng.normal(0, 0.08), 0, 1)),
        "age": rng.uniform(0.6, 0.9),
        "muscle": rng.uniform(0.3, 0.75),
        "weight": rng.uniform(*styles.weight),
        "height": rng.uniform(*styles.height),
        "proportions": rng.uniform(0.35, 0.9),
    }


def sample_looks(rng: Generator) -> Looks:
    """Skin from dark to pale, hair of any length."""
    depth = rng.random()
    return Looks(
        skin=hsv(rng.uniform(0.045, 0.075), 0.62 - 0.34 * depth, 0.36 + 0.58 * depth),
        hair=hsv(
            rng.uniform(0.03, 0.12), rng.uniform(0.1, 0.65), rng.choice((0.1, 0.2, 0.35, 0.6)) + 0.05 * rng.random()
        ),
        hair_end=float(rng.choice((0.69, 0.64, 0.56, 0.42), p=(0.4, 0.15, 0.25, 0.2))),
        shoes=pick_color(rng) if rng.random() < 0.85 else None,
        sole=rng.uniform(0.006, 0.014),
    )


@cache
def skin_tint(figure: Figure) -> Float32[np.ndarray, "n 3"]:
    """Factors of the colour of skin: brows, eyes, lips and underwear are darker."""
    places = figure.skin.places
    x, y, z = np.abs(places[:, 0]), places[:, 1], places[:, 2]
    tint = np.ones((len(x), 3), np.float32)
    face = (y < -0.09) & (z > 0.55)
    tint[face & (np.abs(z - 0.692) < 0.011) & (np.abs(x - 0.033) < 0.017)] = 0.35
    tint[face & (np.abs(z - 0.718) < 0.005) & (np.abs(x - 0.034) < 0.022)] = 0.4
    tint[face & (np.abs(z - 0.6255) < 0.009) & (x < 0.024)] = (0.85, 0.5, 0.5)
    tint[(z < 0.06) & (z > -0.075) & ~figure.skin.on_arm] = 0.12
    return tint


def covered(surface: Surface, above: list[Worn]) -> Float[np.ndarray, " n"]:
    """How far inside a surface stays in sight: negative where a garment above covers it by more than a margin."""
    free = np.full(len(surface.places), np.inf)
    for worn in above:
        for panel in worn.design.panels:
            free = np.minimum(free, (_margins(panel) - panel.cut.inside(surface)).max(axis=1))
    return free


def _margins(panel: Panel) -> Float[np.ndarray, "6"]:
    """Metres inside each edge that are still looked into."""
    opening = panel.cut.opening
    found = np.full(len(Edge), _UNDER_SKIRT if panel.layer == "skirt" and opening is None else _UNDER_CLOTH)
    if panel.layer == "skirt" and opening is not None:
        found[Edge.BOTTOM] = _UNDER_COAT
        found[Edge.FRONT] = min(2 * opening.bottom[0], _UNDER_COAT)
    if panel.joined is not None:
        found[panel.joined] = 0.0
    return found


def vertices(
    surface: Surface, posed: Vectors, normals: Vectors, inside: Float[np.ndarray, "n 6"], tint: np.ndarray | None = None
) -> Float32[np.ndarray, "n c"]:
    """The attributes of the renderer, in its order."""
    chart, part = surface.chart, surface.mesh.part
    trunk = part == Part.TRUNK
    found = np.ones((len(posed), COLUMNS), np.float32)
    found[:, :3], found[:, 3:6], found[:, INSIDE] = posed, normals, inside
    found[:, 12], found[:, 13] = np.where(trunk, chart.front, chart.out), np.where(trunk, chart.out, chart.front)
    found[:, 14], found[:, 15] = chart.height, np.array(_GIRTH)[part]
    if tint is not None:
        found[:, 16:] = tint
    return found


def kept(mesh: Mesh, inside: Float[np.ndarray, "n 6"]) -> Int[np.ndarray, "k 3"]:
    """The triangles that no edge leaves out as a whole."""
    code = np.zeros(len(inside), np.uint8)
    for number, column in enumerate(inside.T):
        code |= (column > 0).view(np.uint8) << number  # a bit for each edge
    a, b, c = code.take(mesh.corners)
    return mesh.triangles[(a | b | c) == 2 ** len(Edge) - 1]


def cloth_layer(piece: Piece, fabric: Material, number: int, above: list[Worn], *, empty: bool = False) -> Layer:
    """A piece where no garment above covers it; where it is `empty`, its inner side is seen however deep inside."""
    inside = piece.inside.copy()
    inside[:, Edge.COVER] = np.minimum(covered(piece.surface, above), SEEN_INSIDE if empty else 1)
    shade = vertices(piece.surface, piece.posed, piece.normals, inside)
    return Layer(number=number, vertices=shade, triangles=kept(piece.surface.mesh, inside), material=fabric)


def skin_layer(figure: Figure, person: Person, looks: Looks, worn: list[Worn], number: int) -> Layer:
    """The skin where no garment covers it."""
    surface = figure.skin
    inside = no_edges(len(surface.places))
    inside[:, Edge.COVER] = np.minimum(covered(surface, worn), 1)
    if looks.shoes is not None:
        inside[:, Edge.BOTTOM] = surface.places[:, 2] - _SHOE_TOP + 0.02
    return _layer(surface, person, inside, number, looks.skin, gloss=0.06, tint=skin_tint(figure))


def hair_layers(figure: Figure, person: Person, looks: Looks, number: int) -> list[Layer]:
    """Hair, cut before the face and at its length: close to the head, and hanging in strands over that."""
    layers = []
    for surface, out in ((figure.scalp, 0.006), (figure.hair, 0.004)):
        places = surface.places
        end = max(looks.hair_end, _NAPE) if surface is figure.scalp else looks.hair_end
        inside = no_edges(len(places))
        inside[:, Edge.FRONT] = np.maximum(places[:, 1] - _FACE, places[:, 2] - _HAIRLINE)
        inside[:, Edge.BOTTOM] = places[:, 2] - end
        layers.append(_layer(surface, person, inside, number, looks.hair, out=out, gloss=0.1, closed=False))
    return layers


def shoe_layers(figure: Figure, person: Person, looks: Looks, number: int) -> list[Layer]:
    """Low shoes; nothing for bare feet."""
    if looks.shoes is None:
        return []
    places = figure.feet.places
    inside = no_edges(len(places))
    inside[:, Edge.TOP] = _SHOE_TOP - places[:, 2] + 0.3 * (places[:, 1] + 0.02)
    return [_layer(figure.feet, person, inside, number, looks.shoes, out=looks.sole, gloss=0.15)]


def _layer(
    surface: Surface,
    person: Person,
    inside: Float[np.ndarray, "n 6"],
    number: int,
    color: Color,
    *,
    out: float = 0.0,
    gloss: float,
    tint: np.ndarray | None = None,
    closed: bool = True,
) -> Layer:
    """A surface of one colour, `out` metres off the body."""
    mesh = surface.mesh
    rest = mesh.subdivision(person.rest)
    if out:
        rest = rest + out * mesh.faces.normals(rest)
    posed = mesh.posed(rest, person.transforms)
    normals = mesh.faces.normals(posed)
    return Layer(
        number=number,
        vertices=vertices(surface, mesh.with_parts(posed), mesh.with_parts(normals), inside, tint),
        triangles=kept(mesh, inside),
        material=Material(tile=np.full((4, 4, 3), color, np.uint8), gloss=gloss, closed=closed),
    )
