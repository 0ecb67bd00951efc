"""COCO data sets with one thing changed, through `deepmark convert --from coco` and ingest."""

import json
import random
import shutil
from collections.abc import Callable
from dataclasses import replace
from io import BytesIO
from pathlib import Path
from typing import Any

from mutation_campaign import DRAWN, Tally
from PIL import Image
from tiny_dataset import LENIENT, same

from deepmark.compute.local import Local
from deepmark.data.coco.importer import import_coco
from deepmark.data.coco.writer import write_coco
from deepmark.data.ingest.ingest import ingest_split
from deepmark.data.records import read_records
from deepmark.errors import DeepmarkError
from deepmark.synthetic import draw_dataset
from deepmark.types import ImageRecord
from deepmark.vocabulary import DEEPFASHION2

IMAGES = 3
"""In a data set."""


class DataSet:
    """A COCO file and its images, one of which is to be changed."""

    def __init__(self, folder: Path, rng: random.Random) -> None:
        self.folder, self.rng = folder, rng
        self.mark = ""
        self.values = json.loads((folder / "coco.json").read_text("utf-8"))
        self.entry = rng.choice(self.values["images"])
        self.file = folder / self.entry["file_name"]

    def annotations(self) -> list[dict[str, Any]]:
        """Those of the chosen image."""
        return [each for each in self.values["annotations"] if each["image_id"] == self.entry["id"]]

    def save(self, kind: str, mode: str = "RGB", scale: int = 1, orientation: int = 1) -> None:
        """Write the chosen image anew."""
        exif, buffer = Image.Exif(), BytesIO()
        exif[0x0112] = orientation
        with Image.open(self.file) as image:
            resized = image.resize((image.width * scale, image.height * scale)).convert(mode)
            resized.save(buffer, kind, exif=exif) if orientation > 1 else resized.save(buffer, kind)
        self.file.write_bytes(buffer.getvalue())

    def number(self, new: Any) -> None:
        """Give the chosen image another id."""
        for each in self.annotations():
            each["image_id"] = new
        self.entry["id"] = new


Mutation = Callable[[DataSet], str | None]
"""Changes a data set; returns words that must be told, or None where the records must be those of the data set."""


def _told(words: str, change: Callable[[DataSet], Any]) -> Mutation:
    def mutate(data: DataSet) -> str:
        change(data)
        return words.format(**data.entry, file=data.file.name)

    return mutate


def _kept(change: Callable[[DataSet], Any]) -> Mutation:
    def mutate(data: DataSet) -> None:
        change(data)

    return mutate


def _same_file(data: DataSet) -> None:
    other = next(each for each in data.values["images"] if each is not data.entry)
    other["file_name"] = data.rng.choice(["", "./"]) + data.entry["file_name"]


def _same_id(data: DataSet) -> None:
    other = next(each for each in data.values["images"] if each is not data.entry)
    for each in data.values["annotations"]:
        each["image_id"] = data.entry["id"] if each["image_id"] == other["id"] else each["image_id"]
    other["id"] = data.entry["id"]


def _cut_png(data: DataSet) -> None:
    data.save("PNG")
    data.file.write_bytes(data.file.read_bytes()[:900])


def _every_annotation(data: DataSet, **changes: Any) -> None:
    for each in data.annotations():
        each |= changes


