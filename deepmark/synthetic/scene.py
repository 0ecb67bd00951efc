"""One picture: clothes worn by a figure or laid out, with what is around and before them."""

from dataclasses import dataclass
from typing import Any

import cv2
import numpy as np
from jaxtyping import UInt8
from numpy.random import Generator

from deepmark.schema import CATEGORIES, SOURCES, SPLITS
from deepmark.synthetic.annotate import annotate
from deepmark.synthetic.background import paint_backdrop, paint_objects, paint_surface
from deepmark.synthetic.body import Part, Pose, Stance, body, strike
from deepmark.synthetic.camera import Box, Camera, set_up
from deepmark.synthetic.canvas import Canvas, Size
from deepmark.synthetic.garment_shape import Arm, Point, Points, cut, girth, hem, joint_of, left_sleeve
from deepmark.synthetic.outfit import BOTTOMS, OUTWEAR, Look, choose_outfit, plan_pair
from deepmark.synthetic.render_garment import Painted, Placed, paint_cloth, paint_lining, place

PAIR = len(SOURCES)
"""Pictures of a pair: the shop's and the user's."""

_WORN = {"shop": 0.8, "user": 0.88}
_SIDEWAYS, _FROM_BEHIND = 0.1, 0.09
_CROPPED = 0.34
_WITH_OBJECTS = {"shop": 0.12, "user": 0.45}
_UNLABELLED = 0.005
_JITTER = 0.008
"""Standard deviation of every landmark, shoulder widths: 1 to 2 pixels."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Picture:
    """What becomes one JPEG file and one JSON file."""

    image: UInt8[np.ndarray, "h w 3"]
    """RGB."""

    annotation: dict[str, Any]
    painted: tuple[Painted, ...]
    """Every garment, annotated or not: the truth behind the annotation."""


def draw_picture(*, seed: int, split: str, index: int) -> Picture:
    """Picture number `index` (from 0) of a split; nothing but these three values decides what it shows."""
    stream = SPLITS.index(split)
    rng = np.random.default_rng([seed, stream, index])
    # The 1 keeps pair n's numbers apart from picture n's.
    outfit = plan_pair(np.random.default_rng([seed, stream, index // PAIR, 1]), index // PAIR)
    source = SOURCES[index % PAIR]
    looks = choose_outfit(rng, outfit)
    size = int(rng.integers(540, 721)), int(rng.integers(400, 561))
    for simple in (False, True):
        canvas, painted = _paint(rng, looks, size, source=source, simple=simple)
        items = [annotate(canvas, one, labelled=bool(rng.random() >= _UNLABELLED)) for one in painted]
        items = [item for item in items if item is not None]
        if items:
            break
    assert items, f"nothing to be seen in picture {index} of {split}, seed {seed}"
    annotation: dict[str, Any] = {"source": source, "pair_id": index // PAIR + 1}
    annotation |= {f"item{number}": item for number, item in enumerate(items, 1)}
    return Picture(image=_develop(rng, canvas.image, source), annotation=annotation, painted=tuple(painted))


def _paint(rng: Generator, looks: list[Look], size: Size, *, source: str, simple: bool) -> tuple[Canvas, list[Painted]]:
    """The whole canvas; a `simple` picture crops nothing and puts nothing before the clothes."""
    if rng.random() < _WORN[source]:
        canvas = Canvas(paint_backdrop(rng, size, source=source))
        painted = _paint_worn(rng, canvas, looks, cropped=not simple and bool(rng.random() < _CROPPED))
    else:
        clean = source == "shop"
        canvas = Canvas(paint_backdrop(rng, size, source=source) if clean else paint_surface(rng, size))
        painted = _paint_laid_out(rng, canvas, looks)
    if not simple and rng.random() < _WITH_OBJECTS[source]:
        paint_objects(rng, canvas, _bounds([one.placed for one in painted], size))
    return canvas, painted


def _paint_worn(rng: Generator, canvas: Canvas, looks: list[Look], *, cropped: bool) -> list[Painted]:
    view = rng.random()
    sideways, behind = view < _SIDEWAYS, _SIDEWAYS <= view < _SIDEWAYS + _FROM_BEHIND
    pose = strike(rng, bare_forearms=not any("long sleeve" in CATEGORIES[look.category].name for look in looks))
    garments, stance = _dress(rng, looks, pose)
    camera = set_up(rng, sideways=sideways, tilt=0.06)
    frame = _cropping_frame(rng, canvas.size) if cropped else _frame(rng, canvas.size)
    camera = camera.framed(np.concatenate([points for _, points in garments]), box=frame)
    viewpoint = 3 if sideways or behind else 2
    placed = [place(look, points, camera, from_behind=behind, viewpoint=viewpoint) for look, points in garments]
    under, over = body(pose, stance, from_behind=behind)
    linings = {id(one): paint_lining(canvas, one) for one in reversed(placed)}
    _paint_parts(canvas, camera, under)
    painted = [paint_cloth(rng, canvas, one, lining=linings[id(one)]) for one in placed]
    _paint_parts(canvas, camera, over)
    return painted


def _dress(rng: Generator, looks: list[Look], pose: Pose) -> tuple[list[tuple[Look, Points]], Stance]:
    """The garments on the body, innermost first, and where the body is inside them."""
    garments = {look.category: (look, jittered(rng, cut(look, pose.arms))) for look in looks}
    stance = Stance()
    uppers = [pair for pair in garments.values() if pair[0].category not in BOTTOMS]
    for look, points in uppers:
        category = CATEGORIES[look.category]
        stance.girth = min(stance.girth, 0.92 * girth(look, points))
        if left_sleeve(category):
            mirror_image = points[list(category.mirror)]
            stance.joints = [joint_of(category, points), joint_of(category, mirror_image)]
    for look, points in garments.values():
        if look.category in BOTTOMS:
            inner = next((pair for pair in uppers if pair[0].category not in OUTWEAR), None)
            if inner is not None:
                stance.waist = hem(*inner) - rng.uniform(0.05, 0.28)
            points += (0, stance.waist)
            stance.ankles = _ankles(look, points, stance)
    order = list(garments.values())
    if len(order) > 1 and order[0][0].category in BOTTOMS and rng.random() < 0.4:
        order[:2] = order[1::-1]
    return order, stance


def _ankles(look: Look, points: Points, stance: Stance) -> list[Point]:
    """Inside the trousers' legs, or straight below."""
    if CATEGORIES[look.category].name == "trousers":
        return [points[[5, 6]].mean(axis=0), points[[10, 11]].mean(axis=0)]
    return [np.array([side * 0.24, stance.waist + 2.2]) for side in (-1, 1)]


