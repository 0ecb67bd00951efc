"""A few images in the folders and the format of DeepFashion2, small enough for any test."""

import json
from dataclasses import fields, is_dataclass
from io import BytesIO
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import simplejpeg
from encoded_images import encoded
from PIL import Image

from deepmark.params import IngestParams
from deepmark.vocabulary import DEEPFASHION2

WIDTH, HEIGHT = 60, 80

LENIENT = IngestParams(max_rejected_share=1.0, max_megapixels=50)


def jpeg(seed: int, size: tuple[int, int] = (HEIGHT, WIDTH)) -> bytes:
    """An image of coloured blots."""
    blots = np.random.default_rng(seed).integers(0, 256, (8, 6, 3), dtype=np.uint8)
    return simplejpeg.encode_jpeg(cv2.resize(blots, size[::-1], interpolation=cv2.INTER_CUBIC), quality=90)


def image_as(kind: str, mode: str = "RGB", *, seed: int = 4, **options: Any) -> bytes:
    """The image `jpeg(seed)` in another format and mode of Pillow, with more of its options."""
    with Image.open(BytesIO(jpeg(seed))) as image:
        return encoded(image.convert(mode), kind, **options)


def item(category_id: int = 1, seed: int = 0) -> dict[str, Any]:
    """A valid item with labels of all three kinds, inside the picture."""
    rng = np.random.default_rng(seed)
    category = DEEPFASHION2.categories[category_id - 1]
    v = rng.integers(0, 3, category.landmarks)
    points = rng.integers(1, (WIDTH, HEIGHT), (category.landmarks, 2)) * (v > 0)[:, None]
    return {
        "category_name": category.name,
        "category_id": category_id,
        "style": 1,
        "bounding_box": [5, 6, 50, 70],
        "landmarks": np.column_stack([points, v]).ravel().tolist(),
        "segmentation": [[5, 6, 50, 6, 50, 70], [5.5, 6.25, 50, 6, 50, 70, 5, 70]],
        "scale": int(rng.integers(1, 4)),
        "occlusion": 2,
        "zoom_in": 1,
        "viewpoint": 3,
    }


def annotation(number: int) -> dict[str, Any]:
    """Source, pair and one to three items, in an unsorted order of keys."""
    items = {f"item{i}": item(1 + (number + i) % 13, seed=10 * number + i) for i in range(1 + number % 3, 0, -1)}
    return {**items, "source": ("shop", "user")[number % 2], "pair_id": number // 2}


def write_split(folder: Path, count: int, *, first: int = 1) -> Path:
    """`count` pictures with their annotations under `folder`/image and `folder`/annos; returns `folder`."""
    (folder / "image").mkdir(parents=True, exist_ok=True)
    (folder / "annos").mkdir(exist_ok=True)
    for number in range(first, first + count):
        (folder / f"image/{number:06d}.jpg").write_bytes(jpeg(number))
        write_annotation(folder, number, annotation(number))
    return folder


def write_annotation(folder: Path, number: int, values: Any) -> None:
    """Replace the annotation of a picture."""
    (folder / f"annos/{number:06d}.json").write_text(json.dumps(values), "utf-8")


def landmarks_of(item: dict[str, Any]) -> np.ndarray:
    """The landmarks of an item as rows of x, y, v."""
    return np.array(item["landmarks"]).reshape(-1, 3)


def same(a: Any, b: Any) -> bool:
    """Equal to the last bit, through dataclasses, tuples and arrays."""
    if is_dataclass(a):
        return type(a) is type(b) and all(same(getattr(a, f.name), getattr(b, f.name)) for f in fields(a))
    if isinstance(a, tuple):
        return type(b) is tuple and len(a) == len(b) and all(map(same, a, b))
    if isinstance(a, np.ndarray):
        return a.dtype == b.dtype and a.shape == b.shape and a.tobytes() == b.tobytes()
    return type(a) is type(b) and a == b