COCO_MUTATIONS: dict[str, Mutation] = {
    "nothing": _kept(lambda data: None),
    "a byte order mark": _kept(lambda data: setattr(data, "mark", "\ufeff")),
    "an image of twice the size": _told("{file}: has ", lambda data: data.save("JPEG", scale=2)),
    "another width in the file": _told("{file}: has ", lambda data: data.entry.update(width=data.entry["width"] + 1)),
    "width and height swapped": _told(
        "{file}: has ", lambda data: data.entry.update(width=data.entry["height"], height=data.entry["width"])
    ),
    "no width": _told("(id {id}, '{file_name}'): 'width' should be", lambda data: data.entry.update(width=None)),
    "an image that is a PNG": _kept(lambda data: data.save("PNG")),
    "an image that is a WebP": _kept(lambda data: data.save("WEBP")),
    "an image in CMYK": _kept(lambda data: data.save("JPEG", "CMYK")),
    "an image that EXIF turns, labels stored": _kept(
        lambda data: data.save("JPEG", orientation=data.rng.choice([5, 6, 7, 8]))
    ),
    "an image that EXIF mirrors": _told("orientation 2", lambda data: data.save("JPEG", orientation=2)),
    "an empty image": _told("{file}: an empty file", lambda data: data.file.write_bytes(b"")),
    "an image that is text": _told("{file}: text, not", lambda data: data.file.write_bytes(b"a shirt")),
    "a PNG that is cut": _told("{file}: a PNG that is cut off", _cut_png),
    "an image missing": _told("{file}: is not there", lambda data: data.file.unlink()),
    "an id of ten digits": _kept(lambda data: data.number(data.rng.randint(10**9, 2**62))),
    "a negative id": _told("'id' should be a whole number, 0 or more, found -7", lambda data: data.number(-7)),
    "an id that is text": _told("found '7'", lambda data: data.number("7")),
    "two ids of one file": _told("is the file of id ", _same_file),
    "one id of two images": _told("has the same id", _same_id),
    "another category's name": _told(
        "category 3 is 'hat'", lambda data: data.values["categories"][2].update(name="hat")
    ),
    "a category more": _told(
        "category 14 is 'hat'", lambda data: data.values["categories"].append({"id": 14, "name": "hat"})
    ),
    "a crowd": _told("is a crowd", lambda data: _every_annotation(data, iscrowd=1)),
    "a mask": _told("'segmentation' is a mask", lambda data: _every_annotation(data, segmentation={"counts": ""})),
    "51 numbers of keypoints": _told("found 51 numbers", lambda data: _every_annotation(data, keypoints=[0] * 51)),
    "landmarks of other categories": _told(
        "labels landmarks of another category", lambda data: _every_annotation(data, keypoints=[1] * 882)
    ),
    "a box of words": _told("'bbox' should be four numbers", lambda data: _every_annotation(data, bbox=["1", 2, 3, 4])),
    "annotations of an unknown image": _told("'image_id' is 99", lambda data: _every_annotation(data, image_id=99)),
    "two annotations of one id": _told(
        "another annotation has the same id", lambda data: [each.update(id=1) for each in data.values["annotations"]]
    ),
    "a list, as results are": _told(
        "not a COCO data set but a list", lambda data: setattr(data, "values", data.values["annotations"])
    ),
    "NaN": _told("holds NaN", lambda data: _every_annotation(data, bbox=[float("nan"), 1, 2, 3])),
}


def convert_mutated(folder: Path, count: int, seed: int) -> dict[str, Tally]:
    """`count` mutated data sets through the import and ingest, in this process; what became of them, by mutation."""
    draw_dataset(folder / "drawn", train=DRAWN, validation=0, seed=seed, engine=Local(1))
    ingest_split(
        folder / "drawn",
        split="train",
        out=folder / "records",
        params=LENIENT,
        engine=Local(1),
        vocabulary=DEEPFASHION2,
    )
    records = list(read_records(folder / "records/train.parquet"))
    tallies = {kind: Tally() for kind in COCO_MUTATIONS}
    for number in range(count):
        rng = random.Random(f"{seed} {number}")
        kind = list(COCO_MUTATIONS)[number % len(COCO_MUTATIONS)]
        chosen, here = sorted(rng.sample(range(DRAWN), IMAGES)), folder / f"{number}"
        here.mkdir()
        for place in chosen:
            shutil.copyfile(folder / "drawn/train" / records[place].file, here / f"{records[place].id:06d}.jpg")
        write_coco(here / "coco.json", [records[place] for place in chosen], vocabulary=DEEPFASHION2)
        data = DataSet(here, rng)
        words = COCO_MUTATIONS[kind](data)
        text = data.mark + json.dumps(data.values)
        (here / "coco.json").write_text(text, "utf-8")
        _judge(here, [records[place] for place in chosen], words, tallies[kind])
    return tallies


def _judge(folder: Path, records: list[ImageRecord], words: str | None, tally: Tally) -> None:
    tally.inputs += 1
    try:
        facts = import_coco(folder / "coco.json", folder, folder / "out/train", vocabulary=DEEPFASHION2)
    except DeepmarkError as error:
        tally.rejected += 1
        tally.untrue += words is None or words not in str(error)
        tally.lost += (folder / "out/train").exists()
        return
    tally.accepted += 1
    result = ingest_split(
        folder / "out", split="train", out=folder / "records", params=LENIENT, engine=Local(1), vocabulary=DEEPFASHION2
    )
    again = list(read_records(folder / "records/train.parquet"))
    tally.lost += not facts["pictures_in_file"] == facts["pictures"] == result.files == result.records == len(records)
    anonymous = [replace(record, id=0, file="", sha256="", bytes=0) for record in records]
    found = [replace(record, id=0, file="", sha256="", bytes=0) for record in again]
    tally.wrong += words is not None or not same(tuple(found), tuple(anonymous))
