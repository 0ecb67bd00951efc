"""Draws one image: clothes that are worn or laid out, with background and objects before them."""

from dataclasses import dataclass
from typing import Any

import cv2
import numpy as np
from numpy.random import Generator

from deepmark.schema import SOURCES, SPLITS, Statistics
from deepmark.shapes import UInt8
from deepmark.synthetic.annotate import annotate
from deepmark.synthetic.background import paint_background, paint_objects, paint_surface
from deepmark.synthetic.body import BodyShape, Part, Pose, body_parts, sample_pose
from deepmark.synthetic.camera import Box, Camera, sample_camera
from deepmark.synthetic.canvas import Canvas, Size
from deepmark.synthetic.garment_shape import (
    Arm,
    Point,
    Points,
    chest_half_width,
    hem_depth,
    left_sleeve,
    shape_garment,
    shoulder_joint,
)
from deepmark.synthetic.outfit import BOTTOMS, OUTWEAR, GarmentDesign, sample_kinds, sample_outfit, sample_pair
from deepmark.synthetic.released import sample_released_kinds, sample_released_size
from deepmark.synthetic.render_garment import PaintedGarment, PlacedGarment, paint_cloth, paint_lining, place_garment
from deepmark.vocabulary import DEEPFASHION2

IMAGES_PER_PAIR = len(SOURCES)
"""The shop's and the user's."""

_WORN = {"shop": 0.8, "user": 0.88}
_SIDEWAYS, _FROM_BEHIND = 0.1, 0.09
_CROPPED = 0.34
_WITH_OBJECTS = {"shop": 0.12, "user": 0.45}
_UNLABELLED = 0.005
"""Probabilities: clothes are worn; the wearer is seen from the side or from behind; the image is cropped; objects lie
before the clothes; an item has no labels."""

_JITTER = 0.008
"""Standard deviation of the noise on every landmark, shoulder widths: 1 to 2 pixels."""


@dataclass(frozen=True, kw_only=True, slots=True)
class DrawnImage:
    """The content of one JPEG file and one JSON file."""

    image: UInt8[np.ndarray, "h w 3"]
    """RGB."""

    annotation: dict[str, Any]
    painted: tuple[PaintedGarment, ...]
    """Every garment, annotated or not: the ground truth of the annotation."""


