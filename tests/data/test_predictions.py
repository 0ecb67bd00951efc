import json
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from deepmark.data.predictions import ROWS, read_predictions, write_predictions
from deepmark.errors import DeepmarkError
from deepmark.runtime.pose_scores import with_pose_scores
from deepmark.types import COLUMNS, Detections
from deepmark.vocabulary import DEEPFASHION2

FACTS = {"strategy": "flip", "network_ms": "12.5"}


def random_detections(rng: np.random.Generator, count: int) -> Detections:
    """Detections with every bit of their numbers in use."""
    categories = rng.integers(len(DEEPFASHION2.categories), size=count)
    own = np.arange(39) < np.array([DEEPFASHION2.categories[c].landmarks for c in categories], np.int64).reshape(-1, 1)
    return Detections(
        boxes=rng.random((count, 4), np.float32) * 999,
        scores=np.sort(rng.random(count, np.float32))[::-1].copy(),
        categories=categories,
        landmarks=rng.normal(300, 900, (count, 39, 2)).astype(np.float32) * own[..., None],
        landmark_scores=rng.random((count, 39), np.float32) * own,
    )


def predictions(pictures: int, *, most: int = 4) -> Iterator[tuple[int, str, Detections]]:
    rng = np.random.default_rng(pictures)
    for number in range(pictures):
        yield 7 * number, f"image/{number:06}.jpg", random_detections(rng, int(rng.integers(most + 1)))


@pytest.mark.parametrize("pictures", [0, 1, 9, ROWS + 3])
def test_predictions_are_read_back_bit_for_bit(tmp_path: Path, pictures: int) -> None:
    path = tmp_path / "flip.parquet"

    assert write_predictions(path, predictions(pictures), FACTS) == pictures
    rows, facts = read_predictions(path)

    assert facts == FACTS
    for (image_id, file, wanted), row in zip(predictions(pictures), rows, strict=True):
        assert (row.image_id, row.file) == (image_id, file)
        for name in COLUMNS:
            ours, theirs = getattr(row.detections, name), getattr(wanted, name)
            assert ours.dtype == theirs.dtype
            np.testing.assert_array_equal(ours, theirs)


def test_pose_scores_are_kept_where_there_are_any(tmp_path: Path) -> None:
    rescored = [(id_, file, with_pose_scores(found)) for id_, file, found in predictions(ROWS + 3)]
    write_predictions(tmp_path / "plain.parquet", predictions(ROWS + 3), FACTS)
    write_predictions(tmp_path / "rescored.parquet", rescored, FACTS)

    plain, read = (read_predictions(tmp_path / f"{name}.parquet")[0] for name in ("plain", "rescored"))
    for a, b, (*_, wanted) in zip(plain, read, rescored, strict=True):
        assert a.detections.pose_scores is None
        np.testing.assert_array_equal(b.detections.pose_scores, wanted.pose_scores)
        for name in COLUMNS:
            np.testing.assert_array_equal(getattr(a.detections, name), getattr(b.detections, name))


def test_images_in_which_nothing_was_found_keep_their_row(tmp_path: Path) -> None:
    path = tmp_path / "none.parquet"

    write_predictions(path, predictions(3, most=0), FACTS)

    assert [len(row.detections) for row in read_predictions(path)[0]] == [0, 0, 0]


def test_only_the_own_landmarks_of_a_category_are_stored(tmp_path: Path) -> None:
    path = tmp_path / "none.parquet"
    write_predictions(path, predictions(5), FACTS)

    for row in pq.read_table(path).to_pylist():
        for detection in row["detections"]:
            assert len(detection["landmarks"]) == DEEPFASHION2.categories[detection["category"]].landmarks


def test_a_failure_half_way_leaves_the_earlier_file_alone(tmp_path: Path) -> None:
    path = tmp_path / "none.parquet"
    write_predictions(path, predictions(2), FACTS)
    before = path.read_bytes()

    def broken() -> Iterator[tuple[int, str, Detections]]:
        yield from predictions(1)
        raise RuntimeError("the power went")

    with pytest.raises(RuntimeError, match="the power went"):
        write_predictions(path, broken(), FACTS)

    assert path.read_bytes() == before
    assert list(tmp_path.iterdir()) == [path]


def test_a_missing_file_says_which_command_makes_it(tmp_path: Path) -> None:
    with pytest.raises(DeepmarkError, match=r"none\.parquet: no such file.*deepmark predict"):
        read_predictions(tmp_path / "none.parquet")


def test_a_file_that_is_not_parquet_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "none.parquet"
    path.write_text("hello")

    with pytest.raises(DeepmarkError, match=r"none\.parquet: damaged, or not Parquet"):
        read_predictions(path)


@pytest.mark.parametrize("metadata", [None, {"deepmark": "records, version 1"}])
def test_parquet_of_something_else_is_refused(tmp_path: Path, metadata: dict | None) -> None:
    path = tmp_path / "none.parquet"
    pq.write_table(pa.table({"id": [1]}, schema=pa.schema([("id", pa.int64())], metadata=metadata)), path)

    with pytest.raises(DeepmarkError, match="expected predictions, version 1, found"):
        read_predictions(path)


def test_a_flipped_bit_in_the_facts_is_noticed(tmp_path: Path) -> None:
    path = tmp_path / "nms.parquet"
    write_predictions(path, predictions(5), FACTS)
    whole = path.read_bytes()
    start = whole.index(b'{"')
    for byte in range(start, start + 40):
        path.write_bytes(whole[:byte] + bytes([whole[byte] ^ 1]) + whole[byte + 1 :])
        with pytest.raises(DeepmarkError, match=r"nms\.parquet: damaged.*`deepmark predict --strategy nms` again"):
            read_predictions(path)


def test_a_file_of_an_earlier_release_is_read(tmp_path: Path) -> None:
    path = tmp_path / "none.parquet"
    write_predictions(path, predictions(5), FACTS)
    file = pq.read_table(path)
    metadata = {"deepmark": "predictions, version 1", "facts": json.dumps(FACTS)}
    pq.write_table(file.replace_schema_metadata(metadata), path)

    found, facts = read_predictions(path)

    assert facts == FACTS
    assert len(list(found)) == 5


def test_facts_that_are_no_json_are_told(tmp_path: Path) -> None:
    path = tmp_path / "none.parquet"
    write_predictions(path, predictions(5), FACTS)
    pq.write_table(pq.read_table(path).replace_schema_metadata({"deepmark": "predictions, version 1"}), path)

    with pytest.raises(DeepmarkError, match=r"its facts cannot be read.*deepmark predict --strategy none"):
        read_predictions(path)


def test_a_damaged_page_is_noticed(tmp_path: Path) -> None:
    path = tmp_path / "none.parquet"
    write_predictions(path, predictions(50, most=20), FACTS)
    data = bytearray(path.read_bytes())
    data[len(data) // 2] ^= 1
    path.write_bytes(data)

    with pytest.raises(DeepmarkError, match="damaged"):
        list(read_predictions(path)[0])
