"""Ways in which an image or its annotation can go wrong, as raw data of DeepFashion2.

A mutation changes the files of one input and returns the kind of fault that ingest must name; None where the input is
to be accepted; DAMAGED where the image may be refused or not, for JPEG has no checksum; or ANY where only raw_oracle.py
can tell.
"""

import json
import os
import random
from collections.abc import Callable
from dataclasses import dataclass
from io import BytesIO
from pathlib import Path
from typing import Any

from PIL import Image

ANY, DAMAGED = "any", "damaged"
BOM = b"\xef\xbb\xbf"
STRANGE = [None, True, "", "x", -1, 0, 3, 1e308, -0.0, 2**64, 0.5, [], {}, [[]], {"a": 1}]


@dataclass(frozen=True, kw_only=True)
class Input:
    """The two files of an input, and the dice."""

    image: Path
    annotation: Path
    rng: random.Random

    def values(self) -> dict[str, Any]:
        return json.loads(self.annotation.read_text("utf-8"))

    def write(self, values: dict[str, Any]) -> None:
        self.annotation.write_text(json.dumps(values), "utf-8")

    def item(self, **changes: Any) -> None:
        """Change fields of one item."""
        values = self.values()
        values[self.rng.choice([name for name in values if name.startswith("item")])] |= changes
        self.write(values)

    def replace(self, old: bytes, new: bytes) -> None:
        """Change the text of the annotation in one place."""
        self.annotation.write_bytes(self.annotation.read_bytes().replace(old, new, 1))

    def save(self, kind: str, mode: str = "RGB", **options: Any) -> None:
        """Write the image anew."""
        buffer = BytesIO()
        with Image.open(self.image) as image:
            image.convert(mode).save(buffer, kind, **options)
        self.image.write_bytes(buffer.getvalue())


Mutation = Callable[[Input], str | None]


def _changed(data: bytes, rng: random.Random, times: int) -> bytes:
    changed = bytearray(data)
    for _ in range(times):
        changed[rng.randrange(len(changed))] = rng.randrange(256)
    return bytes(changed)


def _cut(file: Path, rng: random.Random) -> None:
    data = file.read_bytes()
    file.write_bytes(data[: rng.randrange(1, len(data) - 2)])


def _oversize(given: Input) -> None:
    data = given.image.read_bytes()
    start = data.index(b"\xff\xc0") + 5
    given.image.write_bytes(data[:start] + (30_000).to_bytes(2) * 2 + data[start + 4 :])


def _resize(given: Input) -> None:
    with Image.open(given.image) as image:
        image.resize((image.width * 2, image.height * 2)).save(given.image, "JPEG")


def _turn(given: Input) -> None:
    exif = Image.Exif()
    exif[0x0112] = given.rng.randint(2, 8)
    given.save("JPEG", exif=exif)
    if given.rng.random() < 0.5:
        with Image.open(given.image) as image:
            width, height = image.size
        given.item(bounding_box=[5, 5, height - 5, width - 5])


def _in_place(file: Path, make: Callable[[Path], Any]) -> None:
    file.unlink()
    make(file)


def _node(given: Input) -> None:
    """Remove, repeat or replace one random node of the annotation."""
    values: Any = given.values()
    node = values
    while True:
        key = given.rng.choice(list(node) if isinstance(node, dict) else range(len(node)))
        child = node[key]
        if isinstance(child, dict | list) and child and given.rng.random() < 0.8:
            node = child
            continue
        action = given.rng.randrange(3)
        if action == 0:
            del node[key]
        elif action == 1 and isinstance(node, list):
            node.insert(key, child)
        else:
            node[key] = given.rng.choice(STRANGE)
        return given.write(values)


def _drop_field(given: Input) -> None:
    values = given.values()
    item = values[given.rng.choice([name for name in values if name.startswith("item")])]
    del item[given.rng.choice(list(item))]
    given.write(values)


