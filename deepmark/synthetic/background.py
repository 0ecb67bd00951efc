"""Paints backgrounds (walls, floors, furniture), and objects before the clothes."""

import cv2
import numpy as np
from numpy.random import Generator

from deepmark.shapes import UInt8
from deepmark.synthetic.body import limb, point
from deepmark.synthetic.camera import Box
from deepmark.synthetic.canvas import Canvas, Size
from deepmark.synthetic.texture import Color, hsv, pick_color, sample_texture, shaded, tile_texture


def paint_background(rng: Generator, size: Size, *, source: str) -> UInt8[np.ndarray, "h w 3"]:
    """A plain studio for shops, a room with furniture for users. Painted at half the size, so that it is soft."""
    half = (size[0] // 2 + 1, size[1] // 2 + 1)
    image = _studio(rng, half) if source == "shop" else _room(rng, half)
    return cv2.resize(image, (size[1], size[0]), interpolation=cv2.INTER_LINEAR)


def paint_surface(rng: Generator, size: Size) -> UInt8[np.ndarray, "h w 3"]:
    """A surface seen from above, such as a bed, a table or a floor, for clothes laid out."""
    half = (size[0] // 2 + 1, size[1] // 2 + 1)
    image = _wall(rng, half, strength=rng.uniform(0.1, 0.35))
    return cv2.resize(image, (size[1], size[0]), interpolation=cv2.INTER_LINEAR)


def _studio(rng: Generator, size: Size) -> UInt8[np.ndarray, "h w 3"]:
    light = hsv(rng.random(), rng.uniform(0, 0.12), rng.uniform(0.78, 1.0))
    corners = np.array([[light, light], [shaded(light, rng.uniform(0.75, 1)), light]], np.uint8)
    image = cv2.resize(corners, (size[1], size[0]), interpolation=cv2.INTER_LINEAR)
    if rng.random() < 0.4:
        image[int(size[0] * rng.uniform(0.75, 0.95)) :] = shaded(light, rng.uniform(0.75, 0.95))
    return image


def _wall(rng: Generator, size: Size, *, strength: float) -> UInt8[np.ndarray, "h w 3"]:
    angle, zoom = rng.uniform(-0.4, 0.4), rng.uniform(0.4, 1.2)
    axes = zoom * np.array([[np.cos(angle), -np.sin(angle)], [np.sin(angle), np.cos(angle)]])
    return tile_texture(sample_texture(rng, strength=strength).tile, size, axes, None)


def _room(rng: Generator, size: Size) -> UInt8[np.ndarray, "h w 3"]:
    height, width = size
    image = _wall(rng, size, strength=rng.uniform(0.1, 0.3))
    floor = int(height * rng.uniform(0.7, 0.97))
    image[floor:] = _wall(rng, (height - floor, width), strength=rng.uniform(0.15, 0.4))
    cv2.line(image, (0, floor), (width, floor), pick_color(rng, strength=0.4), int(rng.integers(1, 5)))
    for _ in range(rng.integers(2, 7)):
        _furniture(rng, image, floor)
    return image


def _furniture(rng: Generator, image: UInt8[np.ndarray, "h w 3"], floor: int) -> None:
    """Paints one object: a door or wardrobe, a picture or mirror, a shelf, a lamp, a plant, or the head of a person."""
    height, width = image.shape[:2]
    color, edge = pick_color(rng, strength=0.5), pick_color(rng, strength=0.4)
    x, y = int(rng.integers(-width // 8, width)), int(rng.integers(0, height))
    wide, tall = int(width * rng.uniform(0.1, 0.35)), int(height * rng.uniform(0.06, 0.3))
    kind = rng.integers(6)
    if kind == 0:
        top = int(rng.integers(0, floor // 2))
        cv2.rectangle(image, (x, top), (x + wide, floor), color, -1)
        cv2.rectangle(image, (x, top), (x + wide, floor), edge, 2)
        cv2.circle(image, (x + wide // 6, (top + floor) // 2), 3, edge, -1)
    elif kind == 1:
        cv2.rectangle(image, (x, y), (x + wide, y + tall), color, -1)
        cv2.rectangle(image, (x, y), (x + wide, y + tall), edge, int(rng.integers(1, 5)))
    elif kind == 2:
        cv2.rectangle(image, (x, y), (x + 2 * wide, y + max(tall // 8, 3)), color, -1)
        for place in range(x, x + 2 * wide, 9):
            book = int(rng.integers(8, 26))
            cv2.rectangle(image, (place, y - book), (place + 7, y - 1), pick_color(rng, strength=0.6), -1)
    elif kind == 3:
        cv2.line(image, (x, y), (x, height), edge, 2)
        cv2.ellipse(image, (x, y), (wide // 3, tall // 2), 0, 180, 360, color, -1, cv2.LINE_AA)
    elif kind == 4:
        leaf = hsv(rng.uniform(0.22, 0.42), 0.6, rng.uniform(0.3, 0.7))
        for angle in rng.uniform(200, 340, 7):
            tip = (x + int(wide * np.cos(np.radians(angle))), floor + int(2 * tall * np.sin(np.radians(angle))))
            cv2.line(image, (x, floor), tip, leaf, int(rng.integers(2, 6)), cv2.LINE_AA)
    else:
        skin = hsv(rng.uniform(0.045, 0.085), rng.uniform(0.25, 0.6), rng.uniform(0.4, 0.9))
        cv2.ellipse(image, (x, y), (width // 18, width // 13), 0, 0, 360, skin, -1, cv2.LINE_AA)
        cv2.ellipse(image, (x, y - width // 40), (width // 16, width // 16), 0, 170, 370, edge, -1, cv2.LINE_AA)


def paint_objects(rng: Generator, canvas: Canvas, box: Box) -> None:
    """Paints one object before the clothes: a bag, a phone, a strap, the back of a chair, or leaves."""
    x0, y0, x1, y1 = box
    span = np.array([x1 - x0, y1 - y0])
    place = np.array([x0, y0]) + span * rng.uniform(0.1, 0.9, 2)
    side = float(min(span)) * rng.uniform(0.16, 0.38)
    color = pick_color(rng)
    kind = rng.integers(5)
    if kind == 0:
        _bag(canvas, place, side, color)
    elif kind == 1:
        _block(canvas, place, (0.3 * side, 0.55 * side), color)
        canvas.fill(place + 0.08 * side * np.array([[-1, -4], [1, -4], [1, -2], [-1, -2]]), shaded(color, 0.4))
    elif kind == 2:
        canvas.fill(
            limb(np.array([x0, y0]) + span * (0.25, 0.02), np.array([x0, y0]) + span * (0.9, 0.6), 5.0, 5.0), color
        )
    elif kind == 3:
        for shift in (0.0, 0.45, 0.9):
            _block(canvas, np.array([place[0], y1 - shift * side]), (0.9 * side, 0.1 * side), color)
    else:
        root = np.array([rng.choice((x0, x1)), y1])
        leaf = hsv(rng.uniform(0.22, 0.42), 0.7, rng.uniform(0.25, 0.7))
        for angle in rng.uniform(-1.2, 1.2, 5):
            tip = root + 1.6 * side * np.array([np.sin(angle), -np.cos(angle)])
            canvas.fill(limb((root + tip) / 2, tip, 0.13 * side, 2.0), leaf)
            canvas.fill(limb(root, tip, 3.0, 2.0), shaded(leaf, 0.7))


def _block(canvas: Canvas, center: np.ndarray, half: tuple[float, float], color: Color) -> None:
    canvas.fill(center + np.array([(-1, -1), (1, -1), (1, 1), (-1, 1)]) * half, color)


def _bag(canvas: Canvas, center: np.ndarray, side: float, color: Color) -> None:
    canvas.fill(center + side * np.array([(-0.5, 0), (0.5, 0), (0.58, 0.75), (-0.58, 0.75)]), color)
    canvas.fill(center + side * np.array([(-0.5, 0), (0.5, 0), (0.3, 0.3), (-0.3, 0.3)]), shaded(color, 0.8))
    for x in (-0.32, 0.32):
        canvas.fill(
            limb(center + point(x * side, 0.0), center + point(0.3 * x * side, -0.7 * side), 3.0, 3.0),
            shaded(color, 0.6),
        )
