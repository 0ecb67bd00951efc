"""What the data sheet counts of a split equals plain counting, for any vocabulary."""

from collections import Counter
from dataclasses import replace

import numpy as np
import pytest
from vocabularies import MANY, SMALL
from vocabulary_samples import random_case, record

from deepmark.report.data_sheet.counts import SAMPLES, SplitCounts, count_split, labelled_shares
from deepmark.report.data_sheet.findings import findings
from deepmark.report.data_sheet.tables import category_table, copies_table, landmark_table, split_table, subset_table
from deepmark.schema import SUBSETS
from deepmark.types import ImageRecord

RECORDS = random_case(SMALL, 5, images=40)[0]


@pytest.fixture(scope="module")
def counts() -> SplitCounts:
    return count_split(RECORDS, SMALL)


def names_of(image: ImageRecord) -> list[str]:
    return [SMALL.categories[item.category].name for item in image.garments]


def test_items_and_images_of_each_category_are_counted(counts):
    items = Counter(name for image in RECORDS for name in names_of(image))
    images = Counter(name for image in RECORDS for name in set(names_of(image)))

    assert counts.items.category.value_counts().to_dict() == items
    assert dict(zip(SMALL.by_name, counts.of_category.tolist(), strict=True)) == images
    assert counts.images == len(RECORDS)
    assert counts.images_without_items == sum(not image.garments for image in RECORDS)


def test_images_with_two_categories_and_with_two_items_of_one_are_counted(counts):
    for i, a in enumerate(SMALL.by_name):
        for j, b in enumerate(SMALL.by_name):
            least = {a: 2} if a == b else {a: 1, b: 1}
            wanted = sum(
                all(names_of(image).count(name) >= count for name, count in least.items()) for image in RECORDS
            )
            assert counts.together[i, j] == wanted


def test_the_visibility_of_every_landmark_is_counted(counts):
    for category in SMALL.categories:
        own = [item for image in RECORDS for item in image.garments if item.category == category.index]
        for landmark in range(category.landmarks):
            states = [int(item.landmarks[landmark, 2]) for item in own]
            assert counts.visibility[category.index, landmark].tolist() == [states.count(v) for v in (0, 1, 2)]
        assert not counts.visibility[category.index, category.landmarks :].any()
        shares = labelled_shares(counts, category.index)
        assert shares.shape == (category.landmarks, 2)
        assert ((shares >= 0) & (shares <= 1)).all()


def test_boxes_are_as_large_as_their_sides(counts):
    boxes = np.array([item.box for image in RECORDS for item in image.garments])

    assert counts.items.width.tolist() == (boxes[:, 2] - boxes[:, 0]).tolist()
    assert counts.items.side.to_numpy() == pytest.approx(
        np.sqrt((boxes[:, 2] - boxes[:, 0]) * (boxes[:, 3] - boxes[:, 1])) / 400
    )


def test_every_item_is_in_one_subset_of_each_field(counts):
    cells = {row.cells[0]: int(row.cells[1]) for row in subset_table({"train": counts}).rows}

    for field, words in SUBSETS.items():
        assert sum(cells[f"{field.replace('_in', '')}: {word}"] for word in words.values()) == len(counts.items)


def test_the_shown_items_are_in_images_of_the_smallest_sums_whatever_the_order(counts):
    for index, samples in enumerate(counts.samples):
        having = sorted(image.sha256 for image in RECORDS if any(item.category == index for item in image.garments))
        sums = {image.id: image.sha256 for image in RECORDS}
        assert [sums[sample.image_id] for sample in samples] == having[:SAMPLES]
    assert count_split(RECORDS[::-1], SMALL).samples == counts.samples


def test_a_split_without_images_has_tables_too():
    nothing = {"train": count_split([], SMALL)}

    assert split_table(nothing).rows[0].cells[:4] == ("train", "0", "0", "0")
    assert all(row.cells[1] == "0" for row in category_table(nothing).rows)
    assert len(landmark_table(nothing).rows) == SMALL.landmarks
    assert list(findings(nothing)) == ["train has no item of bag, shoe, hat"]


def test_forty_categories_are_counted():
    records, _ = random_case(MANY, 2, images=80)
    counts = count_split(records, MANY)

    assert len(counts.items) == sum(len(image.garments) for image in records)
    assert counts.visibility.shape == (40, 60, 3)
    assert len(landmark_table({"train": counts}).rows) == MANY.landmarks


def test_what_somebody_should_look_at_is_said():
    few = [replace(image, garments=tuple(item for item in image.garments if item.category)) for image in RECORDS]
    blind = [
        replace(
            image,
            garments=tuple(
                replace(item, landmarks=item.landmarks * (np.arange(len(item.landmarks)) != 2)[:, None])
                for item in image.garments
            ),
        )
        for image in few
    ]
    said = list(findings({"train": count_split(blind, SMALL)}))

    assert "train has no item of bag" in said
    assert "train never labels shoe 3 (toe top)" in said
    assert not any("never labels" in one for one in findings({"train": count_split(RECORDS, SMALL)}))


def test_a_file_that_is_twice_in_a_split_or_in_two_splits_is_found():
    one, two = record(1, []), record(2, [])
    train = [one, two, replace(two, id=3)]
    counts = {"train": count_split(train, SMALL), "validation": count_split([replace(one, id=9)], SMALL)}
    cells = {row.cells[0]: row.cells[1] for row in copies_table(counts, {"duplicate in a split": 4}).rows}

    assert cells == {
        "the same file more than once in train": "1",
        "the same file more than once in validation": "0",
        "the same file in train and in validation": "1",
        "duplicate in a split, by the last audit": "4",
    }
    said = " ".join(findings(counts))
    assert "train has 1 files that are the same" in said
    assert "1 files are in train and in validation" in said
