"""The stages after prediction with bags, shoes and hats: figures, comparison, audit, report, and what they refuse."""

import json
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from accessories import accessories, predicted
from vocabularies import SMALL
from workspaces import copied

from deepmark import stages
from deepmark.audit.label_issue import read_issues
from deepmark.data.predictions import read_predictions, write_predictions
from deepmark.data.records import read_records, write_records
from deepmark.errors import DeepmarkError
from deepmark.eval.metric.evaluate import evaluate
from deepmark.schema import STRATEGIES
from deepmark.types import Detections
from deepmark.vocabulary import DEEPFASHION2
from deepmark.workspace.layout import Workspace

pytestmark = pytest.mark.slow


@pytest.fixture(scope="module")
def evaluated_once(tmp_path_factory) -> Workspace:
    workspace = accessories(tmp_path_factory.mktemp("accessories"))
    for strategy in STRATEGIES:
        predicted(workspace, strategy, spread=1.0 + STRATEGIES.index(strategy))
        stages.evaluate(workspace, strategy=strategy)
    return workspace


@pytest.fixture
def evaluated(evaluated_once, tmp_path) -> Workspace:
    return copied(evaluated_once, tmp_path)


def of_deepfashion2(workspace: Workspace, strategy: str) -> Path:
    """Predictions for the same images by a model of DeepFashion2's garments."""
    nothing = Detections(
        boxes=np.empty((0, 4), np.float32),
        scores=np.empty(0, np.float32),
        categories=np.empty(0, np.int64),
        landmarks=np.empty((0, DEEPFASHION2.most_landmarks, 2), np.float32),
        landmark_scores=np.empty((0, DEEPFASHION2.most_landmarks), np.float32),
    )
    rows = read_records(workspace.records_file("validation"))
    file = workspace.predictions_file(strategy)
    write_predictions(file, [(one.id, one.file, nothing) for one in rows], {"mlflow_run_id": "0123"})
    return file


def test_the_figures_are_those_of_the_metric_with_its_vocabulary(evaluated):
    metrics = json.loads(evaluated.metrics_file("nms").read_text())
    records = read_records(evaluated.records_file("validation"))
    report = evaluate(records, read_predictions(evaluated.predictions_file("nms"))[0], by_subset=False)
    table = pd.read_csv(evaluated.table_file("nms")).set_index(["metric", "scope"]).value

    assert metrics["box"]["AP"] == report.value("box_ap")
    assert metrics["landmark"]["AP"] == report.value("landmark_ap")
    assert table["landmark_ap", "category:bag"] == report.value("landmark_ap", "category:bag")
    assert np.isnan(table["landmark_ap", "category:hat"])
    assert table["box_ap", "category:hat"] == report.value("box_ap", "category:hat")


def test_two_results_are_compared_by_its_categories(evaluated):
    differences = stages.compare(evaluated, "none", "multiscale")
    scopes = {one.scope for one in differences if one.scope.startswith("category:")}

    assert scopes == {f"category:{name}" for name in SMALL.by_name}
    assert next(one for one in differences if (one.metric, one.scope) == ("landmark_ap", "category:hat")).a is None


def test_the_audit_looks_at_boxes_of_hats_and_landmarks_of_shoes(evaluated):
    facts = stages.audit(evaluated)
    issues = read_issues(evaluated.issues_file)

    assert facts["suspects"] == len(issues)
    assert set(issues.column("category").to_pylist()) <= {None, *SMALL.by_name}
    assert evaluated.audit_page.is_file()


def test_the_report_shows_its_categories_and_images(evaluated):
    stages.report(evaluated)
    page = (evaluated.report / "index.html").read_text()

    assert all(f'<th scope="row">{name}</th>' in page for name in SMALL.by_name)
    assert "Labelled: bag" in page
    assert "Published figures" not in page
    assert '<a href="data.html">The data</a>' in page
    assert "<h1>Data sheet</h1>" in (evaluated.report / "data.html").read_text()


@pytest.mark.parametrize("stage", ["evaluate", "compare", "audit", "report"])
def test_predictions_of_another_vocabulary_are_refused_with_both_names(evaluated, stage):
    strategy = {"audit": STRATEGIES[-1]}.get(stage, evaluated.params.promote.strategy)
    of_deepfashion2(evaluated, strategy)
    calls = {
        "evaluate": lambda: stages.evaluate(evaluated, strategy=strategy),
        "compare": lambda: stages.compare(evaluated, "none", strategy),
        "audit": lambda: stages.audit(evaluated),
        "report": lambda: stages.report(evaluated),
    }
    with pytest.raises(DeepmarkError) as refused:
        calls[stage]()

    assert "has the vocabulary accessories, but" in str(refused.value)
    assert "has DeepFashion2" in str(refused.value)


def test_splits_of_different_vocabularies_are_not_audited(evaluated):
    write_records(evaluated.records_file("train"), [], vocabulary=DEEPFASHION2)

    with pytest.raises(DeepmarkError, match="has the vocabulary DeepFashion2, but"):
        stages.audit(evaluated)
