"""Draws a clip whose truth is known: two garments walk across, turn, pass, and one is hidden for a while.

Each frame is drawn as an image of the data set is, by random numbers that are the same in every frame: only what moves
changes. Both garments are of one category. The nearer wearer passes before the farther one, and a board is carried past
between the two.
"""

from collections.abc import Iterator
from dataclasses import dataclass, replace
from typing import Any

import cv2
import numpy as np

from deepmark.shapes import Int64, UInt8
from deepmark.synthetic.annotate import LEAST_VISIBLE, annotate, read_landmarks
from deepmark.synthetic.background import paint_background
from deepmark.synthetic.body import BodyShape, Pose, body_parts, point, sample_pose
from deepmark.synthetic.camera import Camera, sample_camera
from deepmark.synthetic.canvas import Canvas, Size, fixed
from deepmark.synthetic.garment_shape import Points
from deepmark.synthetic.outfit import TOPS, GarmentDesign, sample_design
from deepmark.synthetic.render_garment import PaintedGarment, PlacedGarment, paint_cloth, paint_lining, place_garment
from deepmark.synthetic.scene import add_camera_effects, dress, paint_parts
from deepmark.vocabulary import DEEPFASHION2

RATE = 25
"""Frames a second."""

HIDDEN = 10
"""Frames for which the board hides the farther garment."""

FEWEST = 60
"""Frames of a clip; in fewer, the wearers would run."""

_SIZE: Size = (720, 540)
_TURN = 1.05
"""Radians by which a wearer turns away and back: about 60 degrees."""

_STEPS_A_SECOND = 1.8

_BOARD = 0.8
"""When the board is before the farther garment, a share of the clip: the nearer one has passed then."""


@dataclass(frozen=True, kw_only=True, slots=True)
class ClipFrame:
    """One frame and the garments that are visible in it."""

    image: UInt8[np.ndarray, "h w 3"]
    """RGB."""

    truth: dict[str, Any]
    """frame, time in seconds, and garments: identity, category, box, and landmarks by name as x, y, v (2 visible, 1
    hidden, 0 outside the image), pixels, not rounded."""


@dataclass(frozen=True, kw_only=True, slots=True)
class _Walker:
    """What does not change of a wearer, and the way."""

    identity: int
    seed: tuple[int, ...]
    design: GarmentDesign
    pose: Pose
    camera: Camera
    """Frames the garment as it is seen from the front, in the middle of the image."""

    start: float
    end: float
    """Where it is in the first and the last frame: shares of the image's width."""

    shift: float
    """Downwards, a share of the image's height: the nearer stands lower."""

    turn: tuple[float, float]
    """When it turns away and is back: shares of the clip."""

    def at(self, share: float, time: float) -> tuple[PlacedGarment, Pose, BodyShape]:
        """The garment at this share of the clip, with the wearer."""
        phase = np.pi * _STEPS_A_SECOND * time + self.identity
        swing = 0.1 * np.sin(phase)
        left, right = self.pose.arms
        pose = replace(self.pose, arms=(replace(left, lift=left.lift + swing), replace(right, lift=right.lift - swing)))
        ((design, points),), body = dress(np.random.default_rng(self.seed), [self.design], pose)
        body.ankles = [
            ankle + point(0.12 * np.sin(phase) * side, 0.0) for side, ankle in zip((1, -1), body.ankles, strict=True)
        ]
        begin, end = self.turn
        angle = _TURN * np.sin(np.pi * np.clip((share - begin) / (end - begin), 0, 1))
        height, width = _SIZE
        x = (self.start + share * (self.end - self.start) - 0.5) * width
        y = self.shift * height - 0.006 * height * abs(np.sin(phase))
        camera = replace(
            self.camera,
            x_scale=self.camera.x_scale * float(np.cos(angle)),
            x_perspective=0.3 * float(np.sin(angle)),
            homography=np.array([[1, 0, x], [0, 1, y], [0, 0, 1]]) @ self.camera.homography,
        )
        viewpoint = 3 if angle > _TURN / 2 else 2
        return place_garment(design, points, camera, from_behind=False, viewpoint=viewpoint), pose, body


def draw_clip(*, seed: int, frames: int) -> Iterator[ClipFrame]:
    """The frames of a clip, one by one; they depend on these two values only, and `frames` is `FEWEST` or more."""
    rng = np.random.default_rng([seed, 2])  # 0 and 1 are the streams of the splits
    background = paint_background(rng, _SIZE, source="shop")
    category = int(rng.choice(TOPS))
    far = _walker(rng, seed, 1, category, start=0.14, end=0.86, shift=-0.1, turn=(0.15, 0.4))
    near = _walker(rng, seed, 2, category, start=0.86, end=0.14, shift=0.16, turn=(0.6, 0.85))
    boards = _boards(far, frames)
    for index in range(frames):
        share, time = index / (frames - 1), index / RATE
        canvas = Canvas(background.copy())
        painted = [(1, _paint(canvas, far, share, time))]
        if boards[index, 1] > 0 and boards[index, 0] < _SIZE[1]:
            _paint_board(canvas, boards[index])
        painted.append((2, _paint(canvas, near, share, time)))
        image = add_camera_effects(np.random.default_rng([seed, 2]), canvas.image, "shop")
        garments = [garment for identity, one in painted if (garment := _truth(canvas, identity, one))]
        yield ClipFrame(image=image, truth={"frame": index, "time": time, "garments": garments})


