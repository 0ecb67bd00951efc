"""Renders one image of a dressed person or of a garment alone, with its annotation in DeepFashion2's format."""

from collections.abc import Callable
from dataclasses import dataclass, replace
from importlib.metadata import version
from pathlib import Path
from typing import Any

import cv2
import numpy as np
from numpy.random import Generator

from deepmark.data.degrade import blurred, compressed, noisy, white_balanced
from deepmark.schema import SOURCES, SPLITS
from deepmark.shapes import UInt8
from deepmark.synthetic.camera import Box
from deepmark.synthetic.canvas import Size
from deepmark.synthetic.rendered.annotation import annotate
from deepmark.synthetic.rendered.carried import carried_layers, sample_carried
from deepmark.synthetic.rendered.cut import is_cloth
from deepmark.synthetic.rendered.fabric import sample_fabric
from deepmark.synthetic.rendered.figure import Figure, Person, load_figure
from deepmark.synthetic.rendered.floor import sample_floor
from deepmark.synthetic.rendered.garment import Worn, dress
from deepmark.synthetic.rendered.ground import Image, sample_ground
from deepmark.synthetic.rendered.light import Light
from deepmark.synthetic.rendered.outfit import lead_of, sample_outfit
from deepmark.synthetic.rendered.pose import close_hands, cross_arms, hold_up, sample_pose
from deepmark.synthetic.rendered.renderer import INSIDE, Layer, Rendered, load_renderer
from deepmark.synthetic.rendered.styles import STYLES, Styles
from deepmark.synthetic.rendered.unworn import sample_unworn, sample_unworn_view, with_shadow
from deepmark.synthetic.rendered.view import View, sample_turn, sample_view, turn_of
from deepmark.synthetic.rendered.wearer import (
    cloth_layer,
    hair_layers,
    sample_looks,
    sample_shape,
    shoe_layers,
    skin_layer,
)
from deepmark.synthetic.scene import IMAGES_PER_PAIR, frame_beyond, frame_inside
from deepmark.synthetic.texture import pick_kind
from deepmark.version import __version__

_OTHER, _FIRST_GARMENT = 1, 2
"""Numbers of layers: of persons and things, and of garments."""

_CROPPED, _FAR = 0.4, 0.15
"""Probabilities: the image shows a part of the figure; the figure is far away."""


@dataclass(frozen=True, kw_only=True, slots=True)
class RenderedImage:
    """The content of one JPEG file and one JSON file."""

    image: UInt8[np.ndarray, "h w 3"]
    annotation: dict[str, Any]
    garments: tuple[Worn, ...]
    view: View
    rendered: Rendered


def prepare() -> str:
    """Load what rendering needs, so that what is missing is known before anything is written.

    Returns the versions that the bytes of an image depend on. Raises DeepmarkError where EGL is missing, and
    ModuleNotFoundError where the extra is.
    """
    opengl = load_renderer().name
    load_figure()
    return f"deepmark {__version__}, anny {version('anny')}, {opengl}"


