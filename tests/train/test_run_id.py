"""The run id depends on everything that decides the result of a training, and on nothing else."""

import shutil

import pytest
import torch
from one_process import ALONE
from workspaces import set_params

from deepmark.errors import DeepmarkError
from deepmark.model.detector import load_network
from deepmark.train.run_id import run_folder
from deepmark.train.start_networks import start_detector
from deepmark.vocabulary import DEEPFASHION2


@pytest.mark.parametrize(
    "change",
    [
        {"train": {"learning_rate": 1.0e-3}},
        {"train": {"ema": 0.99}},
        {"train": {"sync_batch_norm": True}},
        {"train": {"landmark_radius": "sigma"}},
        {"train": {"repeat_threshold": 0.1}},
        {"train": {"loss_weights": {"box_giou": 1.0}}},
        {"model": {"landmark_maps": "grouped"}},
        {"augment": {"mirror": 0.1}},
    ],
)
def test_another_recipe_is_another_run(sharded, change):
    before = run_folder(sharded)

    assert run_folder(set_params(sharded, **change)) != before


@pytest.mark.parametrize(
    "change",
    [
        {"compute": {"train_processes": 2, "timeout_seconds": 5}},
        {"train": {"device_batch": 2}},
        {"train": {"checkpoint_minutes": 1, "checkpoint_steps": 5, "checkpoints_kept": 3}},
        {"predict": {"nms": "soft"}},
    ],
)
def test_how_and_where_it_runs_does_not_make_another_run(sharded, change):
    before = run_folder(sharded)

    assert run_folder(set_params(sharded, **change)) == before


def test_other_data_is_another_run(sharded):
    before = run_folder(sharded)
    index = sharded.shards("train") / ".index.json"
    index.write_text(index.read_text("utf-8") + " ", "utf-8")

    assert run_folder(sharded) != before


def test_a_run_starts_from_the_weights_that_are_named_and_is_known_by_them(trained):
    before = run_folder(trained)
    shutil.copy(trained.model_file, trained.root / "start.safetensors")
    workspace = set_params(trained, train={"init": "start.safetensors"})

    detector, start = start_detector(workspace, DEEPFASHION2, ALONE), load_network(trained.model_file)

    for name, weight in start.state_dict().items():
        assert torch.equal(detector.state_dict()[name], weight), name
    first = run_folder(workspace)
    with (trained.root / "start.safetensors").open("ab") as file:
        file.write(b" ")
    assert len({before, first, run_folder(workspace)}) == 3


@pytest.mark.parametrize(
    ("backbone", "way"), [("dla34", "import-checkpoint FILE --backbone dla34"), ("mobile", "`open` is the model that")]
)
def test_start_weights_that_are_missing_are_named_with_the_way_to_get_them(sharded, deepmark, backbone, way):
    workspace = set_params(sharded, train={"init": "data/coco.safetensors"}, model={"backbone": backbone})

    with pytest.raises(DeepmarkError, match=rf"init: .*data/coco\.safetensors is not there.*{way}"):
        run_folder(workspace)
    done = deepmark("train", "--workspace", sharded.root)
    assert (done.code, done.err.count("Traceback")) == (1, 0)
    assert "set it to null" in done.err


def test_the_model_that_comes_with_deepmark_starts_no_other_backbone(sharded):
    workspace = set_params(sharded, train={"init": "open"}, model={"backbone": "dla34"})

    with pytest.raises(
        DeepmarkError, match=r"init: open: is the light network, but model\.backbone is dla34\. Set that"
    ):
        run_folder(workspace)
