"""One function per stage, and `compare`: read files, call the library, write files, return facts.

The command line, the DVC stages and, through DVC, the Dagster assets all call these functions. The library functions
that they call know neither workspaces nor params.yaml, wherever that is possible.
"""

import json
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from deepmark.digests import read_json_with_digest, write_json_with_digest
from deepmark.errors import DeepmarkError, extras_named
from deepmark.files import require_file
from deepmark.progress import progress
from deepmark.schema import SPLITS
from deepmark.vocabulary import check_same
from deepmark.workspace.layout import Workspace

if TYPE_CHECKING:
    from deepmark.eval.metric.compare import Difference

_PREDICT_AGAIN = "Run `deepmark predict` again, with a model that was trained on these records."


def ingest(workspace: Workspace, *, split: str) -> dict[str, Any]:
    """Raw files -> data/records/{split}.parquet, its rejected inputs and its statistics."""
    from deepmark.compute.choose import engine_of
    from deepmark.data.corrections import read_corrections
    from deepmark.data.ingest.ingest import ingest_split, list_inputs
    from deepmark.workspace.ingest_inputs import check_dependencies

    check_dependencies(workspace.root)
    params, inputs = workspace.params, list_inputs(workspace.raw / split)
    with progress(f"ingest {split}", len(inputs)) as advance:
        result = ingest_split(
            workspace.raw,
            split=split,
            out=workspace.records,
            params=params.ingest,
            vocabulary=workspace.vocabulary,
            inputs=inputs,
            corrections=read_corrections(workspace.corrections_file),
            engine=engine_of(params.compute),
            progress=advance,
        )
    return {
        "files": result.files,
        "records": result.records,
        "rejected": result.rejected,
        "rejected_by_kind": result.kinds,
        **({"first_rejected": str(result.first)} if result.first else {}),
        **result.notes,
        **({"corrections": result.corrections} if result.corrections else {}),
    }


def shard(workspace: Workspace, *, split: str) -> dict[str, Any]:
    """Records and raw images -> data/shards/{split}, or the URL in params.yaml; then that gets a copy of the index."""
    from deepmark.workspace.shard_split import shard_split

    return shard_split(workspace, split)


def train(workspace: Workspace, *, fresh: bool = False) -> dict[str, Any] | None:
    """Shards -> data/checkpoint, metrics/train.json and plots/losses.csv.

    Returns facts on the machine, or in the scheduler's process, that runs rank 0, and None in all others.
    """
    from deepmark.train.start import run_training

    is_first = run_training(workspace, fresh=fresh)
    return read_json_with_digest(workspace.train_metrics_file, "deepmark train") if is_first else None


def crossvalidate(workspace: Workspace) -> dict[str, Any]:
    """Records and shards of train -> data/predictions/held_out.parquet: images by networks that have not learnt them.

    With `audit.folds: 0` nothing is trained, and the file is of no images.
    """
    if workspace.params.audit.folds:
        from deepmark.train.crossvalidate import crossvalidate_workspace

        return crossvalidate_workspace(workspace)
    from deepmark.workspace.folds import write_held_out

    return {"pictures": write_held_out(workspace, [], {"folds": "0"}), "folds": 0}


def predict(workspace: Workspace, *, strategy: str) -> dict[str, Any]:
    """Checkpoint and validation shards -> data/predictions/{strategy}.parquet and metrics/timing/{strategy}.json."""
    from deepmark.eval.metric.timing_file import timing_of, write_timing
    from deepmark.workspace.inputs import read_training
    from deepmark.workspace.predict_validation import predict_validation

    model, out = require_file(workspace.model_file, "deepmark train"), workspace.predictions_file(strategy)
    run_id = read_training(workspace)["mlflow_run_id"]
    made = predict_validation(workspace, model, out, strategy=strategy, run_id=run_id)
    write_timing(workspace.timing_file(strategy), timing_of(made.ms, made.device, made.images), out)
    return {"pictures": made.images, "ms": made.ms, "device": made.device}


