"""Ultralytics' files of a data set: a line of text for each garment, beside the images, and data.yaml.

A line is the category, the box's middle and size, and x, y, v of each landmark; x and y are shares of the image's
width and height. Its landmarks are the flat list of 294, of which a garment labels its category's own, or 39 that all
categories share: a garment's own come first, and the rest is not labelled.
"""

import json
from collections.abc import Iterable, Iterator
from pathlib import Path

import numpy as np

from deepmark.schema import SPLITS
from deepmark.types import Garment, ImageRecord
from deepmark.vocabulary import DEEPFASHION2


def garment_line(garment: Garment, size: tuple[int, int], landmarks: int) -> str:
    """The line of a garment in an image of `size` (width, height).

    A landmark outside the image counts as not labelled: Ultralytics refuses the whole image otherwise.
    """
    x0, y0, x1, y1 = garment.box
    box = [(x0 + x1) / 2 / size[0], (y0 + y1) / 2 / size[1], (x1 - x0) / size[0], (y1 - y0) / size[1]]
    start = DEEPFASHION2.categories[garment.category].start if landmarks == DEEPFASHION2.landmarks else 0
    own = garment.landmarks.astype(np.float64)
    points = own[:, :2] / size
    inside = ((points >= 0) & (points <= 1)).all(axis=1) & (own[:, 2] > 0)
    rows = np.zeros((landmarks, 3))
    rows[start : start + len(own)][inside] = np.column_stack([points, own[:, 2]])[inside]
    numbers = [int(value) if value.is_integer() else value for value in rows.ravel().tolist()]
    return " ".join(map(str, [garment.category, *map(float, box), *numbers]))


def read_line(line: str, size: tuple[int, int]) -> tuple[int, np.ndarray, np.ndarray]:
    """The category of a line, its box x0 y0 x1 y1, and the category's own landmarks (k, 3), in pixels."""
    values = np.array(line.split(), np.float64)
    category = DEEPFASHION2.categories[int(values[0])]
    middle, half = values[1:3] * size, values[3:5] * size / 2
    rows = values[5:].reshape(-1, 3) * (*size, 1)
    start = category.start if len(rows) == DEEPFASHION2.landmarks else 0
    return category.index, np.concatenate([middle - half, middle + half]), rows[start : start + category.landmarks]


def shared_sigmas() -> list[float]:
    """For 39 landmarks: the mean of the sigmas of those that share a channel."""
    channels = range(DEEPFASHION2.most_landmarks)
    sharing = [[each.sigmas[i] for each in DEEPFASHION2.categories if i < each.landmarks] for i in channels]
    return [float(np.mean(sigmas)) for sigmas in sharing]


def data_yaml(folder: Path, landmarks: int) -> str:
    """data.yaml, in JSON, which YAML contains.

    Mirroring needs one exchange of channels for all categories. The 294 have it; the 39 have none, and Ultralytics
    leaves mirroring out where the file names none.
    """
    flat = landmarks == DEEPFASHION2.landmarks
    values = {
        "path": str(folder),
        "train": "images/train",
        "val": "images/validation",
        "names": {category.index: category.coco_name for category in DEEPFASHION2.categories},
        "kpt_shape": [landmarks, 3],
        "kpt_oks_sigmas": list(DEEPFASHION2.sigmas) if flat else shared_sigmas(),
        **({"flip_idx": list(DEEPFASHION2.mirror)} if flat else {}),
    }
    return json.dumps(values, indent=1) + "\n"


def write_yolo(folder: Path, splits: dict[str, tuple[Path, Iterable[ImageRecord]]], landmarks: int) -> None:
    """Write data.yaml, labels/{split} and images/{split}, from each split's folder of images and its records.

    The images are hard links: Ultralytics follows soft ones, and then looks for labels beside the originals.
    """
    for split in SPLITS:
        images, records = splits[split]
        for kind in ("images", "labels"):
            (folder / kind / split).mkdir(parents=True, exist_ok=True)
        for file in images.glob("*.jpg"):
            if not (link := folder / "images" / split / file.name).exists():
                link.hardlink_to(file)
        for name, text in label_files(records, landmarks):
            (folder / "labels" / split / name).write_text(text, "utf-8")
    (folder / "data.yaml").write_text(data_yaml(folder.resolve(), landmarks), "utf-8")


def label_files(records: Iterable[ImageRecord], landmarks: int) -> Iterator[tuple[str, str]]:
    """The name and the text of the label file of each image."""
    for record in records:
        size = (record.width, record.height)
        lines = [garment_line(garment, size, landmarks) for garment in record.garments]
        yield f"{Path(record.file).stem}.txt", "".join(f"{line}\n" for line in lines)
