"""`deepmark predict` twice: the same file, so that DVC has nothing to do after it."""

import pytest
from workspaces import run

from deepmark.eval.metric.timing_file import read_timing
from deepmark.files import file_sha256

pytestmark = pytest.mark.slow

STAGES = ("predict@nms", "evaluate@nms")


def test_dvc_finds_nothing_changed_after_a_second_prediction(trained):
    made = [trained.predictions_file("nms"), trained.timing_file("nms"), trained.metrics_file("nms")]
    done = run("dvc", "repro", "--single-item", *STAGES, cwd=trained.root)
    assert done.code == 0, done.err
    before = [file_sha256(file) for file in made]

    assert run("deepmark", "predict", "--strategy", "nms", cwd=trained.root).code == 0

    assert [file_sha256(file) for file in made] == before
    assert run("dvc", "status", "--json", *STAGES, cwd=trained.root).facts == {}
    assert read_timing(trained.timing_file("nms"))["ms"]["total"] > 0
    assert not any(trained.parts.iterdir())


def test_evaluate_does_not_depend_on_how_long_the_prediction_took(trained):
    assert run("dvc", "repro", "--single-item", *STAGES, cwd=trained.root).code == 0
    done = run("dvc", "repro", "--single-item", "--force", "predict@nms", cwd=trained.root)
    assert done.code == 0, done.err

    assert run("dvc", "status", "--json", "evaluate@nms", cwd=trained.root).facts == {}