def render_image(
    *, seed: int, split: str, index: int, grounds: tuple[Path, ...] = (), styles: Styles | None = None
) -> RenderedImage:
    """Image number `index` (from 0) of a split; it depends on these values only. `grounds` are photographs.

    Without `styles`, the image has those of its split.
    """
    rng = np.random.default_rng([seed, SPLITS.index(split), index, 3])
    styles, source = styles or STYLES[split], SOURCES[index % IMAGES_PER_PAIR]
    size = (int(rng.integers(540, 721)), int(rng.integers(400, 561)))
    kind = pick_kind(rng, styles.shown)
    stage = _worn(rng, styles, size, index) if kind == "worn" else _unworn(rng, styles, size, index, kind)
    worn = stage.worn
    for framed in (_pick_frame(rng), frame_inside):
        view, light = stage.view(framed(rng, size)), _light(rng)
        rendered = load_renderer().render(stage.layers, view.matrix, light, size)
        items = [annotate(number, one, view, rendered) for number, one in enumerate(worn, _FIRST_GARMENT)]
        found = [item for item in items if item is not None]
        if found:
            break
    assert found, f"nothing is visible in image {index} of {split}, seed {seed}"
    image = _before(rendered, stage.ground(grounds, rendered, view, light))
    annotation: dict[str, Any] = {"source": source, "pair_id": index // IMAGES_PER_PAIR + 1}
    annotation |= {f"item{number}": item for number, item in enumerate(found, 1)}
    return RenderedImage(
        image=_photographed(rng, image), annotation=annotation, garments=tuple(worn), view=view, rendered=rendered
    )


def _pick_frame(rng: Generator) -> Callable[[Generator, Size], Box]:
    draw = rng.random()
    return frame_beyond if draw < _CROPPED else frame_far if draw < _CROPPED + _FAR else frame_inside


def frame_far(rng: Generator, size: Size) -> Box:
    """A small part of the image, anywhere in it."""
    height, width = size
    tall, wide = height * rng.uniform(0.25, 0.5), width * rng.uniform(0.3, 0.6)
    x, y = rng.uniform(0, width - wide), rng.uniform(0, height - tall)
    return x, y, x + wide, y + tall


def _before(rendered: Rendered, ground: UInt8[np.ndarray, "h w 3"]) -> UInt8[np.ndarray, "h w 3"]:
    """The figure before a ground."""
    color = np.ascontiguousarray(rendered.color)
    alpha = np.ascontiguousarray(color[..., 3])
    image = cv2.copyTo(cv2.cvtColor(color, cv2.COLOR_RGBA2RGB), alpha, ground.copy())
    edge = np.nonzero((alpha > 0) & (alpha < 255))
    share = 1 - alpha[edge][:, None] / np.float32(255)
    image[edge] = np.rint(color[edge][:, :3] + share * ground[edge])
    return image


@dataclass(frozen=True, kw_only=True, slots=True)
class _Stage:
    """What is rendered, by a camera whose image it fills in a frame, and the ground behind it."""

    worn: list[Worn]
    layers: list[Layer]
    view: Callable[[Box], View]
    ground: Callable[[tuple[Path, ...], Rendered, View, Light], Image]


def _worn(rng: Generator, styles: Styles, size: Size, index: int) -> _Stage:
    """A dressed person."""
    figure = load_figure()
    outfit = sample_outfit(rng, figure, styles, index)
    # The layer for skirts follows the legs by halves, and leaves thighs bare that are turned forward.
    in_skirt = any(panel.layer == "skirt" for design in outfit for panel in design.panels)
    carried, turn = sample_carried(rng), sample_turn(rng)
    pose = sample_pose(rng, styles, bends=not in_skirt)
    if carried is not None and carried.phone:
        hold_up(rng, pose, figure.mean.joints, carried.side)
    elif carried is None and rng.random() < styles.crossed:
        cross_arms(rng, pose, figure.mean.joints)
    holding = carried.side if carried is not None and carried.in_hand else None
    close_hands(rng, pose, figure.mean.joints, holding)
    person = _turned(figure.person(sample_shape(rng, styles), pose), turn)
    worn = dress(figure, person, outfit)
    layers = _layers(rng, figure, person, worn, styles)
    if carried is not None:
        facing = turn_of(turn[0], from_behind=turn[1])
        layers += carried_layers(carried, figure.bones, person, facing, _OTHER)
    return _Stage(
        worn=worn,
        layers=layers,
        view=lambda frame: _view(rng, layers, worn, size, styles, turn, frame),
        ground=lambda grounds, *_: sample_ground(rng, size, styles.grounds, grounds),
    )


def _unworn(rng: Generator, styles: Styles, size: Size, index: int, kind: str) -> _Stage:
    """One garment without a person. Photographs stand behind what hangs, but nothing lies on them."""
    unworn = sample_unworn(
        rng,
        load_figure(),
        lead_of(index),
        styles,
        hangs=kind == "hanging",
        number=_FIRST_GARMENT,
        beside=_OTHER,
    )

    def ground(grounds: tuple[Path, ...], rendered: Rendered, view: View, light: Light) -> Image:
        if unworn.hangs:
            image = sample_ground(rng, size, styles.grounds, grounds)
        else:
            image = sample_floor(rng, size, styles.surfaces)
        return with_shadow(rng, image, unworn, rendered, view, light)

    return _Stage(
        worn=[unworn.worn],
        layers=unworn.layers,
        view=lambda frame: sample_unworn_view(rng, unworn, frame, size),
        ground=ground,
    )


def _turned(person: Person, turn: tuple[float, bool]) -> Person:
    whole = np.eye(4)
    whole[:3, :3] = turn_of(turn[0], from_behind=turn[1])
    return replace(person, transforms=(whole @ person.transforms).astype(np.float32))


def _layers(rng: Generator, figure: Figure, person: Person, worn: list[Worn], styles: Styles) -> list[Layer]:
    """The garments, then the person."""
    layers = []
    for number, one in enumerate(worn):
        fabric = sample_fabric(rng, styles.fabrics, one.design.name)
        layers += [cloth_layer(piece, fabric, _FIRST_GARMENT + number, worn[number + 1 :]) for piece in one.pieces]
    looks = sample_looks(rng)
    layers.append(skin_layer(figure, person, looks, worn, _OTHER))
    layers += hair_layers(figure, person, looks, _OTHER)
    return layers + shoe_layers(figure, person, looks, _OTHER)


def _view(
    rng: Generator,
    layers: list[Layer],
    worn: list[Worn],
    size: Size,
    styles: Styles,
    turn: tuple[float, bool],
    frame: Box,
) -> View:
    """A camera that shows the person, the clothes, or one garment."""
    points = np.concatenate([layer.vertices[is_cloth(layer.vertices[:, INSIDE]), :3] for layer in layers])
    kind = rng.random()
    shown = worn if kind < 0.75 else [worn[int(rng.integers(len(worn)))]]
    target = points if kind < 0.5 else np.concatenate([one.cloth for one in shown])
    return sample_view(rng, points, target, frame, size, styles, turn)


def _light(rng: Generator) -> Light:
    azimuth, height = rng.uniform(-75, 75), rng.uniform(15, 70)
    a, h = np.radians(azimuth), np.radians(height)
    warm = rng.normal(0, 0.05)
    strength, around = rng.uniform(0.45, 1.1), rng.uniform(0.33, 0.7)
    floor = rng.uniform(0.5, 0.9)
    return Light(
        towards=np.array([np.sin(a) * np.cos(h), -np.cos(a) * np.cos(h), np.sin(h)]),
        color=(strength * (1 + warm), strength, strength * (1 - warm)),
        sky=(around, around, around * (1 + warm)),
        ground=(around * floor, around * floor, around * floor),
    )


def _photographed(rng: Generator, image: UInt8[np.ndarray, "h w 3"]) -> UInt8[np.ndarray, "h w 3"]:
    """The image as a camera takes it: exposure, white balance, vignette, focus, noise, and an earlier JPEG file."""
    height, width = image.shape[:2]
    light = np.clip(1 + rng.normal(0, 0.12), 0.65, 1.4)
    if rng.random() < 0.5:
        y, x = np.linspace(-1, 1, height)[:, None], np.linspace(-1, 1, width)[None]
        light = light * (1 - rng.uniform(0.05, 0.3) * (x**2 + y**2) / 2)[..., None]
    image = np.clip(image * np.float32(light), 0, 255).astype(np.uint8)
    image = white_balanced(image, 1 + np.clip(rng.normal(0, 0.07, 2), -0.2, 0.2))
    if rng.random() < 0.5:
        image = blurred(image, rng.uniform(0.3, 1.6))
    if rng.random() < 0.5:
        image = noisy(image, rng.uniform(1, 9), rng)
    return compressed(image, int(rng.integers(45, 96))) if rng.random() < 0.5 else image