def _rename_category(given: Input) -> None:
    values = given.values()
    name = given.rng.choice([name for name in values if name.startswith("item")])
    values[name]["category_name"] = "trousers" if values[name]["category_id"] != 8 else "skirt"
    given.write(values)


def _landmarks(given: Input, change: Callable[[list[Any]], list[Any]]) -> None:
    values = given.values()
    name = given.rng.choice([name for name in values if name.startswith("item")])
    values[name]["landmarks"] = change(values[name]["landmarks"])
    given.write(values)


def _past_the_border(given: Input) -> None:
    x0, y0, x1, y1 = given.values()["item1"]["bounding_box"]
    values = given.values()
    values["item1"]["bounding_box"] = [x0 - 10_000, y0, x1 + 10_000, y1 + 0.5]
    given.write(values)


def _shuffled(given: Input) -> None:
    values = given.values()
    names = given.rng.sample(list(values), len(values))
    given.annotation.write_text(json.dumps({name: values[name] for name in names}, indent=3), "utf-8")


def _does(kind: str | None, change: Callable[[Input], Any]) -> Mutation:
    def mutate(given: Input) -> str | None:
        change(given)
        return kind

    return mutate


def _image_is(content: bytes) -> Mutation:
    return _does("picture_unreadable", lambda given: given.image.write_bytes(content))


