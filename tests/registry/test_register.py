"""`deepmark register`: a checkpoint becomes a version, with everything that is known of it."""

import json
from collections import Counter

import pytest
from measurements import write_earlier_metrics
from mlflow.store.artifact.local_artifact_repo import LocalArtifactRepository
from registered import aliases, evaluated, flip_bit, load_champion, registered_weights, tags
from workspaces import refused

from deepmark.files import file_sha256
from deepmark.registry.cached_evaluation import EVALUATION_TAG
from deepmark.registry.promote import promote
from deepmark.registry.register import register
from deepmark.registry.versions import MODEL
from deepmark.serving.logged_model import CHECKPOINT_TAG, FILES_TAG
from deepmark.tracking.mlflow_store import open_client
from deepmark.workspace.inputs import read_training


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


def test_facts_replace_earlier_ones(deepmark, pair, tmp_path):
    for _ in range(2):
        done = deepmark("register", "--workspace", pair.root, "--json", "--out", tmp_path / "facts.json")
        assert (done.code, json.loads((tmp_path / "facts.json").read_text("utf-8"))) == (0, done.facts)


def test_no_file_of_the_logged_model_is_fetched_twice(pair, monkeypatch):
    fetched, fetch = Counter(), LocalArtifactRepository._download_file

    def counted(self, remote_file_path, local_path):
        fetched[remote_file_path] += 1
        return fetch(self, remote_file_path, local_path)

    monkeypatch.setattr(LocalArtifactRepository, "_download_file", counted)
    assert register(pair)["known"] == "yes"

    assert {"MLmodel", "artifacts/model.safetensors"} <= fetched.keys()
    assert set(fetched.values()) == {1}


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
    before = pair.metrics_file("nms").read_bytes()
    evaluated(pair, finds_every=2)
    pair.metrics_file("nms").write_bytes(before)
    done = deepmark("register", "--workspace", pair.root)

    assert refused(
        done, str(pair.metrics_file("nms")), str(pair.predictions_file("nms")), "deepmark evaluate --strategy nms"
    )


@pytest.mark.parametrize("fault", ["a flipped bit", "gone"])
@pytest.mark.parametrize("is_champion", [False, True])
def test_registered_weights_that_rotted_are_stored_again_by_register(pair, fault, is_champion, caplog):
    if is_champion:
        promote(pair)
    (file,) = registered_weights(pair, file_sha256(pair.model_file))
    flip_bit(file) if fault == "a flipped bit" else file.unlink()
    alias = register(pair)["alias"]

    assert file_sha256(file) == file_sha256(pair.model_file)
    assert "its weights were lost or damaged, and stored again" in caplog.text
    assert alias == ("champion" if is_champion else "challenger")
    assert promote(pair).champion == 2


@pytest.mark.parametrize("damage", ["a flipped bit in MLmodel", "a module gone"])
def test_a_version_whose_other_files_rotted_is_not_promoted_and_is_registered_as_a_new_one(deepmark, pair, damage):
    (weights,) = registered_weights(pair, file_sha256(pair.model_file))
    stored = weights.parents[1]
    if damage == "a flipped bit in MLmodel":
        flip_bit(stored / "MLmodel")
    else:
        (stored / "code/deepmark/types/detections.py").unlink()

    done = deepmark("promote", "--workspace", pair.root)
    assert refused(done, "version 2: its MLmodel file or its code was changed or lost", "`deepmark register`")

    assert (register(pair)["version"], register(pair)["version"]) == (3, 3)
    assert aliases(pair) == {3: ("challenger",), 2: (), 1: ("champion",)}
    assert promote(pair).champion == 3
    load_champion(pair)


def test_a_version_of_an_earlier_release_has_no_sum_of_its_other_files_and_stays_as_it_is(pair):
    client = open_client(pair.root)
    client.delete_model_version_tag(MODEL, "2", FILES_TAG)
    model_id = client.get_model_version(MODEL, "2").source.rpartition("/")[2]
    client.delete_logged_model_tag(model_id, FILES_TAG)

    assert register(pair)["version"] == 2
    assert promote(pair).champion == 2


def test_a_run_that_a_killed_registration_left_open_is_finished(pair):
    client, run_id = open_client(pair.root), read_training(pair)["mlflow_run_id"]
    client.update_run(run_id, status="RUNNING")

    register(pair)

    assert client.get_run(run_id).info.status == "FINISHED"


def test_intact_weights_are_not_stored_again(pair, caplog):
    register(pair)

    assert "stored again" not in caplog.text


def test_a_damaged_checkpoint_is_not_registered(deepmark, pair):
    flip_bit(pair.model_file)

    assert refused(deepmark("register", "--workspace", pair.root), str(pair.model_file), "damaged", "`deepmark train`")


def test_figures_that_cannot_be_are_not_registered(deepmark, pair):
    metrics = json.loads(pair.metrics_file("nms").read_text())
    metrics["landmark"]["AP"] = 4.0
    del metrics["digest"]  # as an earlier release wrote it
    pair.metrics_file("nms").write_text(json.dumps(metrics))
    done = deepmark("register", "--workspace", pair.root)

    words = ("landmark AP, visible + occluded is 4.0, which cannot be", "deepmark evaluate --strategy nms")
    assert refused(done, str(pair.metrics_file("nms")), *words)


def test_damaged_figures_are_not_registered(deepmark, pair):
    file = pair.metrics_file("nms")
    file.write_text(file.read_text("utf-8").replace("1.0", "0.0", 1))

    done = deepmark("register", "--workspace", pair.root)
    assert refused(done, str(file), "damaged", "`deepmark evaluate --strategy nms` again")


def test_a_workspace_of_an_earlier_release_without_digests_is_registered(pair):
    for file in (pair.metrics_file("nms"), pair.training_file):
        values = {
            name: value for name, value in json.loads(file.read_text()).items() if name not in ("digest", "sha256")
        }
        file.write_text(json.dumps(values))

    assert register(pair)["version"] == 2
