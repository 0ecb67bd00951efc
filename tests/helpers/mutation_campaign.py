"""Mutated raw inputs through ingest, and the oracle's verdict on what became of each."""

import random
from dataclasses import dataclass, fields
from pathlib import Path
from typing import Any

import pyarrow.parquet as pq
from raw_mutations import ANY, DAMAGED, MUTATIONS, Input
from raw_oracle import expected_record, input_faults
from tiny_dataset import LENIENT

from deepmark.compute.local import Local
from deepmark.data.ingest.ingest import ingest_split
from deepmark.data.records import read_records
from deepmark.synthetic import draw_dataset
from deepmark.types import ImageRecord
from deepmark.vocabulary import DEEPFASHION2

DRAWN = 24
"""Different images; inputs are copies of them."""


@dataclass(kw_only=True)
class Tally:
    """What became of the inputs that were changed in one way."""

    inputs: int = 0
    accepted: int = 0
    rejected: int = 0
    lost: int = 0
    """Inputs that are neither records nor rejected, or are both."""

    untrue: int = 0
    """Rejected for a fault that they do not have, or without the file's name."""

    wrong: int = 0
    """Accepted although they have a fault, or with another content."""

    def __add__(self, other: "Tally") -> "Tally":
        return Tally(**{field.name: getattr(self, field.name) + getattr(other, field.name) for field in fields(self)})


def plain(record: ImageRecord) -> dict[str, Any]:
    """A record as lists and numbers."""
    names = ("id", "file", "sha256", "bytes", "width", "height", "source", "pair_id")
    garment_names = ("item", "category", "style", "scale", "occlusion", "zoom_in", "viewpoint")
    garments = [
        {name: getattr(garment, name) for name in garment_names}
        | {"box": garment.box.tolist(), "landmarks": garment.landmarks.tolist()}
        | {"polygons": [polygon.tolist() for polygon in garment.polygons]}
        for garment in record.garments
    ]
    return {name: getattr(record, name) for name in names} | {"garments": garments}


def write_mutated(folder: Path, count: int, seed: int) -> dict[str, tuple[str, str | None]]:
    """Inputs in `folder`; their mutation and the fault that it must lead to, by their names."""
    draw_dataset(folder / "drawn", train=DRAWN, validation=0, seed=seed, engine=Local(1))
    raw = folder / "train"
    for part in ("image", "annos"):
        (raw / part).mkdir(parents=True)
    made = {}
    for number in range(1, count + 1):
        rng = random.Random(f"{seed} {number}")
        kind = list(MUTATIONS)[(number - 1) % len(MUTATIONS)]
        source, name = f"{rng.randint(1, DRAWN):06d}", f"{number:06d}"
        given = Input(image=raw / f"image/{name}.jpg", annotation=raw / f"annos/{name}.json", rng=rng)
        given.image.write_bytes((folder / f"drawn/train/image/{source}.jpg").read_bytes())
        given.annotation.write_bytes((folder / f"drawn/train/annos/{source}.json").read_bytes())
        made[name] = kind, MUTATIONS[kind](given)
    return made


def ingest_mutated(folder: Path, count: int, seed: int) -> dict[str, Tally]:
    """`count` mutated inputs through ingest, in this process; what became of them, by mutation."""
    made = write_mutated(folder, count, seed)
    result = ingest_split(
        folder, split="train", out=folder / "records", params=LENIENT, engine=Local(1), vocabulary=DEEPFASHION2
    )
    records = {f"{record.id:06d}": record for record in read_records(folder / "records/train.parquet")}
    rows = pq.read_table(folder / "records/train.rejected.parquet").to_pylist()
    rejected = {row["name"]: row for row in rows}
    strangers = [row for row in rows if row["name"] not in made]  # files under names that belong to no input
    assert result.files == result.records + result.rejected == len(made) + len(strangers)
    assert (result.records, result.rejected) == (len(records), len(rows))
    tallies = {kind: Tally() for kind in MUTATIONS}
    for name, (kind, expected) in made.items():
        tally = tallies[kind]
        faults = input_faults(folder / "train", name)
        tally.inputs += 1
        tally.accepted += name in records
        tally.rejected += name in rejected
        tally.lost += (name in records) == (name in rejected)
        if name in records:
            sound = expected in (None, ANY, DAMAGED) and not faults
            tally.wrong += not sound or plain(records[name]) != expected_record(folder / "train", name)
        if name in rejected:
            tally.untrue += not is_true(rejected[name], faults, expected)
    stray = {Path(row["path"]).name for row in strangers}
    on_disk = {file.name for part in ("image", "annos") for file in (folder / "train" / part).iterdir()}
    assert stray == {name for name in on_disk if name.partition(".")[0] not in made or name[-4:] in (".JPG", ".png")}
    return tallies


def is_true(row: dict[str, Any], faults: set[tuple[str, str]], expected: str | None) -> bool:
    """Whether the input has the fault that it was rejected for, at the item that the reason names."""
    if expected == DAMAGED and row["kind"] == "picture_unreadable":
        return True
    items = {item for kind, item in faults if kind == row["kind"]}
    place = any(row["reason"].startswith(f"{item}: ") for item in items if item) or "" in items
    return place and expected in (row["kind"], ANY, DAMAGED) and row["name"] in row["path"]
