"""What people want to see of something made, read from the files the stage left: counts, APs, tables, pictures.

Read after every materialization, also one where nothing had changed. A file that is not there adds nothing.
"""

import base64
import json
import math
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import dagster as dg

from assets.metadata.format import gridded, link, turned, written
from deepmark.tracking.flatten import flatten
from deepmark.workspace.layout import Workspace

CATEGORIES = "categories"
"""A table with a row a category, which the next materialization is compared with."""


def records_facts(root: Path, split: str | None) -> dict[str, Any]:
    """Pictures in, kept and set aside; items and landmarks; the categories beside the released set's."""
    counts = _read_json(Workspace(root).records / f"{split}.statistics.json")
    facts: dict[str, Any] = {
        name.replace("_", " "): value for name, value in counts.items() if isinstance(value, int | float)
    }
    categories = counts.get("by", {}).get("category", {})
    if categories:
        facts[CATEGORIES] = _category_counts(categories)
    return facts


def shards_facts(root: Path, split: str | None) -> dict[str, Any]:
    """How many files, samples and bytes."""
    folder = Workspace(root).shards(split or "")
    shards = _read_json(folder / "index.json").get("shards", [])
    if not shards:
        return {}
    size = sum(shard["bytes"] for shard in shards)
    return {
        "shards": len(shards),
        "samples": sum(shard["count"] for shard in shards),
        "MiB": size / 2**20,
        "folder": dg.MetadataValue.path(folder),
    }


def checkpoint_facts(root: Path, _: str | None) -> dict[str, Any]:
    """Epochs, losses, seconds, and where MLflow has the run."""
    workspace = Workspace(root)
    facts: dict[str, Any] = dict(_numbers(_read_json(workspace.train_metrics_file)))
    return {**facts, **_mlflow(workspace)}


def metrics_facts(root: Path, strategy: str | None) -> dict[str, Any]:
    """APs and milliseconds as numbers, which Dagster plots by materialization; tables by category and subset."""
    workspace = Workspace(root)
    facts: dict[str, Any] = dict(_numbers(_read_json(workspace.metrics_file(strategy or ""))))
    table = workspace.table_file(strategy or "")
    if table.is_file():
        import pandas as pd

        from deepmark.report.tables.metric_tables import category_table, subset_table

        frame = pd.read_csv(table)
        facts["by category"] = written(category_table(frame))
        facts["by subset"] = written(turned(subset_table(frame), "subset"))
    return {**facts, **_mlflow(workspace)}


def suspects_facts(root: Path, _: str | None) -> dict[str, Any]:
    """How many labels are suspected, by kind, and where to look through them."""
    workspace = Workspace(root)
    facts: dict[str, Any] = {"page": dg.MetadataValue.path(workspace.audit_page)}
    if workspace.suspects_file.is_file():
        import pandas as pd

        suspects = pd.read_parquet(workspace.suspects_file, columns=["kind", "score"])
        likely = suspects[suspects["score"] >= 0.5]
        facts |= {"suspects": len(suspects), "score of 0.5 or more": len(likely)}
        facts |= {str(kind): int(count) for kind, count in likely["kind"].value_counts().items()}
    return facts


def report_facts(root: Path, _: str | None) -> dict[str, Any]:
    """The paper's table for what was trained, some pictures of detections, and where to read on."""
    from deepmark.report.tables.metric_tables import strategy_table
    from deepmark.schema import STRATEGIES

    workspace = Workspace(root)
    metrics = {strategy: _read_json(workspace.metrics_file(strategy)) for strategy in STRATEGIES}
    measured = {strategy: values for strategy, values in metrics.items() if values}
    facts: dict[str, Any] = {"page": dg.MetadataValue.path(workspace.report / "index.html")}
    if measured:
        table = strategy_table(measured, measured_on="the validation set", published=False)
        facts["strategies"] = written(table)
    row = workspace.report / "overview.jpg"
    if row.is_file():
        text = base64.b64encode(row.read_bytes()).decode()
        facts["detections"] = dg.MetadataValue.md(f"![Detections](data:image/jpeg;base64,{text})")
    run = _read_json(workspace.training_file).get("mlflow_url")
    if run:
        facts["page in MLflow"] = link("report/index.html", f"{run}/artifacts/report/index.html")
    return {**facts, **_mlflow(workspace)}


def _read_json(path: Path) -> dict[str, Any]:
    return json.loads(path.read_text("utf-8")) if path.is_file() else {}


def _numbers(values: dict[str, Any]) -> Iterator[tuple[str, float]]:
    """Every finite number of nested dictionaries, named by the path to it: "landmarks AP50"."""
    for name, value in flatten(values, " "):
        if isinstance(value, int | float) and not isinstance(value, bool) and math.isfinite(value):
            yield name.replace("_", " "), value


def _mlflow(workspace: Workspace) -> dict[str, Any]:
    training = _read_json(workspace.training_file)
    run, url = training.get("mlflow_run_id"), training.get("mlflow_url")
    if not run:
        return {}
    return {"MLflow run": link(run, url) if url else run}


def _category_counts(categories: dict[str, dict[str, Any]]) -> dg.TableMetadataValue:
    def share(counts: dict[str, Any], name: str) -> str:
        return f"{counts.get(name, 0):.1%}"

    return gridded(
        ("category", "items", "share", "released set"),
        [
            (name, one["items"], share(one, "share_of_items"), share(one, "released_share_of_items"))
            for name, one in categories.items()
        ],
    )