def evaluate(workspace: Workspace, *, strategy: str) -> dict[str, Any]:
    """Predictions and records -> metrics/{strategy}.json, tables/{strategy}/ and plots/{strategy}.csv.

    The milliseconds of the prediction, which the file of metrics does not depend on, are logged to MLflow with it.
    """
    from deepmark.data.predictions import read_predictions
    from deepmark.data.records import read_records
    from deepmark.eval.analysis.analyse import STEPS, diagnose_columns, write_tables
    from deepmark.eval.analysis.nms_kinds import by_nms_kind
    from deepmark.eval.metric.columns import detection_columns, truth_columns
    from deepmark.eval.metric.evaluate import PASSES, evaluate_columns
    from deepmark.eval.metric.metrics_file import read_metrics
    from deepmark.files import new_folder, write_text
    from deepmark.tracking.metric_names import evaluation_metrics
    from deepmark.tracking.tracker import Tracker

    predictions_file = workspace.predictions_file(strategy)
    found, facts = read_predictions(predictions_file)
    records_file = require_file(workspace.records_file("validation"), "deepmark ingest --split validation")
    records = read_records(records_file)
    check_same(records.vocabulary, records_file, found.vocabulary, predictions_file, _PREDICT_AGAIN)
    truth = truth_columns(records)
    results = detection_columns(found, truth)
    params = workspace.params.evaluate
    with progress(f"evaluate {strategy}", PASSES + STEPS) as advance:
        report = evaluate_columns(truth, results, resamples=params.resamples, seed=params.seed, progress=advance)
        diagnosis = diagnose_columns(truth, results, progress=advance)
    metrics = {**report.headline(), **_earlier_timing(facts), "images": len(truth.images)}
    if params.nms_kinds and strategy == "none":
        metrics["nms_kinds"] = by_nms_kind(
            truth, lambda: read_predictions(predictions_file)[0], workspace.params.predict
        )
    tables, plot = workspace.tables(strategy), workspace.plot_file(strategy)
    with new_folder(tables) as draft:
        write_tables(draft, {"ap": report.to_frame(), "resamples": report.resamples_frame(), **diagnosis})
    write_text(plot, report.by_category().to_csv(index=False, lineterminator="\n"))
    made = [*sorted(tables.iterdir()), plot]
    write_json_with_digest(workspace.metrics_file(strategy), metrics, files=[predictions_file, *made])
    known = read_metrics(workspace.metrics_file(strategy))
    with _logged_where_possible("the figures", workspace.metrics_file(strategy)):
        tracker = Tracker.for_results(workspace.root, facts["mlflow_run_id"])
        tracker.log_metrics(evaluation_metrics(strategy, known))
        tracker.log_artifact(tables, f"tables/{strategy}")
    return known


def _earlier_timing(facts: dict[str, str]) -> dict[str, Any]:
    """The milliseconds that predictions of an earlier release hold themselves."""
    ms = json.loads(facts.get("ms", "{}"))
    return {"ms": {**ms, "total": sum(ms.values())}} if ms else {}


def export(workspace: Workspace) -> dict[str, Any]:
    """Checkpoint, shards, and predictions by torch -> export/ and metrics/export.json."""
    from deepmark.export.export_files import export_workspace
    from deepmark.tracking.provenance import data_version

    return export_workspace(workspace, data_version(workspace.root))


@contextmanager
def _logged_where_possible(what: str, file: Path) -> Iterator[None]:
    """Where MLflow cannot be used, say so and go on: what was made is there, and nothing of it came from MLflow."""
    try:
        with extras_named():
            yield
    except DeepmarkError as error:
        print(f"warning: {what} are in {file}, and were not logged to MLflow: {error}", file=sys.stderr, flush=True)