def draw_image(*, seed: int, split: str, index: int, statistics: Statistics = Statistics.EVEN) -> DrawnImage:
    """Image number `index` (from 0) of a split; it depends on these values only.

    With the statistics of DeepFashion2, images have its shapes, and the categories of training images its frequencies.
    Those of validation images stay even, so that rare ones are measured on as many items as the others.
    """
    stream = SPLITS.index(split)
    rng = np.random.default_rng([seed, stream, index])
    # The 1 keeps the random numbers of pair n apart from those of image n.
    of_pair, pair = np.random.default_rng([seed, stream, index // IMAGES_PER_PAIR, 1]), index // IMAGES_PER_PAIR
    released = statistics is Statistics.DEEPFASHION2
    kinds = sample_released_kinds(of_pair) if released and split == "train" else sample_kinds(of_pair, pair)
    outfit = sample_pair(of_pair, kinds)
    source = SOURCES[index % IMAGES_PER_PAIR]
    designs = sample_outfit(rng, outfit)
    size = sample_released_size(rng) if released else (int(rng.integers(540, 721)), int(rng.integers(400, 561)))
    for simple in (False, True):
        canvas, painted = _paint(rng, designs, size, source=source, simple=simple)
        items = [annotate(canvas, one, labelled=bool(rng.random() >= _UNLABELLED)) for one in painted]
        items = [item for item in items if item is not None]
        if items:
            break
    assert items, f"nothing is visible in image {index} of {split}, seed {seed}"
    annotation: dict[str, Any] = {"source": source, "pair_id": index // IMAGES_PER_PAIR + 1}
    annotation |= {f"item{number}": item for number, item in enumerate(items, 1)}
    return DrawnImage(
        image=add_camera_effects(rng, canvas.image, source), annotation=annotation, painted=tuple(painted)
    )


def _paint(
    rng: Generator, designs: list[GarmentDesign], size: Size, *, source: str, simple: bool
) -> tuple[Canvas, list[PaintedGarment]]:
    """The painted canvas; a `simple` image is not cropped and has no objects before the clothes."""
    if rng.random() < _WORN[source]:
        canvas = Canvas(paint_background(rng, size, source=source))
        painted = _paint_worn(rng, canvas, designs, cropped=not simple and bool(rng.random() < _CROPPED))
    else:
        clean = source == "shop"
        canvas = Canvas(paint_background(rng, size, source=source) if clean else paint_surface(rng, size))
        painted = _paint_laid_out(rng, canvas, designs)
    if not simple and rng.random() < _WITH_OBJECTS[source]:
        paint_objects(rng, canvas, _bounds([one.placed for one in painted], size))
    return canvas, painted


def _paint_worn(rng: Generator, canvas: Canvas, designs: list[GarmentDesign], *, cropped: bool) -> list[PaintedGarment]:
    chance = rng.random()
    sideways, behind = chance < _SIDEWAYS, _SIDEWAYS <= chance < _SIDEWAYS + _FROM_BEHIND
    pose = sample_pose(
        rng, bare_forearms=not any("long sleeve" in DEEPFASHION2.categories[design.category].name for design in designs)
    )
    garments, body_shape = dress(rng, designs, pose)
    camera = sample_camera(rng, sideways=sideways, tilt=0.06)
    frame = frame_beyond(rng, canvas.size) if cropped else frame_inside(rng, canvas.size)
    camera = camera.framed(np.concatenate([points for _, points in garments]), box=frame)
    viewpoint = 3 if sideways or behind else 2
    placed = [
        place_garment(design, points, camera, from_behind=behind, viewpoint=viewpoint) for design, points in garments
    ]
    under, over = body_parts(pose, body_shape, from_behind=behind)
    linings = {id(one): paint_lining(canvas, one) for one in reversed(placed)}
    paint_parts(canvas, camera, under)
    painted = [paint_cloth(rng, canvas, one, lining=linings[id(one)]) for one in placed]
    paint_parts(canvas, camera, over)
    return painted


def dress(
    rng: Generator, designs: list[GarmentDesign], pose: Pose
) -> tuple[list[tuple[GarmentDesign, Points]], BodyShape]:
    """The garments on the body, innermost first, and the shape of the body in them."""
    garments = {design.category: (design, jitter(rng, shape_garment(design, pose.arms))) for design in designs}
    body_shape = BodyShape()
    uppers = [pair for pair in garments.values() if pair[0].category not in BOTTOMS]
    for design, points in uppers:
        category = DEEPFASHION2.categories[design.category]
        body_shape.half_width = min(body_shape.half_width, 0.92 * chest_half_width(design, points))
        if left_sleeve(category):
            mirror_image = points[list(category.mirror)]
            body_shape.joints = [shoulder_joint(category, points), shoulder_joint(category, mirror_image)]
    for design, points in garments.values():
        if design.category in BOTTOMS:
            inner = next((pair for pair in uppers if pair[0].category not in OUTWEAR), None)
            if inner is not None:
                body_shape.waist = hem_depth(*inner) - rng.uniform(0.05, 0.28)
            points += (0, body_shape.waist)
            body_shape.ankles = _ankles(design, points, body_shape)
    order = list(garments.values())
    if len(order) > 1 and order[0][0].category in BOTTOMS and rng.random() < 0.4:
        order[:2] = order[1::-1]
    return order, body_shape


def _ankles(design: GarmentDesign, points: Points, body_shape: BodyShape) -> list[Point]:
    """The ankles: inside the legs of trousers, or straight below the hips."""
    parts = DEEPFASHION2.categories[design.category].parts
    if "left ankle outer" in parts:
        ends = [[parts.index(f"{side} ankle {edge}") for edge in ("inner", "outer")] for side in ("left", "right")]
        return [points[end].mean(axis=0) for end in ends]
    return [np.array([side * 0.24, body_shape.waist + 2.2]) for side in (-1, 1)]


def jitter(rng: Generator, points: Points) -> Points:
    """The landmarks with noise, so that no two garments of a category have the same shape."""
    return points + np.clip(rng.normal(0, _JITTER, points.shape), -2 * _JITTER, 2 * _JITTER)


def paint_parts(canvas: Canvas, camera: Camera, parts: list[Part]) -> None:
    for polygon, color in parts:
        canvas.fill(camera(polygon), color)


def _paint_laid_out(rng: Generator, canvas: Canvas, designs: list[GarmentDesign]) -> list[PaintedGarment]:
    """Each garment in its own part of the image."""
    painted = []
    for design, cell in zip(designs, _cells(rng, canvas.size, len(designs)), strict=True):
        arms = tuple(Arm(lift=rng.uniform(0.15, 1.2), bend=rng.uniform(-0.1, 0.4)) for _ in range(2))
        points = jitter(rng, shape_garment(design, (arms[0], arms[1])))
        camera = sample_camera(rng, sideways=False, tilt=0.16).framed(points, box=cell)
        placed = place_garment(design, points, camera, from_behind=bool(rng.random() < 0.06), viewpoint=1)
        if design.category not in BOTTOMS and rng.random() < 0.4:
            _draw_hanger(canvas, placed)
        painted.append(paint_cloth(rng, canvas, placed, lining=paint_lining(canvas, placed)))
    return painted


def _draw_hanger(canvas: Canvas, placed: PlacedGarment) -> None:
    wire = np.array([(-0.42, 0.14), (0, -0.1), (0, -0.25), (0.06, -0.3), (0, -0.36), (0, -0.1), (0.42, 0.14)])
    canvas.line(placed.camera(wire), (90, 84, 80), max(2, round(0.025 * placed.camera.scale)))


def frame_inside(rng: Generator, size: Size) -> Box:
    """The part of the image that the clothes fill: mostly large, sometimes small."""
    height, width = size
    tall = height * (rng.uniform(0.66, 0.96) if rng.random() < 0.8 else rng.uniform(0.4, 0.66))
    wide = width * rng.uniform(0.75, 0.97)
    x, y = rng.uniform(0.01 * width, 0.99 * width - wide), rng.uniform(0.01 * height, 0.99 * height - tall)
    return x, y, x + wide, y + tall


def frame_beyond(rng: Generator, size: Size) -> Box:
    """A frame that reaches beyond the image: mostly below, as a person before a mirror is cropped."""
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
    """Parts of the image for garments laid out: one; two side by side or one above the other; or one above two."""
    height, width = size
    split, middle = height * rng.uniform(0.45, 0.55), width / 2
    if count == 1:
        return [frame_inside(rng, size)]
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


def _bounds(placed: list[PlacedGarment], size: Size) -> Box:
    """The bounding box of the clothes in the image."""
    points = np.clip(np.concatenate([one.landmarks for one in placed]), 0, (size[1], size[0]))
    (x0, y0), (x1, y1) = points.min(axis=0), points.max(axis=0)
    return float(x0), float(y0), float(x1), float(y1)


def add_camera_effects(rng: Generator, image: UInt8[np.ndarray, "h w 3"], source: str) -> UInt8[np.ndarray, "h w 3"]:
    """Softens edges and varies light and colour, in a user's image more than in a shop's."""
    uneven = 0.04 if source == "shop" else 0.14
    gains = np.clip((1 + rng.normal(0, uneven)) * (1 + rng.normal(0, uneven / 4, 3)), 0.6, 1.25)
    table = np.clip(np.arange(256)[:, None] * gains, 0, 255).astype(np.uint8)[None]
    return cv2.LUT(cv2.GaussianBlur(image, (3, 3), 0.6), table)
