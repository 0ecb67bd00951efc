"""Images of any vocabulary: drawn from its outlines, reproducible, with landmarks where the shapes have them."""

import dataclasses
import json
from collections import Counter
from pathlib import Path

import numpy as np
import PIL.Image
import pytest
from tiny_dataset import LENIENT
from vocabularies import CONTENT, MANY, SMALL

from deepmark.compute.local import Local
from deepmark.data.ingest.ingest import ingest_split
from deepmark.data.records import read_records
from deepmark.errors import DeepmarkError
from deepmark.synthetic import draw_dataset
from deepmark.synthetic.from_outlines import draw_shapes
from deepmark.vocabulary import DEEPFASHION2, Vocabulary
from deepmark.vocabulary.plain_form import checked_vocabulary
from deepmark.vocabulary.vocabulary_file import vocabulary_yaml


def drawn(folder: Path, vocabulary: Vocabulary, train: int, validation: int = 0) -> dict[str, int]:
    return draw_dataset(folder, train=train, validation=validation, seed=3, vocabulary=vocabulary, engine=Local(1))


@pytest.mark.slow
@pytest.mark.parametrize(("vocabulary", "count"), [(SMALL, 60), (MANY, 80)], ids=["accessories", "forty"])
def test_every_image_is_taken_and_every_category_appears_evenly(vocabulary, count, tmp_path):
    garments = drawn(tmp_path / "raw", vocabulary, count)["garments"]

    result = ingest_split(
        tmp_path / "raw", split="train", out=tmp_path, params=LENIENT, vocabulary=vocabulary, engine=Local(1)
    )
    records = list(read_records(tmp_path / "train.parquet"))
    items = Counter(garment.category for record in records for garment in record.garments)

    assert (result.records, result.rejected, items.total()) == (count, 0, garments)
    assert min(items[category.index] for category in vocabulary.categories) >= count // len(vocabulary.categories)
    assert {garment.landmarks.shape[0] for record in records for garment in record.garments} == {
        category.landmarks for category in vocabulary.categories
    }
    visible = np.concatenate([garment.landmarks[:, 2] for record in records for garment in record.garments])
    assert {0, 1, 2} == set(visible.tolist())


def test_the_bytes_depend_on_the_seed_and_the_number_of_the_image_alone(tmp_path):
    drawn(tmp_path / "few", SMALL, 3)
    drawn(tmp_path / "more", SMALL, 5, 1)

    for file in sorted((tmp_path / "few/train").rglob("0*")):
        assert file.read_bytes() == (tmp_path / "more" / file.relative_to(tmp_path / "few")).read_bytes()
    other, _ = draw_shapes(SMALL, seed=4, split="train", index=0)
    assert not np.array_equal(other, np.asarray(PIL.Image.open(tmp_path / "few/train/image/000001.jpg")))


def test_left_stays_left_and_landmarks_lie_on_the_box():
    """Also in mirrored garments, whose landmarks are numbered anew."""
    for index in range(90):
        _, annotation = draw_shapes(SMALL, seed=1, split="train", index=index)
        for item in (value for key, value in annotation.items() if key.startswith("item")):
            points = np.array(item["landmarks"]).reshape(-1, 3)
            x0, y0, x1, y1 = item["bounding_box"]
            labelled = points[:, 2] > 0
            assert (points[labelled, :2] >= (x0 - 2, y0 - 2)).all()
            assert (points[labelled, :2] <= (x1 + 2, y1 + 2)).all()
            if item["category_name"] == "bag" and labelled.all():
                left_handle, right_handle, right_bottom, left_bottom = points[:, 0]
                assert left_handle < right_handle
                assert left_bottom < right_bottom
                assert points[:2, 1].mean() < points[2:, 1].mean()


