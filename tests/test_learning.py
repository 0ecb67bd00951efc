"""Loss, targets, network, decoding and metric agree: what is small enough can be learnt by heart."""

import shutil
from collections.abc import Callable

import pytest
from workspaces import Done, run, set_params

from deepmark.compute.local import Local
from deepmark.synthetic import draw_dataset
from deepmark.workspace.init import init_workspace
from deepmark.workspace.layout import Workspace

PICTURES = 8
STEPS = 4
"""Steps an epoch: so often each picture is there. What an epoch ends with, validation and checkpoint, takes as long."""


def draw(workspace: Workspace) -> None:
    """The same pictures to learn from, each several times, and to measure on."""
    draw_dataset(workspace.raw, train=PICTURES, validation=0, seed=11, engine=Local(1))
    shutil.rmtree(workspace.raw / "validation", ignore_errors=True)
    shutil.copytree(workspace.raw / "train", workspace.raw / "validation")
    for file in sorted(workspace.raw.glob("train/*/*")):
        for copy in range(1, STEPS):
            shutil.copyfile(file, file.with_stem(f"{int(file.stem) + copy * PICTURES:06}"))


def learn_by_heart(workspace: Workspace, deepmark: Callable[..., Done]) -> dict:
    """Train and measure with the real commands; the metrics."""
    set_params(
        workspace,
        augment={"mirror": 0.0, "color": 0.0},
        train={"epochs": 35, "batch_size": PICTURES, "learning_rate": 6e-3},
        compute={"train_processes": 1},
    )
    for split in ("train", "validation"):
        for stage in ("ingest", "shard"):
            assert deepmark(stage, "--split", split, "--workspace", workspace.root).code == 0
    done = run("deepmark", "train", cwd=workspace.root)
    assert done.code == 0, done.err
    assert deepmark("predict", "--strategy", "nms", "--workspace", workspace.root).code == 0
    return deepmark("evaluate", "--strategy", "nms", "--workspace", workspace.root, "--json").facts


@pytest.mark.system
def test_eight_pictures_are_learnt_by_heart_by_the_real_commands(tmp_path, deepmark):
    workspace = init_workspace(tmp_path / "eight", "demo")
    draw(workspace)
    metrics = learn_by_heart(workspace, deepmark)

    assert metrics["box"]["AP"] > 0.9
    assert metrics["landmark"]["AP"] > 0.9
    assert metrics["landmark_visible"]["AP"] > 0.9
