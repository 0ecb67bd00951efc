"""A thousand mutated files of four formats: each import tells what is wrong, or accounts for every image."""

import random
import re
from collections.abc import Callable
from pathlib import Path

import pytest
from test_formats import READERS, RECORDS, images, imported, name_of
from vocabularies import SMALL

from deepmark.errors import DeepmarkError
from deepmark.importing.coco import read_own_coco
from deepmark.importing.cvat import read_cvat
from deepmark.importing.labelled import LabelledImage, UnplacedLabel
from deepmark.importing.studio import read_studio
from deepmark.importing.yolo import read_yolo

assert images  # a fixture

ROUNDS = 250
"""Of each format."""

VALUES = [
    "-1",
    "0",
    "1e400",
    "NaN",
    "null",
    '""',
    "[]",
    "{}",
    '"bag"',
    "99999999999999999999",
    "true",
    "0.5",
    '"\\u0000"',
    "-",
]

FILES = {"coco": "coco.json", "label-studio": "studio.json", "cvat": "annotations.xml", "yolo": "data.yaml"}


def mutated(text: str, chance: random.Random) -> str:
    """The text with one to three numbers, words or pieces changed, doubled or taken away."""
    for _ in range(chance.randint(1, 3)):
        spots = list(re.finditer(r'-?[0-9]+(\.[0-9]+)?|"[^"]*"|[\[\]{}<>/:,]', text))
        if not spots:
            return text
        spot = chance.choice(spots)
        new = chance.choice([*VALUES, "", spot[0] * 2, chance.choice(spots)[0]])
        text = text[: spot.start()] + new + text[spot.end() :]
    return text


def read(origin: str, folder: Path, images: Path) -> list[LabelledImage | UnplacedLabel]:
    if origin == "yolo":
        return list(read_yolo(images.parent / FILES[origin], SMALL))
    reader: Callable[..., object] = {"coco": read_own_coco, "label-studio": read_studio, "cvat": read_cvat}[origin]
    return list(reader(folder / FILES[origin], images, SMALL))  # type: ignore[call-overload]


@pytest.mark.slow
@pytest.mark.parametrize("origin", READERS)
def test_a_mutated_file_is_told_or_every_image_accounted_for(origin, images, tmp_path):
    READERS[origin](tmp_path, images)
    file = (images.parent if origin == "yolo" else tmp_path) / FILES[origin]
    labels = (images.parent / "labels") / name_of(RECORDS[1]).replace(".jpg", ".txt")
    chance, told, taken = random.Random(origin), 0, 0
    for number in range(ROUNDS):
        victim = labels if origin == "yolo" and number % 2 else file
        before = victim.read_text("utf-8")
        victim.write_text(mutated(before, chance), "utf-8", errors="replace")
        raw = tmp_path / f"raw{number}"
        try:
            found = read(origin, tmp_path, images)
            facts = imported(found, raw)
            written = sum(len(list((raw / split / "annos").iterdir())) for split in ("train", "validation"))
            unplaced = sum(isinstance(one, UnplacedLabel) for one in found)
            assert facts["in_source"] == len(found) - unplaced == written + facts["set_aside"]
            assert facts.get("labels_without_image", 0) == unplaced
            taken += 1
        except DeepmarkError:
            told += 1
        finally:
            victim.write_text(before, "utf-8")
    assert told + taken == ROUNDS
    assert taken
