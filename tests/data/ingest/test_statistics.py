"""The statistics of a split agree with its records."""

import pytest
from ingested import ingest, records_of, statistics_of, write_item
from tiny_dataset import item, write_annotation

from deepmark.data.ingest.statistics import SplitStatistics
from deepmark.schema import SUBSETS
from deepmark.vocabulary import DEEPFASHION2


def test_statistics_count_what_the_records_hold(raw):
    ingest(raw)

    statistics = statistics_of(raw)
    garments = [garment for record in records_of(raw) for garment in record.garments]
    labelled = sum(int((garment.landmarks[:, 2] > 0).sum()) for garment in garments)
    assert (statistics["inputs"], statistics["records"], statistics["pictures"]) == (7, 7, 7)
    assert statistics["items"] == len(garments)
    assert statistics["labelled_landmarks"] == labelled
    for parts in statistics["by"].values():
        assert sum(part["items"] for part in parts.values()) == len(garments)
        assert sum(part["labelled_landmarks"] for part in parts.values()) == labelled
        assert sum(part["share_of_items"] for part in parts.values()) == pytest.approx(1, abs=1e-4)
    for field, words in SUBSETS.items():
        for value, word in words.items():
            alike = [garment for garment in garments if getattr(garment, field) == value]
            assert statistics["by"][field][word]["items"] == len(alike)


def test_statistics_show_the_shares_of_the_released_set(raw):
    ingest(raw)

    categories = statistics_of(raw)["by"]["category"]
    assert list(categories) == [category.name for category in DEEPFASHION2.categories]
    assert sum(part["released_items"] for part in categories.values()) == 312_186
    assert sum(part["released_share_of_items"] for part in categories.values()) == pytest.approx(1, abs=1e-4)


def test_an_image_with_two_items_of_a_category_counts_once_as_an_image(raw):
    write_annotation(raw / "train", 4, {"source": "shop", "pair_id": 1, "item1": item(9), "item2": item(9, seed=1)})
    ingest(raw)

    statistics = SplitStatistics(vocabulary=DEEPFASHION2)
    statistics.add(records_of(raw)[3])

    part = statistics.as_dict("train")["by"]["category"][DEEPFASHION2.categories[8].name]
    assert (part["pictures"], part["items"]) == (1, 2)


def test_counts_of_parts_merge_to_those_of_the_whole(raw):
    ingest(raw)
    whole, *parts = (SplitStatistics(vocabulary=DEEPFASHION2) for _ in range(4))
    for number, record in enumerate(records_of(raw)):
        whole.add(record)
        parts[number % 3].add(record)

    for part in parts[1:]:
        parts[0].merge(part)

    assert parts[0].as_dict("train") == whole.as_dict("train")


def test_an_item_without_landmarks_stays_and_is_counted(raw):
    write_item(raw / "train", landmarks=[0] * 75)

    ingest(raw)

    assert not records_of(raw)[3].garments[0].landmarks.any()
    assert statistics_of(raw)["items_without_landmarks"] == 1