def _walker(
    rng: np.random.Generator,
    seed: int,
    identity: int,
    category: int,
    *,
    start: float,
    end: float,
    shift: float,
    turn: tuple[float, float],
) -> _Walker:
    design = sample_design(rng, category)
    pose = sample_pose(rng, bare_forearms=False)
    own = (seed, 2, identity)
    ((_, points),), _ = dress(np.random.default_rng(own), [design], pose)
    height, width = _SIZE
    frame = (0.26 * width, 0.28 * height, 0.74 * width, 0.72 * height)
    camera = replace(sample_camera(rng, sideways=False, tilt=0.03), mirrored=False).framed(points, box=frame)
    return _Walker(
        identity=identity,
        seed=own,
        design=design,
        pose=pose,
        camera=camera,
        start=start,
        end=end,
        shift=shift,
        turn=turn,
    )


def _paint(canvas: Canvas, walker: _Walker, share: float, time: float) -> PaintedGarment:
    placed, pose, body = walker.at(share, time)
    under, over = body_parts(pose, body, from_behind=False)
    lining = paint_lining(canvas, placed)
    paint_parts(canvas, placed.camera, under)
    painted = paint_cloth(np.random.default_rng(walker.seed), canvas, placed, lining=lining)
    paint_parts(canvas, placed.camera, over)
    return painted


def _truth(canvas: Canvas, identity: int, painted: PaintedGarment) -> dict[str, Any] | None:
    item = annotate(canvas, painted)
    if item is None:
        return None
    category = DEEPFASHION2.categories[painted.placed.design.category]
    seen = read_landmarks(canvas, painted)[:, 2]
    points = np.column_stack([painted.placed.landmarks.round(3) * (seen > 0)[:, None], seen]).tolist()
    landmarks = {part: [x, y, int(v)] for part, (x, y, v) in zip(category.parts, points, strict=True)}
    return {"identity": identity, "category": category.name, "box": item["bounding_box"], "landmarks": landmarks}


def _paint_board(canvas: Canvas, columns: Int64[np.ndarray, "2"]) -> None:
    left, right = columns.tolist()
    canvas.fill(_rectangle(left, right), (92, 84, 78))
    canvas.line(_rectangle(left + 8, right - 8), (120, 110, 102), 3, closed=True)


def _rectangle(left: float, right: float) -> Points:
    return np.array([(left, -10.0), (right, -10.0), (right, _SIZE[0] + 10.0), (left, _SIZE[0] + 10.0)])


def _boards(walker: _Walker, frames: int) -> Int64[np.ndarray, "n 2"]:
    """First column and end of the board in every frame, as wide as it must be to hide the garment for `HIDDEN` frames.

    It comes from the right, against the walker, and its middle meets that of the garment at `_BOARD` of the clip.
    """
    columns = [_cloth_by_column(walker.at(index / (frames - 1), index / RATE)[0]) for index in range(frames)]
    middle = _BOARD * (frames - 1)
    at = (walker.start + _BOARD * (walker.end - walker.start)) * _SIZE[1]
    speed = 1.6 * _SIZE[1] / frames
    centres = at - speed * (np.arange(frames) - middle)
    for width in range(20, 4 * _SIZE[1]):
        boards = np.rint(np.stack([centres - width / 2, centres + width / 2], axis=1)).astype(np.int64)
        if sum(_is_hidden(*pair) for pair in zip(columns, boards, strict=True)) >= HIDDEN:
            return boards
    raise AssertionError("no board is wide enough")


def _cloth_by_column(placed: PlacedGarment) -> tuple[np.ndarray, float]:
    """The pixels of cloth left of each column of the image, and its whole area as `annotate` counts it."""
    layer = np.zeros(_SIZE, np.uint8)
    cloth = [p for piece, p in zip(placed.pieces, placed.polygons, strict=True) if piece.kind != "lining"]
    for polygon in cloth:
        cv2.fillPoly(layer, [fixed(polygon)], 1, cv2.LINE_8, 4)
    pixels = np.concatenate([[0], np.cumsum(layer.sum(axis=0, dtype=np.int64))])
    return pixels, sum(cv2.contourArea(polygon.astype(np.float32)) for polygon in cloth)


def _is_hidden(cloth: tuple[np.ndarray, float], board: Int64[np.ndarray, "2"]) -> bool:
    pixels, area = cloth
    left, right = np.clip(board, 0, _SIZE[1]).tolist()
    return float(pixels[-1] - pixels[right] + pixels[left]) < LEAST_VISIBLE * area
