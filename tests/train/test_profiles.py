"""The params.yaml of every profile can be trained."""

import json

import pytest
from one_process import ALONE
from workspaces import copied, set_params

from deepmark.data.predictions import read_predictions
from deepmark.model.detector import load_network
from deepmark.params import load_params
from deepmark.train.distributed.stop_signal import StopSignal
from deepmark.train.run import train_rank
from deepmark.train.run_id import run_folder
from deepmark.workspace.init import profile_file
from deepmark.workspace.layout import Workspace


@pytest.mark.slow
@pytest.mark.parametrize(("profile", "channels"), [("paper", 294), ("modern", 80)])
def test_a_profile_learns_and_detects(sharded_once: Workspace, tmp_path, deepmark, profile, channels):
    workspace = copied(sharded_once, tmp_path)
    (workspace.root / "params.yaml").write_text(profile_file(profile).read_text("utf-8"), "utf-8")
    small = {"init": None, "epochs": 2, "batch_size": 4, "evaluate_every": 1, "launch": {"nproc_per_node": 1}}
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


def test_the_modern_profile_is_the_papers_with_every_switch_thrown():
    paper, modern = (load_params(profile_file(name)) for name in ("paper", "modern"))

    changed = {name for name, value in modern.train if value != getattr(paper.train, name)}
    assert changed == {
        "epochs", "batch_size", "optimizer", "learning_rate", "schedule", "milestones", "warmup", "weight_decay",
        "clip_norm", "ema", "precision", "landmark_channels", "landmark_radius",
    }  # fmt: skip
    assert (paper.model.landmark_maps, modern.model.landmark_maps) == ("separate", "grouped")
    assert (modern.data, modern.augment, modern.predict) == (paper.data, paper.augment, paper.predict)
