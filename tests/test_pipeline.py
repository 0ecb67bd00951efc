"""The whole graph on drawn pictures, two processes, by the real commands, through DVC and then through Dagster."""

import json
import random
import re

import dagster as dg
import pytest
from flipped_bits import SAME, TOLD, flip, kinds
from workspaces import commit, copied, run, set_params

from assets.dvc.graph import read_graph
from deepmark.compute.local import Local
from deepmark.schema import STRATEGIES
from deepmark.synthetic import draw_dataset
from deepmark.workspace.init import init_workspace
from deepmark.workspace.layout import Workspace
from pipelines.instance import open_instance
from pipelines.materialize import materialize_all

pytestmark = pytest.mark.system


@pytest.fixture(scope="module")
def made(tmp_path_factory) -> Workspace:
    """Everything made by one `dvc repro`, and committed."""
    workspace = init_workspace(tmp_path_factory.mktemp("pipeline") / "tiny", "demo")
    draw_dataset(workspace.raw, train=8, validation=4, seed=5, engine=Local(1))
    set_params(
        workspace,
        model={"input_size": [64, 64]},
        evaluate={"resamples": 100},
        train={"epochs": 1, "batch_size": 4},
        compute={"train_processes": 2},
        report={"pictures": 1},
    )
    done = run("dvc", "repro", cwd=workspace.root)
    assert done.code == 0, done.err
    commit(workspace.root)
    return workspace


def would_run(workspace: Workspace, *options: str) -> set[str]:
    """The stages that `dvc repro` would run."""
    done = run("dvc", "repro", "--dry", *options, cwd=workspace.root)
    assert done.code == 0, done.err
    return set(re.findall(r"Running stage '(.*)'", done.out))


def test_one_repro_makes_everything(made):
    written = {path for family in read_graph(made.root).families for stage in family.stages for path in stage.outs}

    assert [path for path in written if not made.root.joinpath(path).exists()] == []
    assert (made.report / "index.html").read_text("utf-8").count("<h2 ") == 11
    assert json.loads(made.train_metrics_file.read_text("utf-8"))["epochs"] == 1


def test_a_flipped_bit_in_any_kind_of_file_is_told_by_whoever_reads_it_next(made, tmp_path):
    chance = random.Random(1)
    every = kinds(copied(made, tmp_path))
    del every["registered weights"]  # nothing is registered here
    found = {name: [flip(kind, chance) for _ in range(3)] for name, kind in every.items()}

    wrong = {name: said for name, flips in found.items() for what, said in flips if what not in (TOLD, SAME)}
    assert wrong == {}
    assert len(found) == 17


def test_a_second_repro_does_nothing(made):
    done = run("dvc", "repro", cwd=made.root)

    assert "Data and pipelines are up to date" in done.out
    assert "Running stage" not in done.out


def test_a_parameter_of_inference_leaves_data_and_training_alone(made):
    before = (made.root / "params.yaml").read_text("utf-8")
    set_params(made, predict={"nms_iou": 0.45})
    difference = run("dvc", "params", "diff", "--json", cwd=made.root).facts
    stages = would_run(made, "--force-downstream")
    (made.root / "params.yaml").write_text(before, "utf-8")

    assert difference == {"params.yaml": {"predict.nms_iou": {"old": 0.5, "new": 0.45, "diff": pytest.approx(-0.05)}}}
    assert stages == {f"{stage}@{name}" for stage in ("predict", "evaluate") for name in STRATEGIES} | {
        "audit",
        "crossvalidate",
        "export",
        "report",
    }


def test_metrics_and_plots_are_shown_by_dvc(made):
    metrics = run("dvc", "metrics", "show", "--json", cwd=made.root).facts[""]["data"]
    drawn = run("dvc", "plots", "show", "--out", "plots-page", cwd=made.root)

    assert metrics["metrics/train.json"]["data"]["epochs"] == 1
    for name in STRATEGIES:
        assert set(metrics[f"metrics/{name}.json"]["data"]["box"]) == {"AP", "AP50", "AP75"}
        assert metrics[f"metrics/timing/{name}.json"]["data"]["ms"]["total"] > 0
    assert drawn.code == 0, drawn.err
    page = (made.root / "plots-page/index.html").read_text("utf-8")
    for title in ("Loss by epoch", "Box AP by category", "Landmark AP by category"):
        assert title in page


def test_dagster_finds_what_dvc_made_up_to_date(made):
    materialize_all(made.root, select=["records", "shards", "checkpoint", "report"])

    with open_instance(made.root) as instance:
        for asset in ("records", "shards", "checkpoint", "report"):
            event = instance.get_latest_materialization_event(dg.AssetKey(asset))
            assert event.asset_materialization.metadata["dvc"].value == "unchanged"


def test_an_experiment_with_another_number_of_epochs_trains_that_many(made):
    changes = ("--set-param", "train.epochs=2", "--set-param", "compute.train_processes=1")
    done = run("dvc", "exp", "run", *changes, "train", cwd=made.root)

    assert done.code == 0, done.err
    assert "Running stage 'train'" in done.out
    assert "Stage 'shard@train' didn't change" in done.out
    assert len(made.losses_file.read_text("utf-8").splitlines()) == 3
    assert json.loads(made.train_metrics_file.read_text("utf-8"))["epochs"] == 2
