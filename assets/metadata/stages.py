"""What Dagster shows of a stage's asset, read from the files that the stage wrote: counts, APs, tables, images.

Read after every materialization, also one where nothing had changed. A file that is missing adds nothing.
"""

import base64
import math
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import dagster as dg

from assets.metadata.format import link, markdown_table, metadata_table
from deepmark.digests import read_json_with_digest
from deepmark.eval.metric.metrics_file import read_metrics
from deepmark.tracking.flatten import flatten
from deepmark.workspace.layout import Workspace

CATEGORIES = "categories"
"""A table with one row a category, with which a check compares the next materialization."""

_SHOWN_REJECTED = 10


def records_facts(root: Path, split: str | None) -> dict[str, Any]:
    """Images read, kept and rejected; items and landmarks; the categories beside those of the released data set."""
    workspace = Workspace(root)
    counts = read_json(workspace.records / f"{split}.statistics.json", f"deepmark ingest --split {split}") or {}
    facts: dict[str, Any] = {
        name.replace("_", " "): value for name, value in counts.items() if isinstance(value, int | float)
    }
    categories = counts.get("by", {}).get("category", {})
    if categories:
        facts[CATEGORIES] = _category_table(categories)
    if counts.get("rejected"):
        from deepmark.data.ingest.ingest import read_rejected

        first = read_rejected(workspace.records / f"{split}.rejected.parquet")[:_SHOWN_REJECTED]
        facts["first rejected"] = metadata_table(("file", "reason"), [(one.path, one.reason) for one in first])
    return facts


def shards_facts(root: Path, split: str | None) -> dict[str, Any]:
    """The numbers of files, samples and bytes."""
    folder = Workspace(root).shards(split or "")
    from deepmark.data.shards.index import index_file, read_index

    if not index_file(folder).is_file():
        return {}
    shards = read_index(folder).shards
    size = sum(shard.bytes for shard in shards)
    return {
        "shards": len(shards),
        "samples": sum(shard.count for shard in shards),
        "MiB": size / 2**20,
        "folder": dg.MetadataValue.path(folder),
    }


def checkpoint_facts(root: Path, _: str | None) -> dict[str, Any]:
    """Epochs, losses, seconds, and a link to the run in MLflow."""
    workspace = Workspace(root)
    facts: dict[str, Any] = dict(_numbers(read_json(workspace.train_metrics_file, "deepmark train") or {}))
    return {**facts, **_mlflow_run(workspace)}


def metrics_facts(root: Path, strategy: str | None) -> dict[str, Any]:
    """APs and milliseconds as numbers, which Dagster plots by materialization; tables by category and subset."""
    workspace = Workspace(root)
    facts: dict[str, Any] = dict(_numbers(_read_metrics(workspace, strategy or "")))
    table = workspace.table_file(strategy or "")
    if table.is_file():
        from deepmark.report.read_results import read_frame
        from deepmark.report.tables.metric_tables import category_table, subset_table

        frame = read_frame(workspace.metrics_file(strategy or ""), table)
        facts["by category"] = markdown_table(category_table(frame))
        facts["by subset"] = markdown_table(subset_table(frame))
    return {**facts, **_mlflow_run(workspace)}


def export_facts(root: Path, _: str | None) -> dict[str, Any]:
    """Bytes, milliseconds and AP of each file, as numbers and as a table."""
    from deepmark.report.tables.export_tables import export_table

    workspace = Workspace(root)
    figures = read_json(workspace.export_metrics_file, "deepmark export")
    if figures is None:
        return {}
    facts: dict[str, Any] = {"files": markdown_table(export_table(figures))}
    for name, of in figures["files"].items():
        facts |= {f"{name} bytes": of["bytes"], f"{name} ms": of["ms"], f"{name} box AP": of["box_ap"]["value"]}
    return facts


def suspects_facts(root: Path, _: str | None) -> dict[str, Any]:
    """The number of suspected labels, by kind, and the page that shows them."""
    workspace = Workspace(root)
    facts: dict[str, Any] = {"page": dg.MetadataValue.path(workspace.audit_page)}
    if workspace.issues_file.is_file():
        from deepmark.audit.label_issue import LIKELY, read_issues

        suspects = read_issues(workspace.issues_file).select(["kind", "score"]).to_pandas()
        likely = suspects[suspects["score"] >= LIKELY]
        facts |= {"suspects": len(suspects), f"score of {LIKELY} or more": len(likely)}
        facts |= {str(kind): int(count) for kind, count in likely["kind"].value_counts().items()}
    return facts


def report_facts(root: Path, _: str | None) -> dict[str, Any]:
    """The paper's table for the trained model, some images with detections, and links to the whole report."""
    from deepmark.report.tables.metric_tables import strategy_table
    from deepmark.schema import STRATEGIES

    workspace = Workspace(root)
    metrics = {strategy: _read_metrics(workspace, strategy) for strategy in STRATEGIES}
    measured = {strategy: values for strategy, values in metrics.items() if values}
    facts: dict[str, Any] = {"page": dg.MetadataValue.path(workspace.report / "index.html")}
    data_page = workspace.report / "data.html"
    if data_page.is_file():
        facts["data sheet"] = dg.MetadataValue.path(data_page)
    if measured:
        table = strategy_table(measured, measured_on="the validation set")
        facts["strategies"] = markdown_table(table)
    overview = workspace.report / "overview.jpg"
    if overview.is_file():
        text = base64.b64encode(overview.read_bytes()).decode()
        facts["detections"] = dg.MetadataValue.md(f"![Detections](data:image/jpeg;base64,{text})")
    run_url = (read_json(workspace.training_file, "deepmark train") or {}).get("mlflow_url")
    if run_url:
        facts["page in MLflow"] = link("report/index.html", f"{run_url}/artifacts/report/index.html")
    return {**facts, **_mlflow_run(workspace)}


def read_json(path: Path, maker: str) -> dict[str, Any] | None:
    """None for a file that is missing; raises DeepmarkError, naming the command that makes it, for a damaged one."""
    return read_json_with_digest(path, maker) if path.is_file() else None


def _read_metrics(workspace: Workspace, strategy: str) -> dict[str, Any]:
    file = workspace.metrics_file(strategy)
    return read_metrics(file) if file.is_file() else {}


def _numbers(values: dict[str, Any]) -> Iterator[tuple[str, float]]:
    """Every finite number of nested dictionaries, named by the path to it: "landmark AP50"."""
    for name, value in flatten(values, " "):
        if isinstance(value, int | float) and not isinstance(value, bool) and math.isfinite(value):
            yield name.replace("_", " "), value


def _mlflow_run(workspace: Workspace) -> dict[str, Any]:
    training = read_json(workspace.training_file, "deepmark train") or {}
    run, url = training.get("mlflow_run_id"), training.get("mlflow_url")
    if not run:
        return {}
    return {"MLflow run": link(run, url) if url else run}


def _category_table(categories: dict[str, dict[str, Any]]) -> dg.TableMetadataValue:
    def share(counts: dict[str, Any], name: str) -> str:
        return f"{counts.get(name, 0):.1%}"

    shares = {"share": "share_of_items"}
    if any("released_share_of_items" in counts for counts in categories.values()):
        shares["released set"] = "released_share_of_items"
    return metadata_table(
        ("category", "items", *shares),
        [
            (name, counts["items"], *(share(counts, key) for key in shares.values()))
            for name, counts in categories.items()
        ],
    )