def test_a_mirrored_garment_is_not_torn_where_its_drawing_has_further_points():
    """The ends of the bag's handle follow the landmarks that they are joined to: no ribbons cross."""
    shares = set()
    for index in range(60):
        _, annotation = draw_shapes(SMALL, seed=1, split="train", index=index)
        for item in (value for value in annotation.values() if isinstance(value, dict)):
            if item["category_name"] == "bag" and item["zoom_in"] == 1 and len(item["segmentation"]) == 4:
                grip = [np.array(part).reshape(-1, 2).mean(axis=0) for part in item["segmentation"][:3]]
                left, right = sorted((grip[0][0], grip[2][0]))
                shares.add(bool(left < grip[1][0] < right and grip[1][1] < min(grip[0][1], grip[2][1])))
                first, last = (np.array(item["segmentation"][i]).reshape(-1, 2) for i in (0, 2))
                assert first[:, 0].max() < last[:, 0].min() or last[:, 0].max() < first[:, 0].min()
    assert shares == {True}


def test_a_drawing_of_another_vocabulary_says_so_beside_its_images(tmp_path):
    drawn(tmp_path / "raw", SMALL, 1)

    mark = json.loads((tmp_path / "raw/synthetic.json").read_text())
    assert mark["vocabulary"] == "accessories"
    with pytest.raises(DeepmarkError, match="data set that differs in vocabulary, vocabulary_sha256 "):
        drawn(tmp_path / "raw", MANY, 1)
    with pytest.raises(DeepmarkError, match="the workspace has the vocabulary DeepFashion2"):
        ingest_split(
            tmp_path / "raw",
            split="train",
            out=tmp_path / "out",
            params=LENIENT,
            engine=Local(1),
            vocabulary=DEEPFASHION2,
        )


def test_what_cannot_be_drawn_is_named(tmp_path):
    plain = [dataclasses.replace(category, drawing=None) for category in SMALL.categories]
    with pytest.raises(DeepmarkError, match='The category "bag" has no drawing'):
        drawn(tmp_path / "none", Vocabulary(name="plain", categories=tuple(plain)), 1)

    speck = [[0.5, 0.5], [0.502, 0.5], [0.502, 0.502]]
    tiny = {**CONTENT, "categories": [{**CONTENT["categories"][0], "outline": speck, "straps": []}]}
    with pytest.raises(DeepmarkError, match='nothing of a drawn "bag" can be seen'):
        drawn(tmp_path / "tiny", checked_vocabulary(tiny, lambda _: "tiny"), 1)

    lines = [["left handle", "right handle"] * 30]
    many = {**CONTENT, "categories": [{**CONTENT["categories"][0], "straps": lines}]}
    with pytest.raises(DeepmarkError, match="has 60 panels and pieces of straps, and may have 50"):
        drawn(tmp_path / "many", checked_vocabulary(many, lambda _: "many"), 1)

    with pytest.raises(DeepmarkError, match="the statistics deepfashion2 are of DeepFashion2's categories"):
        draw_dataset(tmp_path / "a", train=1, validation=0, seed=1, statistics="deepfashion2", vocabulary=SMALL)


def test_the_command_draws_a_vocabulary_from_its_file(tmp_path, deepmark):
    (tmp_path / "vocabulary.yaml").write_text(vocabulary_yaml(SMALL))
    counts = ["--train", "2", "--validation", "0", "--vocabulary", tmp_path / "vocabulary.yaml"]

    assert deepmark("synth", tmp_path / "raw", *counts).code == 0
    assert len(list((tmp_path / "raw/train/image").iterdir())) == 2
    assert "--video draws garments of DeepFashion2" in deepmark("synth", tmp_path / "v", *counts, "--video").err


def test_a_copy_of_the_built_in_vocabulary_is_drawn_as_ever(tmp_path):
    copy = Vocabulary(name="mine", categories=DEEPFASHION2.categories)
    drawn(tmp_path / "copy", copy, 1)
    draw_dataset(tmp_path / "built in", train=1, validation=0, seed=3, engine=Local(1))

    for file in (tmp_path / "copy").rglob("*.*"):
        if file.is_file():
            assert file.read_bytes() == (tmp_path / "built in" / file.relative_to(tmp_path / "copy")).read_bytes()
