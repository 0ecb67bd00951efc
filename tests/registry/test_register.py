"""`deepmark register`: a checkpoint becomes a version, with everything that is known of it."""

import json

import pytest
from measurements import write_earlier_metrics
from registered import aliases, tags
from workspaces import refused

from deepmark.files import file_sha256
from deepmark.registry.cached_evaluation import EVALUATION_TAG
from deepmark.registry.promote import promote
from deepmark.registry.register import register
from deepmark.serving.logged_model import CHECKPOINT_TAG


def test_a_version_says_where_it_comes_from_and_how_good_it_is(pair):
    own = tags(pair, 2)

    assert own[CHECKPOINT_TAG] == file_sha256(pair.model_file)
    assert len(own["params.sha256"]) == 64
    assert own["workspace.commit"].endswith("-dirty")
    assert own["nms.landmark_ap"] == "1.0000"
    assert json.loads(own["network"])["params"]["backbone"] == "mobile"
    assert json.loads(own[EVALUATION_TAG])["figures"]["box_ap"] == pytest.approx(1.0)


def test_the_same_checkpoint_registered_again_is_the_same_version(deepmark, pair):
    done = deepmark("register", "--workspace", pair.root, "--json")

    assert done.facts | {"version": 2, "known": "yes", "alias": "challenger"} == done.facts
    assert aliases(pair) == {2: ("challenger",), 1: ("champion",)}


def test_the_champion_registered_again_stays_the_champion_only(pair):
    promote(pair)

    assert register(pair)["alias"] == "champion"
    assert aliases(pair) == {2: ("champion",), 1: ()}


def test_what_is_missing_for_a_version_is_named_with_the_command_that_makes_it(deepmark, pair):
    for path, maker in (
        (pair.metrics_file("nms"), "deepmark evaluate --strategy nms"),
        (pair.predictions_file("nms"), "deepmark predict --strategy nms"),
        (pair.model_file, "deepmark train"),
    ):
        path.unlink()
        assert refused(deepmark("register", "--workspace", pair.root), "deepmark register", str(path), maker)


def test_figures_of_another_checkpoint_are_not_registered(deepmark, pair):
    pair.model_file.write_bytes(b"another")
    done = deepmark("register", "--workspace", pair.root)

    assert refused(done, str(pair.predictions_file("nms")), "another model", "deepmark predict --strategy nms")


def test_figures_of_an_earlier_release_are_not_registered(deepmark, pair):
    # The other strategies' figures become tags of the version.
    for strategy in ("none", "nms"):
        write_earlier_metrics(pair.metrics_file(strategy))
        done = deepmark("register", "--workspace", pair.root)

        assert refused(done, str(pair.metrics_file(strategy)), f"dvc repro --force --single-item evaluate@{strategy}")


def test_figures_of_other_predictions_are_not_registered(deepmark, pair):
    metrics = json.loads(pair.metrics_file("nms").read_text())
    metrics["ms"]["network"] += 1
    pair.metrics_file("nms").write_text(json.dumps(metrics))
    done = deepmark("register", "--workspace", pair.root)

    assert refused(done, str(pair.metrics_file("nms")), "other predictions", "deepmark evaluate --strategy nms")
