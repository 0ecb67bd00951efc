"""A loss that is not a number is named with its images; such steps can be skipped."""

from collections.abc import Callable

import numpy as np
import pytest
import torch
from one_process import fingerprint, new_stepper, train
from workspaces import set_params

from deepmark.data.sampling import sample_order
from deepmark.data.shards.reader import ShardReader
from deepmark.errors import DeepmarkError
from deepmark.model.detector import Detector
from deepmark.train import loop
from deepmark.train.loop import TrainState
from deepmark.workspace.layout import Workspace


@pytest.fixture
def poisoned(monkeypatch: pytest.MonkeyPatch) -> Callable[[str], str]:
    """Makes the network's output for the named training image NaN, and with it the loss of its batch."""
    make, normalize = loop.make_sample, Detector.normalize

    def poison(key: str) -> str:
        def make_sample(record, jpeg, **words):
            sample = make(record, jpeg, **words)
            if record.id == int(key) and words["augment"] is not None:
                sample.image[:] = 255
            return sample

        monkeypatch.setattr(loop, "make_sample", make_sample)
        return key

    def spoil(detector, images):
        bad = (images == 255).flatten(1).all(dim=1)
        return torch.where(bad[:, None, None, None], torch.nan, normalize(detector, images))

    monkeypatch.setattr(Detector, "normalize", spoil)
    return poison


def poisoned_key(workspace: Workspace) -> str:
    """The key of the first image of the second step."""
    reader = ShardReader(workspace.shards("train"))
    order = sample_order(len(reader), seed=workspace.params.train.seed, epoch=0)
    return reader.key(int(order[4]))


def test_a_loss_that_is_not_finite_stops_the_run_and_names_the_images(sharded, poisoned):
    key = poisoned(poisoned_key(sharded))

    with pytest.raises(DeepmarkError, match=rf"epoch 1, step 2: the loss is not a number \(.*{key}.*learning_rate"):
        train(sharded, new_stepper(sharded), TrainState())


@pytest.mark.slow
def test_the_step_of_such_a_batch_can_be_skipped_and_leaves_no_trace(sharded, poisoned, caplog):
    workspace = set_params(sharded, train={"not_finite": "skip", "ema": 0.9})
    key = poisoned(poisoned_key(sharded))
    stepper, state, seen = new_stepper(workspace), TrainState(), []

    reports = train(workspace, stepper, state, lambda state: seen.append(fingerprint(stepper)))

    assert [report.skipped for report in reports] == [1, 1]
    assert f"Pictures: {key}" in caplog.text
    assert seen[1] == seen[0] != seen[2]
    assert all(value.isfinite().all() for value in stepper.detector.state_dict().values())
    assert np.isfinite(reports[0].train["total"])


def test_a_run_whose_weights_are_not_finite_stops_even_where_steps_may_be_skipped(sharded):
    workspace = set_params(sharded, train={"not_finite": "skip", "epochs": 9})
    stepper = new_stepper(workspace)
    with torch.no_grad():
        next(stepper.detector.parameters()).fill_(float("nan"))

    with pytest.raises(DeepmarkError, match=r"20 steps in a row.*--fresh"):
        train(workspace, stepper, TrainState(step=0, skipped_in_a_row=18))
