"""The check accepts garments as the data set's figure draws them, and detects other numberings."""

from collections.abc import Callable
from pathlib import Path

import numpy as np

from deepmark.data.ingest.left_right_check import ENOUGH, check_left_right
from deepmark.data.records import write_records
from deepmark.types import Garment, ImageRecord
from deepmark.vocabulary import DEEPFASHION2, Category

OUTWEAR = DEEPFASHION2.by_name["short sleeve outwear"]
Order = Callable[[Category], list[int]]


def record(number: int, garments: list[Garment]) -> ImageRecord:
    return ImageRecord(
        id=number, file=f"image/{number:06d}.jpg", sha256=f"{number:064x}", bytes=9, width=100, height=100,
        source="shop", pair_id=1, garments=tuple(garments),
    )  # fmt: skip


def drawn(category: Category, order: list[int]) -> Garment:
    points = np.array(category.shape.points)[order] * 100
    landmarks = np.column_stack([points, np.full(len(points), 2.0)])
    return Garment(
        item="item1", category=category.index, style=0, box=np.array([0.0, 0.0, 100.0, 100.0]), landmarks=landmarks,
        polygons=(), scale=1, occlusion=1, zoom_in=1, viewpoint=2,
    )  # fmt: skip


def records_of(folder: Path, order: Order, *, pictures: int = ENOUGH) -> Path:
    file = folder / "train.parquet"
    records = (record(n, [drawn(one, order(one)) for one in DEEPFASHION2.categories]) for n in range(pictures))
    write_records(file, records, DEEPFASHION2)
    return file


def as_numbered(category: Category) -> list[int]:
    return list(range(category.landmarks))


def test_every_left_landmark_of_the_figure_lies_left_of_its_partner(tmp_path):
    checks = check_left_right(records_of(tmp_path, as_numbered))
    pairs = sum(i != j for category in DEEPFASHION2.categories for i, j in enumerate(category.mirror)) // 2

    assert len(checks) == pairs + 1
    assert {check.share for check in checks} == {1.0}
    assert {check.garments for check in checks} == {ENOUGH}


def test_left_and_right_of_the_wearer_are_detected_on_every_pair_of_the_category(tmp_path):
    def order(category: Category) -> list[int]:
        return list(category.mirror) if category.name == "vest" else as_numbered(category)

    wrong = [check for check in check_left_right(records_of(tmp_path, order)) if check.share == 0]

    assert len(wrong) == sum(i != j for i, j in enumerate(DEEPFASHION2.by_name["vest"].mirror)) // 2
    assert all(check.name.startswith("vest: left ") for check in wrong)


def test_swapped_labels_2_and_4_are_detected_by_their_distance_from_the_shoulder(tmp_path):
    def order(category: Category) -> list[int]:
        numbers = as_numbered(category)
        if category == OUTWEAR:
            numbers[1], numbers[3] = 3, 1
        return numbers

    worst = check_left_right(records_of(tmp_path, order))[0]

    assert worst.name == "short sleeve outwear: label 2 nearer 7 than label 4"
    assert worst.share == 0


def test_too_few_garments_give_no_result(tmp_path):
    assert check_left_right(records_of(tmp_path, as_numbered, pictures=ENOUGH - 1)) == []


def test_landmarks_that_are_not_labelled_are_not_counted(tmp_path):
    hidden = drawn(OUTWEAR, as_numbered(OUTWEAR))
    hidden.landmarks[:, 2] = 0
    seen = [record(n, [drawn(OUTWEAR, as_numbered(OUTWEAR))]) for n in range(ENOUGH)]
    write_records(
        tmp_path / "train.parquet", [*seen, *(record(ENOUGH + n, [hidden]) for n in range(5))], vocabulary=DEEPFASHION2
    )

    assert {check.garments for check in check_left_right(tmp_path / "train.parquet")} == {ENOUGH}


def test_garments_of_many_row_groups_are_added_up(tmp_path, monkeypatch):
    monkeypatch.setattr("deepmark.data.records.ROWS", 7)

    assert {check.garments for check in check_left_right(records_of(tmp_path, as_numbered))} == {ENOUGH}