def jittered(rng: Generator, points: Points) -> Points:
    """No two garments of a category have quite the same shape."""
    return points + np.clip(rng.normal(0, _JITTER, points.shape), -2 * _JITTER, 2 * _JITTER)


def _paint_parts(canvas: Canvas, camera: Camera, parts: list[Part]) -> None:
    for polygon, color in parts:
        canvas.fill(camera(polygon), color)


def _paint_laid_out(rng: Generator, canvas: Canvas, looks: list[Look]) -> list[Painted]:
    """Each garment by itself in its part of the picture."""
    painted = []
    for look, cell in zip(looks, _cells(rng, canvas.size, len(looks)), strict=True):
        arms = tuple(Arm(lift=rng.uniform(0.15, 1.2), bend=rng.uniform(-0.1, 0.4)) for _ in range(2))
        points = jittered(rng, cut(look, (arms[0], arms[1])))
        camera = set_up(rng, sideways=False, tilt=0.16).framed(points, box=cell)
        placed = place(look, points, camera, from_behind=bool(rng.random() < 0.06), viewpoint=1)
        if look.category not in BOTTOMS and rng.random() < 0.4:
            _hang(canvas, placed)
        painted.append(paint_cloth(rng, canvas, placed, lining=paint_lining(canvas, placed)))
    return painted


def _hang(canvas: Canvas, placed: Placed) -> None:
    wire = np.array([(-0.42, 0.14), (0, -0.1), (0, -0.25), (0.06, -0.3), (0, -0.36), (0, -0.1), (0.42, 0.14)])
    canvas.line(placed.camera(wire), (90, 84, 80), max(2, round(0.025 * placed.camera.scale)))


def _frame(rng: Generator, size: Size) -> Box:
    """Where in the picture the clothes are to be: mostly large, sometimes farther away."""
    height, width = size
    tall = height * (rng.uniform(0.66, 0.96) if rng.random() < 0.8 else rng.uniform(0.4, 0.66))
    wide = width * rng.uniform(0.75, 0.97)
    x, y = rng.uniform(0.01 * width, 0.99 * width - wide), rng.uniform(0.01 * height, 0.99 * height - tall)
    return x, y, x + wide, y + tall


def _cropping_frame(rng: Generator, size: Size) -> Box:
    """A frame that reaches out of the picture: mostly below, as a person before a mirror is cropped."""
    height, width = size
    tall, wide = height * rng.uniform(1.0, 1.35), width * rng.uniform(1.0, 1.3)
    side = rng.random()
    if side < 0.5:
        y, x = height * rng.uniform(0.02, 0.12), width / 2 - wide / 2
    elif side < 0.75:
        y, x = height * rng.uniform(0.85, 0.98) - tall, width / 2 - wide / 2
    else:
        y, x = height * rng.uniform(-0.1, 0.02), rng.uniform(width * 0.95 - wide, width * 0.05)
    return x, y, x + wide, y + tall


def _cells(rng: Generator, size: Size, count: int) -> list[Box]:
    """Parts of the picture for garments laid out: one, side by side or one above the other, or one above two."""
    height, width = size
    split, middle = height * rng.uniform(0.45, 0.55), width / 2
    if count == 1:
        return [_frame(rng, size)]
    if count == 2 and rng.random() < 0.4:
        top = rng.uniform(0.05, 0.2) * height
        cells = [(0.0, top, middle, height - top), (middle, top, float(width), height - top)]
    elif count == 2:
        cells = [(0.0, split, float(width), float(height)), (0.0, 0.0, float(width), split)]
    else:
        cells = [(0.0, split, middle, float(height)), (0.0, 0.0, float(width), split)]
        cells.append((middle, split, float(width), float(height)))
    inset = 0.02 * width
    return [(x0 + inset, y0 + inset, x1 - inset, y1 - inset) for x0, y0, x1, y1 in cells]


def _bounds(placed: list[Placed], size: Size) -> Box:
    """The clothes' part of the picture."""
    points = np.clip(np.concatenate([one.landmarks for one in placed]), 0, (size[1], size[0]))
    (x0, y0), (x1, y1) = points.min(axis=0), points.max(axis=0)
    return float(x0), float(y0), float(x1), float(y1)


def _develop(rng: Generator, image: UInt8[np.ndarray, "h w 3"], source: str) -> UInt8[np.ndarray, "h w 3"]:
    """The camera's own share: edges softened, a user's light and colour less even than a shop's."""
    uneven = 0.04 if source == "shop" else 0.14
    gains = np.clip((1 + rng.normal(0, uneven)) * (1 + rng.normal(0, uneven / 4, 3)), 0.6, 1.25)
    table = np.clip(np.arange(256)[:, None] * gains, 0, 255).astype(np.uint8)[None]
    return cv2.LUT(cv2.GaussianBlur(image, (3, 3), 0.6), table)
