"""Names that instances have on disk: another name loses an asset's history, or switches a schedule off."""

import importlib.metadata
import re
from dataclasses import fields
from pathlib import Path

import dagster as dg
import pytest
from workspaces import REPOSITORY

from assets import dagster_internals
from assets.dvc import dvc_internals
from pipelines.automation.raw_data_sensor import SensorState
from pipelines.code_location import build_definitions
from pipelines.jobs import names

ASSETS = {
    *("raw_deepfashion2", "records", "shards", "checkpoint", "predictions", "metrics", "suspected_labels", "report"),
    *("exported_model", "held_out_predictions", "candidate", "champion"),
}
CHECKS = {
    "records": {
        "every_file_is_accounted_for",
        "rejected_share_is_far_from_its_limit",
        "nothing_has_shrunk",
        "no_picture_is_in_both_splits",
        "landmarks_are_in_mirror_order",
    },
    "checkpoint": {"loss_is_finite", "loss_falls", "the_training_learns"},
    "metrics": {"ap_is_not_below_the_simpler_strategy", "latency_has_not_grown"},
    "exported_model": {"float32_finds_what_torch_finds", "no_file_loses_ap"},
    "candidate": {"not_below_champion"},
}
STEPS = {
    "prepare": {"records", "shards"},
    "train": {"checkpoint"},
    "evaluate": {"predictions", "metrics"},
    "export": {"exported_model"},
    "audit": {"held_out_predictions", "suspected_labels"},
    "publish_report": {"report"},
    "release": {"candidate", "champion"},
    "train_and_evaluate": {"train_and_evaluate_in_order"},
    "retrain": {"retrain_in_order"},
    "experiment": {"in_a_copy"},
}
SCHEDULES = {"weekly_retraining": "retrain"}
SENSORS = {"raw_data_settled", "tell_of_failures", "killed_runs_start_again"}
TAGS = {
    "CHAIN_TAG": "deepmark/chain",
    "HOST_TAG": "deepmark/host",
    "RETRY_TAG": "deepmark/again",
    "EXPERIMENT_TAG": "deepmark/experiment",
    "PARAMS_TAG": "deepmark/params",
}


@pytest.fixture(scope="module")
def repository() -> dg.RepositoryDefinition:
    return build_definitions(REPOSITORY).get_repository_def()


def test_assets_and_their_checks_keep_their_names(repository):
    graph, checks = repository.asset_graph, {}
    for key in graph.asset_check_keys:
        checks.setdefault(key.asset_key.to_user_string(), set()).add(key.name)

    assert {key.to_user_string() for key in graph.get_all_asset_keys()} == ASSETS
    assert checks == CHECKS


def test_jobs_and_their_steps_keep_their_names(repository):
    jobs = {job.name: {node.name for node in job.nodes} for job in repository.get_all_jobs()}

    assert jobs.pop("__ASSET_JOB")
    assert jobs == STEPS


def test_schedule_and_sensors_keep_their_names(repository):
    assert {one.name: one.job_name for one in repository.schedule_defs} == SCHEDULES
    assert {one.name for one in repository.sensor_defs} == SENSORS


def test_the_cursor_of_the_raw_data_sensor_keeps_its_fields():
    assert [field.name for field in fields(SensorState)] == ["version", "since", "used"]


def test_run_tags_keep_their_names():
    assert {name: value for name, value in vars(names).items() if name.endswith("_TAG")} == TAGS
    assert names.WHOLE_CHAIN == "whole"


@pytest.mark.parametrize(
    ("distribution", "internals", "private"),
    [
        ("dagster", dagster_internals, r"dagster\._|\"dagster/(?!code_references)"),
        ("dvc", dvc_internals, r"^\s*(from|import) dvc\b"),
    ],
)
def test_private_parts_of_a_tool_stand_in_one_file_that_was_read_in_the_installed_version(
    distribution, internals, private
):
    files = [file for room in ("deepmark", "assets", "pipelines") for file in (REPOSITORY / room).rglob("*.py")]
    users = {file for file in files if re.search(private, file.read_text("utf-8"), re.MULTILINE)}

    assert users == {Path(internals.__file__)}
    assert importlib.metadata.version(distribution) == internals.VERSION
