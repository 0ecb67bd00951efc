"""The learning rate follows its schedule."""

import pytest

from deepmark.params import TrainParams, load_params
from deepmark.train.optim import learning_rate
from deepmark.workspace.init import profile_file


@pytest.fixture
def paper() -> TrainParams:
    return load_params(profile_file("paper")).train


def rates(params: TrainParams, steps_per_epoch: int = 10) -> list[float]:
    return [
        learning_rate(params, step=step, steps_per_epoch=steps_per_epoch)
        for step in range(params.epochs * steps_per_epoch)
    ]


def test_the_papers_schedule_is_fifty_epochs_then_three_then_ten(paper):
    by_epoch = rates(paper)[::10]
    assert by_epoch == [3e-4] * 50 + [3e-5] * 3 + [1e-5] * 10


def test_milestones_take_effect_with_the_first_step_of_their_epoch(paper):
    assert rates(paper)[499:501] == [3e-4, 3e-5]


def test_warm_up_rises_to_the_learning_rate_and_cosine_falls_to_nothing(paper):
    params = paper.model_copy(update={"schedule": "cosine", "warmup": 0.1, "epochs": 20})
    values = rates(params)
    top = values.index(max(values))
    assert values[: top + 1] == sorted(values[: top + 1])
    assert values[top:] == sorted(values[top:], reverse=True)
    assert top == 20
    assert values[top] == pytest.approx(3e-4)
    assert values[0] < 3e-5
    assert values[-1] < 3e-7
