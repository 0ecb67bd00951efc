"""COCO files that we write are read by the tools that people use: pycocotools and supervision."""

import json

import numpy as np
import pytest
from ingested import ingest, records_of
from pycocotools.coco import COCO
from tiny_dataset import write_split

from deepmark.data.coco.writer import write_coco
from deepmark.vocabulary import DEEPFASHION2


@pytest.fixture
def written(tmp_path):
    """The records of three images in raw/train/image, and their COCO file."""
    write_split(tmp_path / "raw/train", 3)
    ingest(tmp_path / "raw")
    records = records_of(tmp_path / "raw")
    write_coco(tmp_path / "coco.json", records, vocabulary=DEEPFASHION2)
    return tmp_path / "coco.json", records


def test_pycocotools_reads_and_tells_what_the_file_is(written, capsys):
    path, records = written
    truth = COCO(str(path))
    truth.info()

    told = capsys.readouterr().out
    assert "description: Clothes with their boxes and landmarks" in told
    assert json.loads(path.read_text())["licenses"] == []
    assert len(truth.getAnnIds()) == sum(len(record.garments) for record in records)


@pytest.mark.parametrize("category", DEEPFASHION2.categories, ids=lambda category: category.name)
def test_a_category_names_its_keypoints_and_joins_its_own(written, category):
    (entry,) = COCO(str(written[0])).loadCats([category.index + 1])

    own = range(category.start + 1, category.span.stop + 1)
    assert entry["supercategory"] == "clothes"
    assert len(set(entry["keypoints"])) == 294
    names = [f"{category.coco_name}: {part}" for part in category.parts]
    assert entry["keypoints"][category.span] == names
    assert {end for line in entry["skeleton"] for end in line} <= set(own)
    assert len(entry["skeleton"]) == len({frozenset(line) for line in entry["skeleton"]}) >= category.landmarks / 2


def test_supervision_loads_the_file_as_a_data_set(written, tmp_path):
    supervision = pytest.importorskip("supervision")
    path, records = written

    data = supervision.DetectionDataset.from_coco(str(tmp_path / "raw/train/image"), str(path))

    assert data.classes == [category.coco_name for category in DEEPFASHION2.categories]
    assert len(data) == len(records)
    for (_, image, found), record in zip(data, records, strict=True):
        assert image.shape == (record.height, record.width, 3)
        assert np.allclose(found.xyxy, [garment.box for garment in record.garments])
        assert found.class_id.tolist() == [garment.category for garment in record.garments]
