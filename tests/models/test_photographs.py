"""Labels of photographs, and the figures that benchmarks/photographs.py computes with them."""

import sys

import numpy as np
import pandas as pd
import pytest
from workspaces import REPOSITORY

from deepmark.types import Detections
from deepmark.vocabulary import DEEPFASHION2

sys.path.append(str(REPOSITORY / "benchmarks"))
import photographs
from photographs import CORNERS, LABELS, evaluated, right_ones, truth

SIZE = (200, 100)


@pytest.fixture(scope="module")
def labels():
    return pd.read_csv(LABELS)


def found_as(labels, names):
    """For each image what its labels say, but for the categories, which are `names`."""
    found = {}
    for number, (_, rows) in enumerate(labels.groupby("file", sort=False), 1):
        categories = np.array([DEEPFASHION2.by_name[name].index for name in names[rows.index]])
        found[number] = Detections(
            categories=categories,
            boxes=(rows[CORNERS].to_numpy() * np.tile(SIZE, 2) / 100).astype(np.float32),
            scores=np.linspace(0.9, 0.5, len(rows), dtype=np.float32),
            landmarks=np.zeros((len(rows), DEEPFASHION2.most_landmarks, 2), np.float32),
            landmark_scores=np.zeros((len(rows), DEEPFASHION2.most_landmarks), np.float32),
            vocabulary=DEEPFASHION2,
        )
    return found


def test_the_labels_are_boxes_inside_images_of_known_categories(labels):
    assert set(labels["category"]) <= set(DEEPFASHION2.by_name)
    assert labels[CORNERS].to_numpy().min() >= 0
    assert labels[CORNERS].to_numpy().max() <= 100
    assert (labels["left"] < labels["right"]).all()
    assert (labels["top"] < labels["bottom"]).all()
    assert not labels.duplicated().any()


def test_what_finds_every_label_has_an_ap_of_one_and_of_wrong_categories_none(labels):
    dataset = truth(labels, dict.fromkeys(labels["file"], SIZE))
    right = found_as(labels, labels["category"])
    wrong = found_as(labels, pd.Series("sling dress", labels.index))

    assert evaluated(dataset, right, by_category=True) == pytest.approx((1, 1))
    assert evaluated(dataset, wrong, by_category=True) == pytest.approx((0, 0))
    assert evaluated(dataset, wrong, by_category=False)[1] > 0.9
    assert right_ones(dataset, right) == (len(labels), len(labels), len(labels))
    assert right_ones(dataset, wrong) == (len(labels), len(labels), 0)


def test_nothing_found_is_an_ap_of_zero(labels):
    dataset = truth(labels, dict.fromkeys(labels["file"], SIZE))
    nothing = {number: found[:0] for number, found in found_as(labels, labels["category"]).items()}

    assert evaluated(dataset, nothing, by_category=True) == (0, 0)
    assert right_ones(dataset, nothing) == (0, 0, 0)


def test_figures_of_another_model_do_not_go_into_the_card(tmp_path, monkeypatch, capsys):
    monkeypatch.setattr(sys, "argv", ["photographs.py", str(tmp_path), "--card", "--model", "other.onnx"])

    with pytest.raises(SystemExit, match="2"):
        photographs.main()
    assert "--card is for the model open" in capsys.readouterr().err
