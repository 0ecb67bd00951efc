"""A training that learns nothing, or loses what it had learnt, is told from its history; a sound one is not."""

import json
import math

import dagster as dg
import pytest
from one_process import ALONE
from workspaces import set_params

from assets.checks.asset_check import Materialized
from assets.checks.model import the_training_learns
from deepmark.tracking.mlflow_store import open_client
from deepmark.train.distributed.stop_signal import StopSignal
from deepmark.train.learning_check import learning_warnings
from deepmark.train.run import WARNINGS_TAG, train_rank
from deepmark.train.run_id import run_folder


def history(losses, *, box=(), landmark=(), norms=()):
    """The history of a training; AP is measured in its last epochs."""
    return [
        {
            "train": {"total": loss},
            "measured": {
                name: values[number - len(losses)]
                for name, values in (("box_ap", box), ("landmark_ap", landmark))
                if len(losses) - number <= len(values)
            },
            **({"weight_norm": norms[number]} if norms else {}),
        }
        for number, loss in enumerate(losses)
    ]


def test_many_steps_that_were_left_out_are_told_after_the_first_epoch():
    epochs = [{**epoch, "steps": 100, "skipped": 6} for epoch in history([9.0, 8.0])]

    assert learning_warnings(epochs[:1], epochs=10) == []
    assert learning_warnings(epochs, epochs=10) == ["6 of the 100 steps of epoch 2 were left out"]
    assert learning_warnings([epochs[0], {**epochs[1], "skipped": 5}], epochs=10) == []


DEMO = [16.139, 9.205, 7.772, 7.027, 6.741, 6.477, 6.258, 6.008, 5.946, 5.888]
"""The training losses of `make demo`."""


@pytest.mark.parametrize(
    "sound",
    [
        history([]),
        history([9.0]),
        history([9.0, 8.5], box=[0.0, 0.0], landmark=[0.0, 0.0]),
        history(DEMO, box=[0.0, 0.01, 0.3], landmark=[0.0, 0.01, 0.05], norms=range(10)),
        history([5.0, 4.0, 4.4, 3.8, 4.1], landmark=[None, None, None]),
        history([3.0, 2.9, 2.8], box=[0.6, 0.5, 0.55], landmark=[0.02, 0.001, 0.001]),
    ],
)
def test_a_sound_training_is_not_warned_of(sound):
    for done in range(len(sound) + 1):
        assert learning_warnings(sound[:done], epochs=max(2, len(sound))) == []


@pytest.mark.parametrize(
    ("bad", "said"),
    [
        (
            history([9, 8.99, 9.01]),
            "the training loss has not fallen in 3 epochs: 9 in the first, 8.99 at best since",
        ),
        (history([9.0, 5.0, 4.0], landmark=[0.0, 0.0], box=[0.1, 0.2]), "landmark AP is still 0 after 3 epochs"),
        (history([9.0, 5.0, 4.0], landmark=[0.1], box=[0.0]), "box AP is still 0 after 3 epochs"),
        (history([9.0, 3.0, 8.0, 7.0]), "the training loss has collapsed: 3 at best, 7 now"),
        (history(DEMO, box=[0.1, 0.5, 0.2, 0.1]), "box AP has collapsed: 0.5 at best, 0.1 now"),
        (history([9.0, 5.0, 4.0], norms=[7.0, 7.5, 7.5]), "no weight changed in epoch 3"),
    ],
)
def test_a_training_that_learns_nothing_is_warned_of(bad, said):
    assert learning_warnings(bad, epochs=len(bad)) == [said]


def test_the_loss_is_judged_after_a_tenth_of_the_training():
    flat = history([9.0] * 7)

    assert [done for done in range(8) if learning_warnings(flat[:done], epochs=63)] == [7]


def test_one_bad_epoch_is_not_a_collapse():
    assert learning_warnings(history([9.0, 3.0, 8.0]), epochs=63) == []


@pytest.mark.slow
def test_a_training_that_cannot_learn_says_so_in_its_log_in_mlflow_and_in_dagster(sharded, caplog):
    workspace = set_params(sharded, train={"epochs": 3, "learning_rate": 1e-12, "optimizer": "adam"})
    train_rank(workspace, run_folder(workspace), ALONE, StopSignal())
    training = json.loads(workspace.training_file.read_text("utf-8"))

    assert any("the training loss has not fallen" in warning for warning in training["warnings"])
    assert all(f"warning: {warning}." in caplog.text for warning in training["warnings"])
    tags = open_client(workspace.root).get_run(training["mlflow_run_id"]).data.tags
    assert tags[WARNINGS_TAG] == "; ".join(training["warnings"])
    result = the_training_learns(Materialized(workspace=workspace.root, partition=None, previous={}))
    assert (result.passed, result.severity) == (False, dg.AssetCheckSeverity.WARN)
    assert result.description == "; ".join(training["warnings"])


def test_a_training_that_learns_warns_of_nothing(trained):
    training = json.loads(trained.training_file.read_text("utf-8"))

    assert training["warnings"] == []
    assert math.isfinite(training["history"][-1]["weight_norm"])
    assert the_training_learns(Materialized(workspace=trained.root, partition=None, previous={})).passed
