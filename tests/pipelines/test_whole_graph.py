"""The project's graph, made once through Dagster and DVC, with toy commands."""

import subprocess

import dagster as dg
import pytest
from toy_workspace import DVC

from assets.dvc.graph import read_data_version, read_graph
from pipelines.instance import open_instance
from pipelines.materialize import materialize_all

pytestmark = pytest.mark.system


@pytest.fixture(scope="module")
def instance(made):
    with open_instance(made[0]) as instance:
        yield instance


def latest(instance: dg.DagsterInstance, asset: str, partition: str | None = None) -> dg.AssetMaterialization:
    partitions = [partition] if partition else None
    records = instance.fetch_materializations(
        dg.AssetRecordsFilter(dg.AssetKey(asset), asset_partitions=partitions), limit=1
    ).records
    materialization = records[0].asset_materialization
    assert materialization is not None
    return materialization


def shown(instance: dg.DagsterInstance, asset: str, partition: str | None = None) -> dict:
    return {name: value.value for name, value in latest(instance, asset, partition).metadata.items()}


def rows(table: dg.TableMetadataValue) -> list[tuple]:
    return [tuple(row.data[column.name] for column in table.schema.columns) for row in table.records]


def test_every_partition_of_every_asset_is_made_in_order(made, instance):
    _, said = made

    assert said == [
        "run 1 of 10: prepare [train]: records, shards",
        "run 2 of 10: prepare [validation]: records, shards",
        "run 3 of 10: train: checkpoint",
        "run 4 of 10: evaluate [none]: predictions, metrics",
        "run 5 of 10: evaluate [nms]: predictions, metrics",
        "run 6 of 10: evaluate [flip]: predictions, metrics",
        "run 7 of 10: evaluate [multiscale]: predictions, metrics",
        "run 8 of 10: audit: held_out_predictions, suspected_labels",
        "run 9 of 10: export: exported_model",
        "run 10 of 10: publish_report: report",
    ]
    assert {run.status for run in instance.get_runs()} == {dg.DagsterRunStatus.SUCCESS}
    assert instance.get_materialized_partitions(dg.AssetKey("metrics")) == {"none", "nms", "flip", "multiscale"}


def test_dvc_finds_nothing_left_to_do(made):
    done = subprocess.run([DVC, "repro"], cwd=made[0], capture_output=True, text=True, check=True)

    assert "Data and pipelines are up to date" in done.stdout


def test_a_materialization_carries_the_data_version_of_dvc_lock(made, instance):
    workspace, _ = made
    for family in read_graph(workspace).families:
        for stage in family.stages:
            tags = latest(instance, family.hints.asset, stage.item).tags or {}
            assert tags["dagster/data_version"] == read_data_version(workspace, stage)


def test_assets_show_counts_numbers_tables_images_and_links(made, instance):
    records, shards = shown(instance, "records", "train"), shown(instance, "shards", "train")
    checkpoint, metrics = shown(instance, "checkpoint"), shown(instance, "metrics", "flip")
    report, suspects = shown(instance, "report"), shown(instance, "suspected_labels")
    exported = shown(instance, "exported_model")

    assert (exported["float32 bytes"], exported["float32 ms"], exported["float32 box AP"]) == (5, 9.5, 0.49)
    assert (records["inputs"], records["records"], records["rejected"]) == (3, 3, 0)
    assert rows(records["categories"]) == [("vest", 3, "100.0%", "10.0%")]
    assert (shards["shards"], shards["samples"], shards["MiB"]) == (2, 3, 2.0)
    assert (checkpoint["loss"], checkpoint["validation loss"], checkpoint["epochs"]) == (4.0, 5.0, 2)
    assert checkpoint["MLflow run"] == "[ab12](http://127.0.0.1:5000/#/ab12)"
    assert (metrics["box AP"], metrics["landmark AP50"], metrics["ms total"]) == (0.5, 0.75, 12.5)
    assert "|vest|0.500|" in metrics["by category"]
    assert "|all 1|0.500|" in metrics["by category"]
    assert "|all|0.500|" in metrics["by subset"]
    assert (suspects["suspects"], suspects["score of 0.5 or more"], suspects["elsewhere"]) == (3, 2, 2)
    assert suspects["page"].endswith("data/audit/index.html")
    assert "|NMS + flip + multi-scale|" in report["strategies"]
    assert report["detections"].startswith("![Detections](data:image/jpeg;base64,")
    assert report["page"] == str(made[0] / "report/index.html")
    assert report["page in MLflow"] == "[report/index.html](http://127.0.0.1:5000/#/ab12/artifacts/report/index.html)"


def test_the_checks_of_records_and_checkpoint_pass(instance):
    for asset, name in (("records", "every_file_is_accounted_for"), ("checkpoint", "loss_is_finite")):
        key = dg.AssetCheckKey(dg.AssetKey(asset), name)
        (record,) = instance.event_log_storage.get_asset_check_execution_history(key, limit=1)
        assert record.event.dagster_event.asset_check_evaluation_data.passed


def test_epochs_reported_far_below_dagster_are_in_the_runs_log(instance):
    (run,) = instance.get_runs(dg.RunsFilter(job_name="train"))
    messages = [record.user_message for record in instance.all_logs(run.run_id)]

    assert [message for message in messages if message.startswith("epoch")] == [
        "epoch 1: loss/train 8",
        "epoch 2: loss/train 4",
    ]
    assert not [message for message in messages if "did not receive" in message or "unexpected message" in message]


def test_the_output_of_a_command_is_in_the_runs_compute_log(instance):
    (run,) = instance.get_runs(dg.RunsFilter(job_name="train"))
    events = [record.dagster_event for record in instance.all_logs(run.run_id, dg.DagsterEventType.LOGS_CAPTURED)]
    key = [run.run_id, "compute_logs", events[0].logs_captured_data.file_key]
    log = instance.compute_log_manager.get_log_data(key).stdout or b""

    assert b"> exec python commands.py train" in log


def test_an_asset_that_is_up_to_date_is_not_made_again_and_shows_its_facts(made, instance):
    materialize_all(made[0], instance=instance, select=["checkpoint"])
    facts = shown(instance, "checkpoint")

    assert facts["dvc"] == "unchanged"
    assert facts["loss"] == 4.0
