"""The vocabulary of DeepFashion2: 13 categories, 294 landmarks.

Source: DeepFashion2, 2019, section 3 and its public definition files. "Left" and "right" are those of the image.
"""

import json
from pathlib import Path
from typing import Any

from deepmark.vocabulary.category import Category, Shape
from deepmark.vocabulary.vocabulary import Vocabulary


def _zero_based(lines: list[list[int]]) -> tuple[tuple[int, ...], ...]:
    return tuple(tuple(number - 1 for number in line) for line in lines)


def _category(entry: dict[str, Any]) -> Category:
    mirror = list(range(entry["landmarks"]))
    for a, b in _zero_based(entry["mirror_pairs"]):
        mirror[a], mirror[b] = b, a
    drawing = entry["drawing"]
    return Category(
        index=entry["id"] - 1,
        name=entry["name"],
        coco_name=entry["official_converter_name"],
        landmarks=entry["landmarks"],
        start=entry["start"],
        mirror=tuple(mirror),
        parts=tuple(entry["parts"]),
        sigmas=tuple(entry["oks_sigmas"]),
        released_items=entry["released_items"],
        drawing=Shape(
            aspect=drawing["aspect"],
            points=tuple((x, y) for x, y in drawing["points"]),
            outline=_zero_based([drawing["outline"]])[0],
            panels=_zero_based(drawing["panels"]),
            inner_lines=_zero_based(drawing["inner_lines"]),
            straps=_zero_based(drawing["straps"]),
        ),
    )


_FILE = Path(__file__).with_suffix(".json")

DEEPFASHION2 = Vocabulary(
    name="DeepFashion2",
    categories=tuple(_category(entry) for entry in json.loads(_FILE.read_text("utf-8"))["categories"]),
)
