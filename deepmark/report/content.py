"""The content of the report: every strategy's results, chosen images with detections, and how they came about."""

from deepmark.data.predictions import read_predictions
from deepmark.digests import check_files
from deepmark.eval.metric.timing_file import read_timing
from deepmark.files import require_file
from deepmark.params import PredictParams, load_params
from deepmark.params.recipe import recipe_changes
from deepmark.progress import progress
from deepmark.report.choose_images import choose
from deepmark.report.images import draw_images
from deepmark.report.page import Content
from deepmark.report.read_results import TABLES, Measured, read_measured
from deepmark.report.run_facts import machine_facts, model_facts, run_facts
from deepmark.schema import STRATEGIES
from deepmark.tracking.provenance import data_version
from deepmark.vocabulary import check_same
from deepmark.workspace.init import profile_file
from deepmark.workspace.inputs import open_shards, read_training
from deepmark.workspace.layout import Workspace

_REMEDY = "Run `dvc repro`."


def report_content(workspace: Workspace) -> Content:
    """What the page of a workspace shows. Raises DeepmarkError where a strategy was not evaluated."""
    measured = {strategy: _measured(workspace, strategy) for strategy in STRATEGIES}
    training = read_training(workspace)
    params, serving = workspace.params.report, workspace.params.promote.strategy
    reader = open_shards(workspace, "validation")
    predictions = require_file(workspace.predictions_file(serving), f"deepmark predict --strategy {serving}")
    detections, predicted = read_predictions(predictions)
    check_same(reader.vocabulary, workspace.shards("validation"), detections.vocabulary, predictions, _REMEDY)
    check_files(workspace.metrics_file(serving), [predictions], f"deepmark evaluate --strategy {serving}")
    items = measured[serving].items
    chosen = choose(items, params.pictures, list(reader.vocabulary.by_name))
    with progress("report", len(chosen)) as advance:
        images = draw_images(chosen, reader, detections, items, min_score=params.min_score, progress=advance)
    return Content(
        vocabulary=reader.vocabulary,
        measured=measured,
        serving=serving,
        history=training["history"],
        warnings=training.get("warnings", []),
        images=images,
        facts={
            "Run": run_facts(workspace, training),
            "Model": model_facts(workspace, reader.vocabulary),
            "Machine": machine_facts(
                read_timing(workspace.timing_file(serving)).get("device") or predicted.get("device", "unknown")
            ),
        },
        params=(workspace.root / "params.yaml").read_text("utf-8"),
        backbone=workspace.params.model.backbone,
        measured_on=f"{measured[serving].metrics['images']:,} validation images",
        min_score=params.min_score,
        nms=workspace.params.predict.nms,
        nms_words=_nms_words(workspace.params.predict),
        recipe=recipe_changes(workspace.params, load_params(profile_file("paper"))),
        data_version=data_version(workspace.root),
    )


def _nms_words(predict: PredictParams) -> str:
    if predict.nms == "hard":
        return f"hard: a box that overlaps a better one of its category by more than {predict.nms_iou:g} is removed"
    return f"soft: exp(−IoU² / {predict.soft_nms_sigma:g}) of a better box of its category lowers a score"


def _measured(workspace: Workspace, strategy: str) -> Measured:
    metrics, tables = workspace.metrics_file(strategy), workspace.tables(strategy)
    for file in (metrics, *(tables / table for table in TABLES)):
        require_file(file, f"deepmark evaluate --strategy {strategy}")
    return read_measured(metrics, tables, workspace.plot_file(strategy))
