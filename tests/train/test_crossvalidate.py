"""Every training image is predicted by a network that has not learnt it, through stops and without doing work again."""

import pickle
import signal
import subprocess
from collections.abc import Iterator

import psutil
import pytest
from processes import wait_until
from trainings import kill_all, working_on
from workspaces import run, set_params

from deepmark import stages
from deepmark.data.predictions import read_predictions
from deepmark.data.records import read_records
from deepmark.data.shards.reader import ShardReader
from deepmark.digests import read_json_with_digest
from deepmark.errors import DeepmarkError
from deepmark.files import file_sha256
from deepmark.params import load_params
from deepmark.train.run_id import training_inputs
from deepmark.workspace.environment import child_environment, tool
from deepmark.workspace.folds import STRATEGY, fold_of, fold_params, fold_workspaces
from deepmark.workspace.init import profile_file
from deepmark.workspace.inputs import open_shards
from deepmark.workspace.layout import Workspace

FOLDS = 2


@pytest.fixture
def folded(sharded: Workspace) -> Iterator[Workspace]:
    """The workspace with two folds of one epoch each."""
    audit = {"folds": FOLDS, "fold_epochs": 1}
    yield set_params(sharded, audit=audit, train={"checkpoint_minutes": 0}, predict={"max_detections": 5})
    for process in working_on(sharded):
        process.kill()


def keys(reader: ShardReader) -> list[str]:
    return [reader.key(position) for position in range(len(reader))]


def test_a_pair_has_its_fold_for_ever():
    assert [fold_of(pair, 3) for pair in (1, 2, 3, 4, 5, 6)] == [0, 1, 1, 0, 0, 2]


def test_folds_part_the_training_images_by_pairs(folded):
    pair_of = {f"{record.id:06d}": record.pair_id for record in read_records(folded.records_file("train"))}
    held_out = []
    for number, fold in enumerate(fold_workspaces(folded)):
        learnt, predicted = (keys(open_shards(fold, split)) for split in ("train", "validation"))
        assert sorted(learnt + predicted) == sorted(pair_of)
        assert {fold_of(pair_of[key], FOLDS) for key in predicted} == {number}
        held_out += predicted
    assert sorted(held_out) == sorted(pair_of)


def test_a_fold_of_shards_is_the_same_in_another_process_and_another_set_than_all(folded):
    fold = fold_workspaces(folded)[0]
    whole, part = open_shards(folded, "train"), open_shards(fold, "validation")
    again = pickle.loads(pickle.dumps(part))

    assert keys(again) == keys(part)
    assert again[0][1] == part[0][1]
    assert len({whole.sha256, part.sha256, open_shards(fold, "train").sha256}) == 3
    part.verify()


def test_a_list_of_images_that_are_not_there_is_refused(folded):
    fold = fold_workspaces(folded)[0]
    fold.fold_file("train").write_text("000001\n999999\n")

    with pytest.raises(
        DeepmarkError, match=r"train\.txt: names 2 samples, of which the shards have 1\. .*crossvalidate"
    ):
        open_shards(fold, "train")


def test_a_fold_learns_by_the_recipe_from_nothing_that_has_seen_its_labels(folded):
    values = load_params(profile_file("paper")).model_dump(mode="json")
    values["train"] |= {"teacher": "large.safetensors", "evaluate_every": 5}
    values["train"]["loss_weights"]["teacher"] = 1.0
    set_params(folded, **values | {"audit": values["audit"] | {"folds": FOLDS, "fold_epochs": 21}})
    train, made = load_params(folded.root / "params.yaml").train, fold_params(Workspace(folded.root)).train

    assert (made.teacher, made.loss_weights.teacher, made.evaluate_every) == (None, 0.0, 0)
    assert made.init == str(folded.root / "data/coco_dla34.safetensors")
    assert (made.epochs, made.milestones) == (21, {17: 3.0e-5, 18: 1.0e-5})
    changed = {name for name in type(train).model_fields if getattr(made, name) != getattr(train, name)}
    assert changed == {"epochs", "milestones", "init", "teacher", "loss_weights", "validate_every", "evaluate_every"}


