"""`deepmark compare`, as people and scripts use it."""

import json

import numpy as np
import pandas as pd
import pytest
from eval_samples import detections, truth_as_detections
from workspaces import refused

from deepmark.data.predictions import write_predictions
from deepmark.data.records import read_records
from deepmark.workspace.layout import Workspace

pytestmark = pytest.mark.slow


@pytest.fixture
def predicted(sharded: Workspace) -> Workspace:
    """Strategy none finds nothing, flip every second picture's garments, multiscale all."""
    records = list(read_records(sharded.records_file("validation")))
    for strategy, every in (("none", 0), ("flip", 2), ("multiscale", 1)):
        found = [
            (one.id, one.file, truth_as_detections(one) if every and place % every == 0 else detections())
            for place, one in enumerate(records)
        ]
        write_predictions(sharded.predictions_file(strategy), found, {})
    return sharded


def test_a_table_for_people_shows_both_the_difference_and_which_is_better(deepmark, predicted):
    done = deepmark("compare", "none", "multiscale", "--workspace", predicted.root)

    lines = [line.split() for line in done.out.splitlines()]
    assert ["box", "AP", "0.0000", "1.0000", "+1.0000", "+1.0000", "+1.0000", "100.0%", "B"] in lines
    assert "95% of the differences" in done.out
    assert done.code == 0


def test_without_all_the_categories_and_subsets_that_do_not_differ_are_left_out(deepmark, predicted):
    few = deepmark("compare", "flip", "flip", "--workspace", predicted.root).out
    many = deepmark("compare", "flip", "flip", "--all", "--workspace", predicted.root).out

    assert "source shop" not in few
    assert "source shop" in many
    assert "open" in few


def test_a_file_of_predictions_is_compared_like_a_strategy(deepmark, predicted):
    file = predicted.predictions_file("multiscale")
    by_name = deepmark("compare", "flip", "multiscale", "--json", "--workspace", predicted.root)
    by_file = deepmark("compare", "flip", file, "--json", "--workspace", predicted.root)

    assert json.loads(by_name.out) == json.loads(by_file.out)
    assert json.loads(by_name.out)[0].keys() >= {"metric", "scope", "a", "b", "difference", "interval", "real"}


def test_all_figures_are_written_as_a_table(deepmark, predicted, tmp_path):
    deepmark("compare", "flip", "multiscale", "--out", tmp_path / "both.csv", "--workspace", predicted.root)
    frame = pd.read_csv(tmp_path / "both.csv")

    assert list(frame) == ["metric", "scope", "a", "b", "difference", "low", "high", "b_wins", "real"]
    assert len(frame) == 9 * 28
    known = frame.dropna()
    np.testing.assert_allclose(known.difference, known.b - known.a, atol=1e-12)


def test_an_unknown_name_is_answered_with_the_strategies_and_an_example(deepmark, predicted):
    done = deepmark("compare", "flop", "flip", "--workspace", predicted.root)

    assert refused(done, "deepmark compare", "flop: neither a strategy", "multiscale", "../other/data/predictions")


def test_a_strategy_that_was_not_predicted_yet_is_named_with_its_command(deepmark, predicted):
    done = deepmark("compare", "flip", "nms", "--workspace", predicted.root)

    assert refused(done, "data/predictions/nms.parquet", "deepmark predict --strategy nms")


def test_predictions_of_other_images_are_refused_by_the_name_of_their_file(deepmark, predicted, tmp_path):
    write_predictions(tmp_path / "other.parquet", [(999_999, "image/999999.jpg", detections())], {})
    done = deepmark("compare", "flip", tmp_path / "other.parquet", "--workspace", predicted.root)

    assert refused(done, f"{tmp_path}/other.parquet", "1 images", "predict again")


def test_records_that_are_not_there_are_named_with_their_command(deepmark, predicted):
    predicted.records_file("validation").unlink()
    done = deepmark("compare", "flip", "multiscale", "--workspace", predicted.root)

    assert refused(done, "data/records/validation.parquet", "deepmark ingest --split validation")
