"""The model that comes with DeepMark itself: its files, what it finds, and that it can be learnt from."""

import numpy as np
import pytest
from one_process import ALONE
from workspaces import set_params

from deepmark import load_detector
from deepmark.data.ingest.ingest import ingest_split
from deepmark.data.records import read_records
from deepmark.geometry import box_iou
from deepmark.models.packaged import MOST_BYTES, packaged_model, packaged_weights, read_card
from deepmark.params import IngestParams
from deepmark.synthetic import draw_dataset
from deepmark.train.start_networks import start_detector
from deepmark.vocabulary import DEEPFASHION2


def test_its_files_are_what_the_card_says_and_small():
    files = packaged_model(), packaged_weights()

    assert all(file.stat().st_size <= MOST_BYTES for file in files)
    assert [file.name for file in files] == list(read_card()["files"])


def test_the_card_says_what_it_saw_where_it_fails_and_its_figures_on_photographs():
    card = read_card()

    assert card["licence"].startswith("CC0")
    assert "a photograph of clothes" in card["never_saw"]
    assert card["fails"]
    assert set(card["on_photographs"]) >= {"on", "box_ap50_by_category", "box_ap50_class_agnostic", "of_these_right"}


def test_strategies_that_show_the_network_more_images_take_its_weights(deepmark, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    draw_dataset(tmp_path / "raw", train=1, validation=0, seed=4)
    image = "raw/train/image/000001.jpg"
    found = {strategy: deepmark("detect", image, "--strategy", strategy, "--json") for strategy in ("nms", "flip")}

    assert [done.code for done in found.values()] == [0, 0], found["flip"].err
    assert found["nms"].out != found["flip"].out
    assert len(load_detector(strategy="flip", min_score=0.3)(image))


@pytest.mark.slow
def test_it_finds_most_garments_of_drawings_that_it_has_not_learnt(tmp_path):
    draw_dataset(tmp_path / "raw", train=1, validation=20, seed=990)
    params = IngestParams(max_rejected_share=0, max_megapixels=50)
    ingest_split(tmp_path / "raw", split="validation", out=tmp_path, params=params, vocabulary=DEEPFASHION2)
    detector, hits = load_detector(min_score=0.1), []
    for record in read_records(tmp_path / "validation.parquet"):
        found = detector(tmp_path / "raw/validation" / record.file)
        for garment in record.garments:
            of_category = found.boxes[found.categories == garment.category]
            hits.append(bool((box_iou(np.array([garment.box]), of_category.astype(float)) > 0.5).any()))

    assert np.mean(hits) > 0.5


def test_a_training_on_own_images_starts_from_all_of_it(sharded, capsys):
    opened = set_params(sharded, train={"init": "open"}, model={"landmark_maps": "grouped"})
    start_detector(opened, DEEPFASHION2, ALONE)

    assert "heads left: none" in capsys.readouterr().err