@pytest.mark.parametrize("folds", [1, -1, 1000])
def test_so_many_folds_cannot_be(sharded, folds):
    with pytest.raises(DeepmarkError, match=r"params\.yaml: audit: folds: "):
        set_params(sharded, audit={"folds": folds}).params  # noqa: B018


def test_a_fold_without_images_is_refused(sharded):
    with pytest.raises(DeepmarkError, match=r"12 images of \d+ pairs cannot be parted into 90 folds: fold \d+ would"):
        fold_workspaces(set_params(sharded, audit={"folds": 90}))


def test_a_process_of_many_is_refused(folded, monkeypatch):
    for name, value in {"RANK": "0", "WORLD_SIZE": "1", "LOCAL_RANK": "0", "LOCAL_WORLD_SIZE": "1"}.items():
        monkeypatch.setenv(name, value)
    monkeypatch.setenv("MASTER_ADDR", "127.0.0.1")
    monkeypatch.setenv("MASTER_PORT", "29500")

    with pytest.raises(DeepmarkError, match=r"RANK is set, .*Start it once, without RANK"):
        stages.crossvalidate(folded)


def test_without_folds_nothing_is_trained_and_the_file_is_of_no_images(sharded):
    assert stages.crossvalidate(sharded) == {"pictures": 0, "folds": 0}

    found, facts = read_predictions(sharded.held_out_file)
    assert (list(found), facts) == ([], {"folds": "0"})
    assert not sharded.folds.exists()


@pytest.mark.slow
@pytest.mark.system
def test_a_killed_crossvalidation_goes_on_in_the_fold_where_it_was(folded):
    second = folded.folds / f"2-of-{FOLDS}"
    command = [tool("deepmark"), "crossvalidate", "--workspace", folded.root]
    running = subprocess.Popen(command, env=child_environment(), stderr=subprocess.PIPE, text=True)
    assert wait_until(lambda: any(second.glob("runs/train/*/epoch-*")), seconds=200)
    for process in [psutil.Process(running.pid), *psutil.Process(running.pid).children(recursive=True)]:
        process.send_signal(signal.SIGSTOP)  # else the launcher would go on for a moment
    kill_all(running)
    trained = (folded.folds / f"1-of-{FOLDS}/trained.txt").stat().st_mtime_ns

    done = run("deepmark", "crossvalidate", "--json", cwd=folded.root)
    found, facts = read_predictions(folded.held_out_file)
    folds = fold_workspaces(folded)

    assert done.code == 0, done.err
    assert "fold 1 of 2" not in done.err
    assert (folded.folds / f"1-of-{FOLDS}/trained.txt").stat().st_mtime_ns == trained
    assert sorted(each.image_id for each in found) == list(range(1, 13))
    assert facts["checkpoint_sha256"].split() == [file_sha256(fold.model_file) for fold in folds]
    assert (facts["folds"], facts["epochs"], facts["strategy"]) == (str(FOLDS), "1", STRATEGY)
    assert not any((fold.root / "runs/train").exists() for fold in folds)
    histories = [read_json_with_digest(fold.training_file, "train")["history"] for fold in folds]
    assert [len(history) for history in histories] == [1, 1]
    assert len({str(training_inputs(fold)["shards"]) for fold in folds}) == FOLDS

    set_params(folded, predict={"max_detections": 3})
    again = run("deepmark", "crossvalidate", cwd=folded.root)
    assert again.code == 0, again.err
    assert "training" not in again.err
    assert max(len(each.detections) for each in read_predictions(folded.held_out_file)[0]) <= 3

    before = file_sha256(folded.held_out_file)
    assert stages.crossvalidate(Workspace(folded.root))["pictures"] == 12
    assert file_sha256(folded.held_out_file) == before
