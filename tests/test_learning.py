"""Loss, targets, network, decoding and metric agree: what is small enough can be learnt by heart."""

import json
import shutil
from collections.abc import Callable
from pathlib import Path

import pytest
from vocabularies import MANY, SMALL
from workspaces import Done, run, set_params

from deepmark.compute.local import Local
from deepmark.synthetic import draw_dataset
from deepmark.vocabulary import DEEPFASHION2, Vocabulary
from deepmark.vocabulary.vocabulary_file import vocabulary_yaml
from deepmark.workspace.init import init_workspace
from deepmark.workspace.layout import Workspace

PICTURES = 8
STEPS = 16
"""Steps an epoch: so often each picture is there. What an epoch ends with, two checkpoints, takes as long as eight."""


def made(folder: Path, vocabulary: Vocabulary) -> Workspace:
    """A workspace of the vocabulary, with what `draw` draws."""
    if vocabulary == DEEPFASHION2:
        workspace = init_workspace(folder / "eight", "demo")
    else:
        file = folder / "vocabulary.yaml"
        file.write_text(vocabulary_yaml(vocabulary), "utf-8")
        workspace = init_workspace(folder / "eight", "demo", file)
    draw(workspace, vocabulary)
    return workspace


def draw(workspace: Workspace, vocabulary: Vocabulary) -> None:
    """The same pictures to learn from, each several times, and to measure on."""
    draw_dataset(workspace.raw, train=PICTURES, validation=0, seed=11, vocabulary=vocabulary, engine=Local(1))
    shutil.rmtree(workspace.raw / "validation", ignore_errors=True)
    shutil.copytree(workspace.raw / "train", workspace.raw / "validation")
    for file in sorted(workspace.raw.glob("train/*/*")):
        for copy in range(1, STEPS):
            shutil.copyfile(file, file.with_stem(f"{int(file.stem) + copy * PICTURES:06}"))


def learn_by_heart(workspace: Workspace, deepmark: Callable[..., Done], *, epochs: int) -> dict:
    """Train and measure with the real commands; the metrics."""
    set_params(
        workspace,
        augment={"mirror": 0.0, "color": 0.0},
        train={"epochs": epochs, "batch_size": PICTURES, "learning_rate": 6e-3, "validate_every": 0},
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
@pytest.mark.parametrize(
    ("vocabulary", "epochs", "figure"),
    [(DEEPFASHION2, 9, "AP"), (SMALL, 9, "AP"), (MANY, 20, "AP50")],
    ids=["DeepFashion2", "three", "forty"],
)
def test_eight_pictures_are_learnt_by_heart_by_the_real_commands(vocabulary, epochs, figure, tmp_path, deepmark):
    """Of forty garments landmarks are looked at less closely: some have sixty on a figure of five cells' width, and
    those that share a cell share its offset."""
    workspace = made(tmp_path, vocabulary)
    metrics = learn_by_heart(workspace, deepmark, epochs=epochs)

    assert metrics["box"]["AP"] > 0.9
    assert metrics["landmark"][figure] > 0.9
    assert metrics["landmark_visible"][figure] > 0.9

    found = deepmark(
        "detect", workspace.raw / "train/image/000001.jpg", "--model", workspace.model_file, "--json"
    ).facts
    labelled = json.loads((workspace.raw / "train/annos/000001.json").read_text("utf-8"))
    (garments,) = found.values()
    names = {one["category_name"] for name, one in labelled.items() if name.startswith("item")}
    assert {one["category"] for one in garments} == names
    for one in garments:
        assert tuple(one["landmarks"]) == vocabulary.by_name[one["category"]].parts