MUTATIONS: dict[str, Mutation] = {
    "nothing": _does(None, lambda given: None),
    "image missing": _does("picture_missing", lambda given: given.image.unlink()),
    "image is empty": _image_is(b""),
    "image is text": _image_is(b"a shirt\n" * 40),
    "image is an HTML page": _image_is(b"<!DOCTYPE html><title>404</title>"),
    "image is JSON": _image_is(b'{"error": "not found"}'),
    "image is a pointer of Git LFS": _image_is(b"version https://git-lfs.github.com/spec/v1\n"),
    "image is a PNG": _does("picture_unreadable", lambda given: given.save("PNG")),
    "image is a WebP": _does("picture_unreadable", lambda given: given.save("WEBP", quality=50)),
    "image is a TIFF, BMP or GIF": _does(
        "picture_unreadable", lambda given: given.save(given.rng.choice(["TIFF", "BMP", "GIF"]))
    ),
    "image in CMYK": _does("picture_unreadable", lambda given: given.save("JPEG", "CMYK")),
    "image in grey": _does(None, lambda given: given.save("JPEG", "L")),
    "image progressive": _does(None, lambda given: given.save("JPEG", progressive=True)),
    "image cut": _does("picture_unreadable", lambda given: _cut(given.image, given.rng)),
    "image with changed bytes": _does(
        DAMAGED, lambda given: given.image.write_bytes(_changed(given.image.read_bytes(), given.rng, 2))
    ),
    "image with more behind it": _does(
        None, lambda given: given.image.write_bytes(given.image.read_bytes() + given.rng.randbytes(500))
    ),
    "image of 900 megapixels": _does("picture_too_large", _oversize),
    "image of twice the size": _does(None, _resize),
    "image that EXIF turns": _does(ANY, _turn),
    "image is a folder": _does("file_unreadable", lambda given: _in_place(given.image, Path.mkdir)),
    "image is a broken link": _does(
        "file_unreadable", lambda given: _in_place(given.image, lambda file: file.symlink_to("nowhere.jpg"))
    ),
    "image under another name": _does(
        "picture_missing", lambda given: given.image.rename(given.image.with_name(f"9{given.image.name}"))
    ),
    "image with another ending": _does(
        "picture_missing", lambda given: given.image.rename(given.image.with_suffix(given.rng.choice([".JPG", ".png"])))
    ),
    "annotation missing": _does("annotation_missing", lambda given: given.annotation.unlink()),
    "annotation is empty": _does("json_unreadable", lambda given: given.annotation.write_bytes(b"")),
    "annotation is a pipe": _does("file_unreadable", lambda given: _in_place(given.annotation, os.mkfifo)),
    "annotation is a JPEG": _does(
        "json_unreadable", lambda given: given.annotation.write_bytes(given.image.read_bytes())
    ),
    "annotation cut": _does("json_unreadable", lambda given: _cut(given.annotation, given.rng)),
    "annotation with changed bytes": _does(
        ANY, lambda given: given.annotation.write_bytes(_changed(given.annotation.read_bytes(), given.rng, 2))
    ),
    "annotation with a changed node": _does(ANY, _node),
    "byte order mark": _does(None, lambda given: given.annotation.write_bytes(BOM + given.annotation.read_bytes())),
    "UTF-16": _does(
        "json_unreadable", lambda given: given.annotation.write_bytes(given.annotation.read_text().encode("utf-16"))
    ),
    "Latin-1": _does("json_unreadable", lambda given: given.replace(b'"source": "', b'"source": "\xe9')),
    "NaN": _does("number_not_finite", lambda given: given.replace(b'"style": ', b'"style": NaN, "x": ')),
    "Infinity": _does("number_not_finite", lambda given: given.replace(b'"style": ', b'"style": -Infinity, "x": ')),
    "1e999": _does("number_not_finite", lambda given: given.replace(b'"pair_id": ', b'"pair_id": 1e999, "x": ')),
    "a number of 5,000 digits": _does(
        "json_unreadable", lambda given: given.replace(b'"pair_id": ', b'"pair_id": ' + b"7" * 5000)
    ),
    "a number of 400 digits": _does(
        "field_invalid", lambda given: given.replace(b'"pair_id": ', b'"pair_id": 1' + b"7" * 400)
    ),
    "nested deeply": _does("json_unreadable", lambda given: given.annotation.write_bytes(b"[" * 100_000)),
    "a key twice": _does("key_duplicate", lambda given: given.replace(b'"pair_id": ', b'"pair_id": 1, "pair_id": ')),
    "keys in another order": _does(None, _shuffled),
    "a field missing": _does("field_missing", _drop_field),
    "an unknown field": _does("field_unknown", lambda given: given.item(brand="x")),
    "no item": _does("items_missing", lambda given: given.write({"source": "shop", "pair_id": 1})),
    "an unknown source": _does("field_invalid", lambda given: given.write(given.values() | {"source": "street"})),
    "category 0, 14, text": _does(
        "category_unknown", lambda given: given.item(category_id=given.rng.choice([0, 14, "1", 1.0]))
    ),
    "another category's name": _does("category_name_differs", _rename_category),
    "a landmark too few": _does("landmarks_wrong_number", lambda given: _landmarks(given, lambda points: points[:-3])),
    "visibility 3": _does("field_invalid", lambda given: _landmarks(given, lambda points: [*points[:-1], 3])),
    "a landmark far away": _does(
        "coordinate_out_of_range", lambda given: _landmarks(given, lambda points: [1e9, *points[1:]])
    ),
    "a landmark outside": _does(None, lambda given: _landmarks(given, lambda points: [-7.5, -3, 1, *points[3:]])),
    "coordinates of an unlabelled landmark": _does(
        None, lambda given: _landmarks(given, lambda points: [17, 23.5, 0, *points[3:]])
    ),
    "a box without width": _does("box_empty", lambda given: given.item(bounding_box=[9, 9, 9, 40])),
    "a box inverted": _does("box_empty", lambda given: given.item(bounding_box=[50, 9, 20, 40])),
    "a box outside": _does("box_outside", lambda given: given.item(bounding_box=[5000, 5000, 5010, 5010])),
    "a box past the border": _does(None, _past_the_border),
    "a polygon of 7 numbers": _does("field_invalid", lambda given: given.item(segmentation=[[1, 2, 3, 4, 5, 6, 7]])),
    "scale 0 or 4": _does("field_invalid", lambda given: given.item(scale=given.rng.choice([0, 4, True, 1.0]))),
}
