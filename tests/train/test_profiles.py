"""The params.yaml of every profile can be trained."""

import json

import pytest
from one_process import ALONE
from workspaces import REPOSITORY, copied, set_params

from deepmark.cli.options import PROFILE_WORDS, Profile
from deepmark.data.predictions import read_predictions
from deepmark.model.detector import load_network
from deepmark.params import load_params
from deepmark.params.recipe import recipe_changes
from deepmark.report.tables.comparison_tables import papers_row
from deepmark.train.distributed.stop_signal import StopSignal
from deepmark.train.run import train_rank
from deepmark.train.run_id import run_folder
from deepmark.workspace.init import profile_file, profiles
from deepmark.workspace.layout import Workspace


@pytest.mark.slow
@pytest.mark.parametrize(
    ("profile", "channels"), [("paper", 294), ("modern", 80), ("edge", 80), ("open", 80), ("open-large", 80)]
)
def test_a_profile_learns_and_detects(sharded_once: Workspace, tmp_path, deepmark, profile, channels):
    workspace = copied(sharded_once, tmp_path)
    (workspace.root / "params.yaml").write_text(profile_file(profile).read_text("utf-8"), "utf-8")
    small = {"init": None, "epochs": 2, "batch_size": 4, "evaluate_every": 1}
    workspace = set_params(Workspace(workspace.root), model={"input_size": [32, 32]}, train=small)
    train_rank(workspace, run_folder(workspace), ALONE, StopSignal())

    history = json.loads(workspace.training_file.read_text("utf-8"))["history"]
    assert history[1]["train"]["total"] < history[0]["train"]["total"]
    assert set(history[1]["measured"]) == {"box_ap", "landmark_ap"}
    assert load_network(workspace.model_file).heads.landmark_heatmap[2].out_channels == channels
    done = deepmark("predict", "--strategy", "flip", "--workspace", workspace.root)
    assert done.code == 0, done.err
    found, _ = read_predictions(workspace.predictions_file("flip"))
    assert len(list(found)) == 6


def test_the_hourglass_has_the_papers_recipe():
    paper, hourglass = (load_params(profile_file(name)) for name in ("paper", "paper-hourglass"))

    assert [change.name for change in recipe_changes(hourglass, paper)] == ["model.backbone", "train.init"]


def test_the_profile_for_the_edge_has_the_modern_recipe_but_for_its_network():
    modern, edge = (load_params(profile_file(name)) for name in ("modern", "edge"))

    changed = {change.name for change in recipe_changes(edge, modern)}
    assert changed == {"model.backbone", "model.input_size", "train.init", "train.epochs"}


def test_the_profile_of_the_open_model_is_that_of_the_edge_in_its_budget_with_stronger_augmentation():
    edge, open_model = (load_params(profile_file(name)) for name in ("edge", "open"))

    changed = {change.name for change in recipe_changes(open_model, edge)}
    augment = {name for name in changed if name.startswith("augment.")}
    assert augment == {
        f"augment.{name}" for name in ("scale", "color", "rotation", "cutout", "white_balance", "blur", "noise", "jpeg")
    }
    assert changed - augment <= {
        "model.input_size", "train.epochs", "train.batch_size", "train.learning_rate", "train.ema",
        "train.validate_every", "train.evaluate_every",
    }  # fmt: skip


def test_the_large_profile_of_the_open_model_has_the_network_of_modern_and_the_augmentation_of_open():
    modern, open_model, large = (load_params(profile_file(name)) for name in ("modern", "open", "open-large"))

    assert large.augment == open_model.augment
    changed = {change.name for change in recipe_changes(large, modern) if not change.name.startswith("augment.")}
    assert changed == {"train.init", "train.learning_rate"}


@pytest.mark.parametrize("profile", profiles())
def test_the_header_of_a_profile_says_what_to_expect_what_it_takes_and_what_was_never_run(profile, monkeypatch):
    monkeypatch.syspath_prepend(str(REPOSITORY / "benchmarks"))
    from profile_costs import computed_lines

    text = profile_file(profile).read_text("utf-8")
    header = text[: text.index("\ndata:")]

    assert header.splitlines()[0] == f"# {profile}: {PROFILE_WORDS[Profile(profile)]}."
    assert computed_lines(profile) in header
    assert "\n# Published" in header
    assert "\n# Never run: on a GPU" in header


@pytest.mark.parametrize(("profile", "backbone"), [("paper", "dla34"), ("paper-hourglass", "hourglass104")])
def test_the_figures_to_expect_are_the_published_ones(profile, backbone):
    header = profile_file(profile).read_text("utf-8").partition("\ndata:")[0]
    expected = [papers_row(backbone, strategy) for strategy in ("nms", "multiscale")]

    assert load_params(profile_file(profile)).model.backbone == backbone
    for row in expected:
        for value in (row.box[0], row.landmark[0]):
            assert f"{value:.3f}".removeprefix("0") in header


def test_the_modern_profile_is_the_papers_with_every_switch_thrown():
    paper, modern = (load_params(profile_file(name)) for name in ("paper", "modern"))

    changed = {name for name, value in modern.train if value != getattr(paper.train, name)}
    assert changed == {
        "epochs", "batch_size", "optimizer", "learning_rate", "schedule", "milestones", "warmup", "weight_decay",
        "clip_norm", "ema", "precision", "landmark_channels", "landmark_radius", "loss_weights",
    }  # fmt: skip
    assert modern.train.loss_weights == paper.train.loss_weights.model_copy(update={"box_giou": 1.0})
    assert (paper.model.landmark_maps, modern.model.landmark_maps) == ("separate", "grouped")
    assert (modern.data, modern.augment) == (paper.data, paper.augment)
    assert modern.predict == paper.predict.model_copy(update={"rescore": True, "landmark_blend": 0.25})
