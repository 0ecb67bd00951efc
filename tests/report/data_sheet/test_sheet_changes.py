"""Changes between two versions of a split: what came, went and was corrected, counted once each."""

from dataclasses import replace

import numpy as np
import pytest
from vocabularies import SMALL
from vocabulary_samples import random_case

from deepmark.report.data_sheet.changes import changes_between

BEFORE = sorted(random_case(SMALL, 5, images=30)[0], key=lambda image: image.id)
FULL = next(i for i, image in enumerate(BEFORE) if len(image.garments) >= 3)


def changed(**fields: object) -> list:
    """The images, the first item of one of them changed."""
    image = BEFORE[FULL]
    first = replace(image.garments[0], **fields)
    return [*BEFORE[:FULL], replace(image, garments=(first, *image.garments[1:])), *BEFORE[FULL + 1 :]]


def items(images: list) -> int:
    return sum(len(image.garments) for image in images)


def test_the_same_records_have_no_changes():
    assert not changes_between(BEFORE, BEFORE, SMALL)


@pytest.mark.parametrize("kept", [slice(3, None), slice(None, -3), slice(None, None, 2), slice(0, 0)])
def test_images_that_came_or_went_bring_or_take_their_items(kept):
    part = BEFORE[kept]
    went, came = changes_between(BEFORE, part, SMALL), changes_between(part, BEFORE, SMALL)

    assert went.images_went == came.images_came == len(BEFORE) - len(part)
    assert went.items_went == came.items_came == items(BEFORE) - items(part)
    assert went.items_corrected == came.items_corrected == went.images_came == came.images_went == 0
    assert bool(went) == (len(part) < len(BEFORE))


@pytest.mark.parametrize(
    ("fields", "what"),
    [
        ({"box": np.array([1.0, 2.0, 30.0, 40.0])}, ["box"]),
        ({"landmarks": np.tile([5.0, 5.0, 1.0], (len(BEFORE[FULL].garments[0].landmarks), 1))}, ["landmarks"]),
        ({"category": (BEFORE[FULL].garments[0].category + 1) % 3}, ["category"]),
        ({"occlusion": BEFORE[FULL].garments[0].occlusion % 3 + 1}, ["subset"]),
        ({"box": np.array([1.0, 2.0, 30.0, 40.0]), "style": 77}, ["box", "subset"]),
    ],
)
def test_a_corrected_item_counts_once_and_in_all_that_differs(fields, what):
    if "landmarks" in what:
        assert BEFORE[FULL].garments[0].landmarks.size
    found = changes_between(BEFORE, changed(**fields), SMALL)

    assert found.items_corrected == 1
    assert [name for name, count in found.corrected.items() if count] == what
    assert found.items_came == found.items_went == 0
    assert sum(parts[2] for parts in found.by_category.values()) == 1


def test_items_come_and_go_in_images_that_stay():
    image = BEFORE[FULL]
    fewer = [*BEFORE[:FULL], replace(image, garments=image.garments[1:]), *BEFORE[FULL + 1 :]]
    name = SMALL.categories[image.garments[0].category].name

    assert changes_between(BEFORE, fewer, SMALL).by_category[name] == (0, 1, 0)
    assert changes_between(fewer, BEFORE, SMALL).by_category[name] == (1, 0, 0)


def test_another_file_under_the_same_number_is_told():
    other = [replace(BEFORE[0], sha256="f" * 64), *BEFORE[1:]]

    assert changes_between(BEFORE, other, SMALL).files_replaced == 1
