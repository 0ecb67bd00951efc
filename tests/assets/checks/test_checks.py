"""Each check passes for sound data and fails for the fault that it looks for."""

import json
from pathlib import Path

import dagster as dg
import pandas as pd
import pytest
from measurements import write_earlier_metrics
from registered import flip_bit
from workspaces import set_params

from assets.checks import data as data_checks
from assets.checks import model as model_checks
from assets.checks.asset_check import Materialized
from assets.metadata.stages import (
    CATEGORIES,
    checkpoint_facts,
    metrics_facts,
    records_facts,
    report_facts,
    shards_facts,
)
from deepmark import stages
from deepmark.data.ingest.ingest import read_statistics
from deepmark.data.records import read_records, write_records
from deepmark.digests import write_json_with_digest
from deepmark.errors import DeepmarkError
from deepmark.eval.metric.bootstrap import interval
from deepmark.eval.metric.names import MAIN
from deepmark.vocabulary import DEEPFASHION2
from deepmark.workspace.layout import Workspace


def made(workspace: Workspace, partition: str | None, **previous: object) -> Materialized:
    return Materialized(workspace=workspace.root, partition=partition, previous=previous)


def change_statistics(workspace: Workspace, **values: object) -> dict:
    file = workspace.records / "train.statistics.json"
    counts = read_statistics(file) | values
    write_json_with_digest(file, counts)
    return counts


def metrics(workspace: Workspace, strategy: str, *, ap: float | None = 0.5, ms: float = 10.0) -> None:
    part = {"AP": ap, "AP50": 0.75, "AP75": 0.25}
    file = workspace.metrics_file(strategy)
    file.parent.mkdir(exist_ok=True)
    file.write_text(json.dumps({"box": part, "landmark_visible": part, "landmark": part, "ms": {"total": ms}}))


def losses(workspace: Workspace, *values: object) -> None:
    workspace.losses_file.parent.mkdir(exist_ok=True)
    workspace.losses_file.write_text("epoch,train\n" + "".join(f"{n},{v}\n" for n, v in enumerate(values, 1)))
    write_json_with_digest(workspace.train_metrics_file, {"epochs": len(values)}, files=[workspace.losses_file])


@pytest.fixture
def empty(tmp_path: Path) -> Workspace:
    return Workspace(tmp_path)


def test_a_file_that_became_neither_a_record_nor_a_reject_is_an_error(sharded):
    assert data_checks.every_file_is_accounted_for(made(sharded, "train")).passed

    change_statistics(sharded, inputs=13)
    result = data_checks.every_file_is_accounted_for(made(sharded, "train"))

    assert not result.passed
    assert result.severity == dg.AssetCheckSeverity.ERROR


def test_a_share_of_rejects_near_the_limit_is_a_warning(sharded):
    workspace = set_params(sharded, ingest={"max_rejected_share": 0.1})
    change_statistics(workspace, inputs=100, rejected=5)
    assert data_checks.rejected_share_is_far_from_its_limit(made(workspace, "train")).passed

    change_statistics(workspace, inputs=100, rejected=6)
    result = data_checks.rejected_share_is_far_from_its_limit(made(workspace, "train"))

    assert (result.passed, result.severity) == (False, dg.AssetCheckSeverity.WARN)
    assert result.description == "6.00% of the files were rejected; the stage stops above 10.00%."


def test_fewer_images_than_the_last_time_are_a_warning(sharded):
    change_statistics(sharded, records=90)
    assert data_checks.nothing_has_shrunk(made(sharded, "train", records=100)).passed

    result = data_checks.nothing_has_shrunk(made(sharded, "train", records=101))

    assert (result.passed, result.severity) == (False, dg.AssetCheckSeverity.WARN)
    assert result.description == "records: 101 before, 90 now"


def test_a_category_that_has_lost_items_is_a_warning(sharded):
    before = records_facts(sharded.root, "train")
    assert data_checks.nothing_has_shrunk(made(sharded, "train", **before)).passed

    rows = [dict(row.data) for row in before[CATEGORIES].records]
    (sling,) = [row for row in rows if row["category"] == "sling"]
    sling["items"] += data_checks.COUNTED
    before[CATEGORIES] = dg.MetadataValue.table([dg.TableRecord(row) for row in rows])
    result = data_checks.nothing_has_shrunk(made(sharded, "train", **before))

    assert not result.passed
    assert result.description.startswith("sling: ")


def test_categories_that_an_older_release_showed_as_text_are_not_compared(sharded):
    assert data_checks.nothing_has_shrunk(made(sharded, "train", categories="| vest | 900 |")).passed


