"""Overrides change only the lines that they name, and impossible values are refused."""

import pytest

from deepmark.cli.options import Profile
from deepmark.errors import DeepmarkError
from deepmark.params import load_params
from deepmark.workspace.init import profile_file
from pipelines.experiment.overrides import override

GIVEN = {
    "train.epochs": 2,
    "train.learning_rate": "1e-5",
    "model": {"input_size": [128, 256]},
    "train.ema": None,
    "promote.strategy": "flip",
    "compute": {"train_processes": "auto"},
    "train": {"loss_weights": {"size": 0.2}, "precision": "bf16"},
}


@pytest.mark.parametrize("profile", Profile)
def test_only_the_lines_that_are_named_change(profile, tmp_path):
    before = profile_file(profile).read_text("utf-8").splitlines()
    text, _ = override(profile_file(profile), GIVEN)
    changed = [(old, new) for old, new in zip(before, text.splitlines(), strict=True) if old != new]

    names = {old.split(":")[0].strip() for old, _ in changed}
    assert names <= {"epochs", "learning_rate", "input_size", "ema", "train_processes", "size", "precision", "strategy"}
    assert [old.partition("#")[2] for old, _ in changed] == [new.partition("#")[2] for _, new in changed]


def test_the_file_has_the_values_that_were_given(tmp_path):
    text, found = override(profile_file("demo"), GIVEN)
    (tmp_path / "params.yaml").write_text(text, "utf-8")
    params = load_params(tmp_path / "params.yaml")

    assert (params.train.epochs, params.train.learning_rate, params.train.ema) == (2, 1e-5, None)
    assert (params.model.input_size, params.compute.train_processes) == ((128, 256), "auto")
    assert params.train.loss_weights.size == 0.2
    assert (found["train.learning_rate"], params.promote.strategy) == (1e-5, "flip")
    assert set(found) == {
        *("train.epochs", "train.learning_rate", "train.ema", "promote.strategy"),
        *("model.input_size", "compute.train_processes", "train.loss_weights.size", "train.precision"),
    }


@pytest.mark.parametrize(
    ("given", "milestones"),
    [
        ({"train.milestones": {40: 1e-4}}, {40: 1e-4}),
        ({"train": {"milestones.50": 2e-5, "milestones.60": 1e-6}}, {50: 2e-5, 53: 1e-5, 60: 1e-6}),
    ],
)
def test_milestones_are_replaced_as_a_whole_or_changed_one_by_one(given, milestones, tmp_path):
    (tmp_path / "params.yaml").write_text(override(profile_file("paper"), given)[0], "utf-8")

    assert load_params(tmp_path / "params.yaml").train.milestones == milestones


@pytest.mark.parametrize(
    ("given", "words"),
    [
        ({"train.epoch": 2}, "params: train: 'epoch' is not a parameter. Did you mean 'epochs'?"),
        ({"trian.epochs": 2}, "params: 'trian' is not a parameter. Did you mean 'train'?"),
        (
            {"train": {"loss_weights": {"sizes": 2}}},
            "params: train: loss_weights: 'sizes' is not a parameter. Did you mean 'size'?",
        ),
        ({"train.epochs": 0}, "params: train: epochs: Input should be greater than or equal to 1 (found: 0)."),
        ({"train.epochs.last": 2}, "params: train: epochs: Input should be a valid integer"),
        ({"train": 2}, "params: train: Input should be"),
        ({"model.input_size": [100, 64]}, "must be multiples of 32"),
    ],
)
def test_a_value_that_params_yaml_may_not_have_is_refused_with_the_reason(given, words):
    with pytest.raises(DeepmarkError) as error:
        override(profile_file("demo"), given)

    assert words in str(error.value)
