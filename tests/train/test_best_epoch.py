"""The weights that are kept are those of the epoch with the best validation figure."""

import pytest
import torch
from one_process import ALONE, new_stepper, train
from workspaces import set_params

from deepmark import stages
from deepmark.data.shards.reader import ShardReader
from deepmark.digests import read_json_with_digest
from deepmark.model.detector import load_network
from deepmark.report.run_facts import run_facts
from deepmark.train.best_epoch import measure_ap, update_best
from deepmark.train.loop import TrainState
from deepmark.train.optim import build_optimizer
from deepmark.train.step import make_stepper


@pytest.mark.slow
def test_the_weights_of_the_best_epoch_are_kept(sharded, monkeypatch):
    workspace = set_params(sharded, train={"epochs": 4, "evaluate_every": 1, "best_by": "landmark_ap"})
    figures = iter([0.1, 0.4, 0.4, 0.3])
    monkeypatch.setattr("one_process.measure_ap", lambda stepper, reader: {"box_ap": 0.0, "landmark_ap": next(figures)})
    stepper, state, seen = new_stepper(workspace), TrainState(), []
    train(workspace, stepper, state, lambda state: seen.append(next(stepper.detector.parameters()).clone()))

    assert state.best is not None
    assert (state.best.epoch, state.best.value) == (1, 0.4)
    assert torch.equal(next(iter(state.best.weights.values())), seen[5])
    assert [epoch["measured"]["landmark_ap"] for epoch in state.history] == [0.1, 0.4, 0.4, 0.3]


@pytest.mark.parametrize(
    ("by", "figures", "kept"),
    [
        ("landmark_ap", [0.2, None, 0.3, 0.1], 2),
        ("box_ap", [None, 0.0, 0.0], 1),
        ("loss", [5.0, 4.0, 6.0, 4.0], 1),
        ("loss", [1.0, 2.0], 0),
    ],
)
def test_a_figure_knows_which_way_is_better(sharded, by, figures, kept):
    stepper = new_stepper(set_params(sharded, train={"best_by": by}))
    best = None
    for epoch, value in enumerate(figures):
        best = update_best(best, epoch, {by: value}, stepper)

    assert best is not None
    assert (best.epoch, best.value) == (kept, figures[kept])


def test_the_epoch_that_is_kept_is_counted_from_1_as_in_the_log(trained):
    training = read_json_with_digest(trained.training_file, "deepmark train")
    kept, history = training["kept"], training["history"]

    assert kept["epoch"] == read_json_with_digest(trained.train_metrics_file, "deepmark train")["kept_epoch"]
    assert 1 <= kept["epoch"] <= len(history) == 2
    assert history[kept["epoch"] - 1]["measured"][kept["by"]] == kept["value"]
    assert run_facts(trained, training)["epochs"] == f"2, weights of epoch {kept['epoch']}"


def test_ap_in_training_is_that_of_the_stages(trained):
    params = trained.params.train.model_copy(update={"precision": "fp32"})
    detector = load_network(trained.model_file)
    stepper = make_stepper(detector, build_optimizer(detector, params), params, ALONE)
    stages.predict(trained, strategy="nms")
    metrics = stages.evaluate(trained, strategy="nms")

    found = measure_ap(stepper, ShardReader(trained.shards("validation")))

    assert found == pytest.approx({"box_ap": metrics["box"]["AP"], "landmark_ap": metrics["landmark"]["AP"]})