def test_the_first_materialization_is_compared_with_nothing(sharded, empty):
    metrics(empty, "nms")

    assert data_checks.nothing_has_shrunk(made(sharded, "train")).passed
    assert model_checks.latency_has_not_grown(made(empty, "nms")).passed


def test_an_image_of_both_splits_is_found_by_its_bytes(sharded):
    assert data_checks.no_picture_is_in_both_splits(made(sharded, "train")).passed

    train, validation = (list(read_records(sharded.records_file(split))) for split in ("train", "validation"))
    write_records(sharded.records_file("validation"), [*validation, train[0]], vocabulary=DEEPFASHION2)
    result = data_checks.no_picture_is_in_both_splits(made(sharded, "validation"))

    assert (result.passed, result.severity) == (False, dg.AssetCheckSeverity.ERROR)
    assert result.description == f"train/{train[0].file} = validation/{train[0].file}"
    assert result.metadata["images in both"].value == 1


def test_a_split_without_records_yet_is_compared_later(sharded):
    sharded.records_file("validation").unlink()
    result = data_checks.no_picture_is_in_both_splits(made(sharded, "train"))

    assert result.passed
    assert result.description == "validation.parquet is compared once it is made."


def test_mirrored_landmark_numbers_stop_everything_downstream(sharded, monkeypatch):
    monkeypatch.setattr("deepmark.data.ingest.left_right_check.ENOUGH", 1)
    assert data_checks.landmarks_are_in_mirror_order(made(sharded, "train")).passed

    records = list(read_records(sharded.records_file("train")))
    for garment in (garment for record in records for garment in record.garments):
        garment.landmarks[:, 0] *= -1
    write_records(sharded.records_file("train"), records, vocabulary=DEEPFASHION2)
    result = data_checks.landmarks_are_in_mirror_order(made(sharded, "train"))
    assert (result.passed, result.severity) == (False, dg.AssetCheckSeverity.ERROR)
    assert "holds on 0% of" in result.description


@pytest.mark.parametrize(("loss", "passed"), [(1.5, True), (float("nan"), False), (float("inf"), False)])
def test_a_loss_that_is_no_number_stops_everything_downstream(empty, loss, passed):
    empty.train_metrics_file.parent.mkdir()
    empty.train_metrics_file.write_text(json.dumps({"loss": 1.0, "validation_loss": loss}))
    result = model_checks.loss_is_finite(made(empty, None))

    assert (result.passed, result.severity) == (passed, dg.AssetCheckSeverity.ERROR)


@pytest.mark.parametrize(
    ("values", "passed"), [((8, 9, 4), True), ((8,), True), ((4, 3, 4), False), ((4, float("nan")), False)]
)
def test_a_loss_that_ends_no_lower_than_it_began_is_a_warning(empty, values, passed):
    losses(empty, *values)
    result = model_checks.loss_falls(made(empty, None))

    assert (result.passed, result.severity) == (passed, dg.AssetCheckSeverity.WARN)


def resamples(workspace: Workspace, strategy: str, *values: float) -> None:
    file = workspace.resamples_file(strategy)
    file.parent.mkdir(parents=True)
    pd.DataFrame(dict.fromkeys(("box_ap", "landmark_ap"), values)).to_csv(file, index=False)


@pytest.mark.parametrize("ap", [0.6, 0.5, None])
def test_a_strategy_that_is_not_below_the_simpler_one_needs_no_resamples(empty, ap):
    metrics(empty, "nms", ap=0.5)
    metrics(empty, "flip", ap=ap)

    assert model_checks.ap_is_not_below_the_simpler_strategy(made(empty, "flip")).passed


@pytest.mark.parametrize(("differences", "passed"), [((-0.03, -0.02, 0.01), True), ((-0.03, -0.02, -0.01), False)])
def test_a_strategy_below_the_simpler_one_by_more_than_chance_is_a_warning(empty, differences, passed):
    before = (0.6, 0.5, 0.4)  # they differ far more than the strategies do: the bootstrap is paired
    metrics(empty, "nms", ap=0.5)
    metrics(empty, "flip", ap=0.48)
    resamples(empty, "nms", *before)
    resamples(empty, "flip", *(a + by for a, by in zip(before, differences, strict=True)))
    result = model_checks.ap_is_not_below_the_simpler_strategy(made(empty, "flip"))

    assert (result.passed, result.severity) == (passed, dg.AssetCheckSeverity.WARN)
    assert result.metadata["box AP gained"].value == pytest.approx(-0.02)
    assert passed or result.description.startswith(
        "box AP is 0.0200 below that of 'nms' (95% of the differences: -0.0295 to -0.0105); landmark AP is 0.0200"
    )


