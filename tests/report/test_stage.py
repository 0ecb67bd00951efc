"""The stage: from what the other stages left to the page, in the workspace and in MLflow."""

import json

import pytest
from measurements import (
    ap,
    calibration,
    confusion,
    curves,
    errors,
    item,
    items,
    landmarks,
    metrics,
    write_earlier_metrics,
)

from deepmark import stages
from deepmark.data.records import read_records
from deepmark.digests import read_json_with_digest, write_json_with_digest
from deepmark.errors import DeepmarkError
from deepmark.files import write_json
from deepmark.schema import STRATEGIES
from deepmark.tracking.mlflow_store import open_client
from deepmark.vocabulary import DEEPFASHION2
from deepmark.workspace.layout import Workspace


def write_tables(workspace: Workspace) -> None:
    """What evaluation leaves of every strategy, of the workspace's own validation pictures."""
    rows = [
        item(
            record.id,
            DEEPFASHION2.categories[garment.category].name,
            found=DEEPFASHION2.categories[garment.category].name,
            item=garment.item,
        )
        for record in read_records(workspace.records_file("validation"))
        for garment in record.garments
    ]
    frames = {"ap": ap(), "landmarks": landmarks(), "errors": errors(), "confusion": confusion()}
    frames |= {"curves": curves(), "calibration": calibration()}
    for strategy in STRATEGIES:
        write_json(workspace.metrics_file(strategy), metrics(interval=False))
        folder = workspace.tables(strategy)
        folder.mkdir(parents=True)
        for name, frame in frames.items():
            frame.to_csv(folder / f"{name}.csv", index=False)
        items(*rows).to_parquet(folder / "items.parquet")


@pytest.fixture
def measured(trained) -> Workspace:
    stages.predict(trained, strategy="nms")
    write_tables(trained)
    return trained


def test_the_page_of_a_workspace_shows_its_pictures_and_its_run_and_goes_to_mlflow(measured):
    training = read_json_with_digest(measured.training_file, "deepmark train")
    write_json_with_digest(measured.training_file, training | {"warnings": ["landmark AP is still 0"]})
    facts = stages.report(measured)
    text = (measured.report / "index.html").read_text("utf-8")
    run = json.loads(measured.training_file.read_text("utf-8"))["mlflow_run_id"]

    assert facts["page"] == str(measured.report / "index.html")
    assert text.count('<img src="data:image/webp') == 2 * measured.params.report.pictures == 4
    assert f"<dd>{run}</dd>" in text
    assert "landmark AP is still 0." in text
    assert f"<dd>{measured.params.train.seed}</dd>" in text
    assert "<dt>GFLOP an image, detecting</dt>" in text
    assert "<small>95%: 0.450–0.540</small>" in text
    assert (measured.root / "params.yaml").read_text("utf-8").splitlines()[0] in text
    artifacts = open_client(measured.root).list_artifacts(run, "report")
    assert [one.path for one in artifacts] == ["report/data.html", "report/index.html", "report/overview.jpg"]


def test_figures_of_an_earlier_release_are_named_with_the_command_that_makes_them_again(trained):
    write_tables(trained)
    write_earlier_metrics(trained.metrics_file("flip"))

    with pytest.raises(DeepmarkError, match=r"metrics/flip.json: .*dvc repro --force --single-item evaluate@flip"):
        stages.report(trained)


@pytest.mark.parametrize("table", ["landmarks.csv", "items.parquet"])
def test_a_table_that_is_not_there_is_named_with_the_command_that_makes_it(trained, table):
    write_tables(trained)
    (trained.tables("flip") / table).unlink()

    with pytest.raises(DeepmarkError, match=rf"tables/flip/{table}: not there yet.*deepmark evaluate --strategy flip"):
        stages.report(trained)
