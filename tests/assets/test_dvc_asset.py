import subprocess
import sys
from pathlib import Path

import dagster as dg
import pytest
from workspaces import REPOSITORY

from pipelines.code_location import build_definitions


@pytest.fixture(scope="module")
def assets() -> dict[str, dg.AssetSpec]:
    return {spec.key.to_user_string(): spec for spec in build_definitions(REPOSITORY).resolve_all_asset_specs()}


def mapping(assets: dict[str, dg.AssetSpec], user: str, used: str) -> object:
    (dep,) = (dep for dep in assets[user].deps if dep.asset_key == dg.AssetKey(used))
    return dep.partition_mapping


def test_assets_are_named_grouped_and_partitioned_as_dvc_yaml_says(assets):
    shape = {
        name: (spec.group_name, spec.partitions_def and spec.partitions_def.get_partition_keys())
        for name, spec in assets.items()
    }
    splits, strategies = ["train", "validation"], ["none", "nms", "flip", "multiscale"]

    assert shape == {
        "raw_deepfashion2": ("data", None),
        "records": ("data", splits),
        "shards": ("data", splits),
        "checkpoint": ("training", None),
        "predictions": ("evaluation", strategies),
        "metrics": ("evaluation", strategies),
        "exported_model": ("evaluation", None),
        "held_out_predictions": ("evaluation", None),
        "suspected_labels": ("evaluation", None),
        "report": ("evaluation", None),
        "candidate": ("release", None),
        "champion": ("release", None),
    }


def test_every_asset_is_described_and_has_owners_kinds_and_links_to_its_code(assets):
    assert all(spec.description and spec.owners and spec.kinds for spec in assets.values())
    for name, spec in assets.items():
        links = spec.metadata["dagster/code_references"].code_references
        lines = [Path(link.file_path).read_text("utf-8").splitlines()[link.line_number - 1] for link in links]
        assert all(link.label.split()[0] in line for link, line in zip(links, lines, strict=True)), name


def test_the_heavy_assets_share_a_pool_and_the_other_stages_another(assets):
    pools = {key.to_user_string(): node.pools for key, node in _nodes(build_definitions(REPOSITORY)).items()}

    assert pools.pop("raw_deepfashion2") == set()
    heavy = ("checkpoint", "predictions", "held_out_predictions", "candidate", "champion")
    assert pools == {name: {"gpu"} if name in heavy else {"dvc"} for name in pools}


def test_the_checks_that_dagster_calls_blocking_are_those_that_stop_what_follows():
    graph = build_definitions(REPOSITORY).resolve_asset_graph()
    blocking = {key.name for key in graph.asset_check_keys if graph.get(key).blocking}

    assert blocking == {
        "every_file_is_accounted_for",
        "no_picture_is_in_both_splits",
        "landmarks_are_in_mirror_order",
        "loss_is_finite",
        "not_below_champion",
    }


def _nodes(defs: dg.Definitions) -> dict:
    graph = defs.resolve_asset_graph()
    return {key: graph.get(key) for key in graph.get_all_asset_keys()}


def test_partitions_are_mapped_as_items_use_items(assets):
    assert mapping(assets, "shards", "records") == dg.IdentityPartitionMapping()
    assert mapping(assets, "metrics", "predictions") == dg.IdentityPartitionMapping()
    assert mapping(assets, "checkpoint", "shards") == dg.AllPartitionMapping()
    assert mapping(assets, "report", "metrics") == dg.AllPartitionMapping()
    assert mapping(assets, "predictions", "shards") == dg.SpecificPartitionsPartitionMapping(["validation"])
    assert mapping(assets, "metrics", "records") == dg.SpecificPartitionsPartitionMapping(["validation"])
    assert mapping(assets, "suspected_labels", "shards") == dg.AllPartitionMapping()
    assert mapping(assets, "suspected_labels", "predictions") == dg.SpecificPartitionsPartitionMapping(["multiscale"])
    assert mapping(assets, "report", "predictions") == dg.AllPartitionMapping()  # the times of all are shown
    assert mapping(assets, "predictions", "checkpoint") is None


def test_items_that_use_other_items_are_mapped_one_by_one(tmp_path):
    stages = """
stages:
  a:
    foreach: [x, y]
    do: {cmd: a, outs: ["a/${item}"], meta: {dagster: {job: a}}}
  b:
    matrix: {from: [x, y], size: [1, 2]}
    cmd: b
    deps: ["a/${item.from}"]
    outs: ["b/${item.from}${item.size}"]
    meta: {dagster: {job: b}}
"""
    (tmp_path / "dvc.yaml").write_text(stages)
    b = {spec.key.to_user_string(): spec for spec in build_definitions(tmp_path).resolve_all_asset_specs()}["b"]
    (dep,) = b.deps

    assert dep.partition_mapping == dg.StaticPartitionMapping({"x": ["x-1", "x-2"], "y": ["y-1", "y-2"]})


@pytest.mark.slow
@pytest.mark.parametrize("text", ["stages:\n  a: [", (REPOSITORY / "dvc.yaml").read_text("utf-8") + "\n  : ["])
def test_a_broken_dvc_yaml_is_an_asset_that_shows_the_error(tmp_path, text):
    (tmp_path / "dvc.yaml").write_text(text)
    defs = build_definitions(tmp_path)
    (spec,) = defs.resolve_all_asset_specs()

    assert spec.key == dg.AssetKey("dvc_yaml_is_broken")
    assert str(tmp_path / "dvc.yaml") in (spec.description or "")

    result = defs.resolve_implicit_global_asset_job_def().execute_in_process(raise_on_error=False)
    (failure,) = [event for event in result.all_events if event.is_step_failure]
    assert str(tmp_path / "dvc.yaml") in failure.step_failure_data.user_failure_data.description


def test_two_stages_with_the_same_asset_name_do_not_take_the_code_location_down(tmp_path):
    text = "stages:\n" + "".join(
        f"  {name}: {{cmd: a, outs: [{name}], meta: {{dagster: {{asset: same}}}}}}\n" for name in "ab"
    )
    (tmp_path / "dvc.yaml").write_text(text)
    (spec,) = build_definitions(tmp_path).resolve_all_asset_specs()

    assert "same" in (spec.description or "")


@pytest.mark.slow
def test_loading_the_code_location_imports_neither_torch_nor_mlflow():
    program = (
        "import sys, pipelines.definitions as location; location.defs.get_repository_def();"
        "print([name for name in ('torch', 'mlflow', 'pandas', 'pyarrow', 'cv2') if name in sys.modules])"
    )
    done = subprocess.run([sys.executable, "-c", program], cwd=REPOSITORY, capture_output=True, text=True, check=True)

    assert done.stdout.strip() == "[]"


@pytest.mark.slow
def test_dagster_finds_our_assets_through_workspace_yaml():
    dagster = Path(sys.executable).with_name("dagster")
    command = [dagster, "definitions", "validate", "--workspace", "workspace.yaml", "--log-level", "error"]
    done = subprocess.run(command, cwd=REPOSITORY, capture_output=True, text=True, check=False)

    assert done.returncode == 0, done.stderr
