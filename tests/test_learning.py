"""Loss, targets, network, decoding and metric agree: what is small enough can be learnt by heart."""

import shutil

import pytest
from workspaces import run, set_params

from deepmark.data.synthetic import draw_dataset
from deepmark.workspace import Workspace, init_workspace

PICTURES = 8


def learn_by_heart(workspace: Workspace) -> dict:
    """Draw, train and measure on the same pictures with the real commands; the metrics."""
    draw_dataset(workspace.raw, train=PICTURES, validation=0, seed=11, workers=1)
    shutil.rmtree(workspace.raw / "validation", ignore_errors=True)
    shutil.copytree(workspace.raw / "train", workspace.raw / "validation")
    set_params(
        workspace,
        augment={"mirror": 0.0, "color": 0.0},
        train={"epochs": 120, "batch_size": PICTURES, "launch": {"nproc_per_node": 2}, "checkpoint_minutes": 10},
    )
    for command in (
        *(f"{stage} --split {split}" for split in ("train", "validation") for stage in ("ingest", "shard")),
        "train",
        "predict --strategy nms",
    ):
        done = run("deepmark", *command.split(), cwd=workspace.root)
        assert done.code == 0, done.err
    return run("deepmark", "evaluate", "--strategy", "nms", "--json", cwd=workspace.root).facts


@pytest.mark.slow
def test_eight_pictures_are_learnt_by_heart_by_the_real_commands(tmp_path):
    metrics = learn_by_heart(init_workspace(tmp_path / "eight", "demo"))

    assert metrics["box"]["AP"] > 0.9
    assert metrics["landmarks"]["AP"] > 0.9
    assert metrics["landmarks_visible"]["AP"] > 0.9