def compare(workspace: Workspace, a: str, b: str, *, out: Path | None = None) -> list["Difference"]:
    """Every figure of A and of B on the validation records, and by how much B is above A; `out` gets them as CSV.

    A and B are strategies of the workspace, files of predictions, exported models, or registered versions. Raises
    DeepmarkError if one of them cannot be read, cannot predict, or is of other images.
    """
    from deepmark.data.records import read_records
    from deepmark.eval.metric.compare import compare, comparison_frame
    from deepmark.eval.metric.evaluate import PASSES
    from deepmark.files import write_text
    from deepmark.registry.named_predictions import named_predictions

    params = workspace.params.evaluate
    records_file = require_file(workspace.records_file("validation"), "deepmark ingest --split validation")
    rows = read_records(records_file)
    records, vocabulary = list(rows), rows.vocabulary
    predictions = [named_predictions(workspace, name, {record.id for record in records}) for name in (a, b)]
    for name, found in zip((a, b), predictions, strict=True):
        for one in found[:1]:
            check_same(vocabulary, records_file, one.detections.vocabulary, name, "Give results for these records.")
    with progress(f"compare {a} and {b}", PASSES) as advance:
        resampling: dict[str, Any] = {"resamples": params.resamples, "seed": params.seed}
        differences = compare(records, *predictions, vocabulary=vocabulary, **resampling, progress=advance)
    if out is not None:
        write_text(out, comparison_frame(differences).to_csv(index=False, lineterminator="\n"))
    return differences


def audit(workspace: Workspace) -> dict[str, Any]:
    """Records and shards of both splits, and predictions -> data/audit: labels that somebody should look at."""
    from deepmark.audit.find_issues import find_duplicates, find_label_issues
    from deepmark.audit.issue_images import Illustrator
    from deepmark.audit.label_issue import count_likely, rank_issues, write_issues
    from deepmark.audit.page import write_page
    from deepmark.audit.predictions import predictions_to_audit
    from deepmark.compute.choose import engine_of
    from deepmark.data.records import read_records
    from deepmark.files import new_folder
    from deepmark.workspace.inputs import open_shards

    params = workspace.params.audit
    files = {split: require_file(workspace.records_file(split), f"deepmark ingest --split {split}") for split in SPLITS}
    readers, records = {}, {}
    for split, file in files.items():
        readers[split], records[split] = open_shards(workspace, split), read_records(file)
        for other, there in ((readers[split], workspace.shards(split)), (records[SPLITS[0]], files[SPLITS[0]])):
            check_same(records[split].vocabulary, file, other.vocabulary, there, "Run `dvc repro` for both splits.")
    predictions, count = predictions_to_audit(workspace), sum(map(len, readers.values()))
    with progress("audit", count) as advance:
        copies = find_duplicates(readers, params, engine_of(workspace.params.compute), progress=advance)
    found = find_label_issues(records, predictions, params, vocabulary=records[SPLITS[0]].vocabulary)
    issues = rank_issues([*found.issues, *copies])
    illustrator = Illustrator(readers, predictions)
    with new_folder(workspace.audit) as draft:
        write_issues(draft / workspace.issues_file.name, issues)
        write_page(
            draft / workspace.audit_page.name,
            issues,
            [illustrator.illustrate(issue) for issue in issues[: params.pictures]],
            looked_at="; ".join(filter(None, (f"{count:,} images of {' and '.join(SPLITS)}", found.trust()))),
            faulty_share=params.faulty_share,
        )
    likely = count_likely(issues)
    return {
        "pictures": count,
        "suspects": len(issues),
        "likely": sum(likely.values()),
        "likely_by_kind": likely,
        "power": found.power,
        "page": str(workspace.audit_page),
    }


def report(workspace: Workspace) -> dict[str, Any]:
    """All metrics and tables, some images, what earlier runs have in MLflow, and the data sheet -> report/."""
    from deepmark.registry.runs_to_compare import runs_to_compare
    from deepmark.report.content import report_content
    from deepmark.report.data_sheet.content import data_sheet
    from deepmark.report.data_sheet.page import render_sheet
    from deepmark.report.page import write_report
    from deepmark.tracking.tracker import Tracker
    from deepmark.workspace.inputs import read_training

    content, run_id = report_content(workspace), read_training(workspace)["mlflow_run_id"]
    earlier, data_page = runs_to_compare(workspace, run_id), render_sheet(data_sheet(workspace))
    page = write_report(workspace.report, replace(content, earlier=earlier, data_page=data_page))
    with _logged_where_possible("the tables and images", page):
        tracker = Tracker.for_results(workspace.root, run_id)
        tracker.log_artifact(workspace.report, "report")
        run_id = tracker.run_id
    return {"page": str(page), "megabytes": page.stat().st_size / 1e6, "mlflow_run": run_id}