@pytest.mark.parametrize("before", [None, (), (0.5, 0.6)])
def test_without_paired_resamples_a_lower_strategy_is_a_warning_that_says_so(empty, before):
    metrics(empty, "nms", ap=0.5)
    metrics(empty, "flip", ap=0.4999)
    resamples(empty, "flip", *(() if before == () else (0.5,)))
    if before is not None:
        resamples(empty, "nms", *before)
    result = model_checks.ap_is_not_below_the_simpler_strategy(made(empty, "flip"))

    assert (result.passed, result.severity) == (False, dg.AssetCheckSeverity.WARN)
    assert "box AP is 0.0001 below that of 'nms'; whether by chance, the resamples" in result.description


def test_resamples_of_the_evaluation_are_paired_as_those_of_a_comparison_are(trained):
    for strategy in ("nms", "multiscale"):
        stages.predict(trained, strategy=strategy)
        stages.evaluate(trained, strategy=strategy)
    compared = {one.metric: one for one in stages.compare(trained, "nms", "multiscale") if one.scope == "all"}

    for metric in MAIN:
        a, b = (pd.read_csv(trained.resamples_file(name))[metric] for name in ("nms", "multiscale"))
        assert interval((b - a).to_numpy()) == compared[metric].interval


@pytest.mark.parametrize(("ms", "passed"), [(5.0, True), (12.5, True), (12.6, False)])
def test_a_slower_detector_than_the_last_time_is_a_warning(empty, ms, passed):
    metrics(empty, "nms", ms=ms)
    result = model_checks.latency_has_not_grown(made(empty, "nms", **{"ms total": 10.0}))

    assert (result.passed, result.severity) == (passed, dg.AssetCheckSeverity.WARN)


@pytest.mark.parametrize(
    ("check", "item", "file"),
    [
        (data_checks.every_file_is_accounted_for, "train", "statistics file"),
        (data_checks.rejected_share_is_far_from_its_limit, "train", "statistics file"),
        (data_checks.nothing_has_shrunk, "train", "statistics file"),
        (model_checks.loss_is_finite, None, "metrics/train.json"),
        (model_checks.loss_falls, None, "plots/losses.csv"),
        (model_checks.ap_is_not_below_the_simpler_strategy, "none", "metrics/none.json"),
        (model_checks.latency_has_not_grown, "none", "metrics/none.json"),
    ],
)
def test_a_check_without_its_file_is_a_warning(empty, check, item, file):
    result = check(made(empty, item))

    assert (result.passed, result.severity) == (False, dg.AssetCheckSeverity.WARN)
    assert f"{file} is missing" in result.description


def test_figures_of_an_earlier_release_are_not_compared(empty):
    metrics(empty, "none")
    write_earlier_metrics(empty.metrics_file("nms"))

    with pytest.raises(DeepmarkError, match=r"metrics/nms.json: .*evaluate@nms"):
        model_checks.ap_is_not_below_the_simpler_strategy(made(empty, "nms"))


def test_figures_of_an_earlier_release_are_not_shown(empty):
    metrics(empty, "none")
    write_earlier_metrics(empty.metrics_file("nms"))

    for facts, partition in ((metrics_facts, "nms"), (report_facts, None)):
        with pytest.raises(DeepmarkError, match=r"metrics/nms.json: .*evaluate@nms"):
            facts(empty.root, partition)


def test_records_that_cannot_be_read_are_an_error_that_names_the_file(sharded):
    sharded.records_file("train").write_text("damaged")

    with pytest.raises(DeepmarkError, match=r"train\.parquet: damaged, or not Parquet"):
        data_checks.no_picture_is_in_both_splits(made(sharded, "train"))


def test_rejected_inputs_are_shown_with_their_reasons(sharded):
    (sharded.raw / "train/image/000001.jpg").write_bytes(b"no image")
    workspace = set_params(sharded, ingest={"max_rejected_share": 0.5})
    stages.ingest(workspace, split="train")

    (row,) = records_facts(workspace.root, "train")["first rejected"].records
    assert row.data["file"] == "image/000001.jpg"
    assert "JPEG" in row.data["reason"]


def test_a_flipped_bit_in_what_dagster_shows_or_checks_is_told(trained):
    for file, read in (
        (trained.records / "train.statistics.json", lambda: records_facts(trained.root, "train")),
        (trained.train_metrics_file, lambda: model_checks.loss_is_finite(made(trained, None))),
        (trained.losses_file, lambda: model_checks.loss_falls(made(trained, None))),
        (trained.training_file, lambda: checkpoint_facts(trained.root, None)),
        (trained.shards("train") / ".index.json", lambda: shards_facts(trained.root, "train")),
    ):
        read()
        flip_bit(file)
        with pytest.raises(DeepmarkError, match=rf"{file.name}: .*damaged.*`deepmark (ingest|train|shard)"):
            read()
        flip_bit(file)
