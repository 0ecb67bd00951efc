"""Register an evaluated checkpoint as a version of the model."""

import hashlib
import json
import os
from collections.abc import Mapping
from typing import Any

from deepmark.digests import check_digest, check_files
from deepmark.errors import DeepmarkError
from deepmark.eval.metric.metrics_file import read_metrics
from deepmark.eval.metric.names import HEADLINE, METRICS
from deepmark.files import file_sha256, require_file
from deepmark.registry.cached_evaluation import evaluate_exported, evaluation_tag, log_predictions, network_tag
from deepmark.registry.exported import ExportedFile, carried, exported_files, exported_tag
from deepmark.registry.history import reconcile
from deepmark.registry.versions import CHALLENGER, CHAMPION, Registry
from deepmark.schema import STRATEGIES
from deepmark.serving.logged_model import CHECKPOINT, CHECKPOINT_TAG, SERVED_TAG, SERVES_TAG
from deepmark.tracking.dagster_events import RUN_VARIABLE
from deepmark.tracking.provenance import code_version, data_version, workspace_version
from deepmark.vocabulary import DEEPFASHION2
from deepmark.workspace.layout import Workspace


def register(workspace: Workspace) -> dict[str, Any]:
    """Make the workspace's checkpoint a version and the challenger; returns facts about it.

    The version carries the files that `deepmark export` made of the checkpoint. Where one of them serves
    (promote.serve), its own predictions and figures are those of the version.

    A checkpoint that is a version already, with the same file that serves, stays that version; its tags are updated,
    and its weights stored again where they are lost or damaged. Where other files of it are, a new version is made.
    Raises DeepmarkError where a file that it needs is missing, or the figures are not of this checkpoint.
    """
    from deepmark.tracking.tracker import Tracker
    from deepmark.workspace.inputs import open_shards, read_training

    model = require_file(workspace.model_file, "deepmark train")
    check_digest(model, "Run `deepmark train` again.")
    reader = open_shards(workspace, "validation")
    require_file(workspace.records_file("validation"), "deepmark ingest --split validation")
    metrics, exported = _checked_metrics(workspace), exported_files(workspace)
    identity = _identity(workspace, exported)
    run_id = read_training(workspace)["mlflow_run_id"]
    registry, tracker = Registry(workspace.root), Tracker.open(workspace.root, run_id)
    _, jpeg = reader[0]
    with registry.exclusive():
        reconcile(registry)
        source = tracker.log_model(model, jpeg, carried(workspace, exported))
        tracker.finish()  # a process that was killed while it logged the model has left the run as RUNNING
        tags = _tags(workspace, registry, run_id, metrics, exported)
        serves = workspace.params.promote.serve
        same = [one for one in registry.versions() if identity.items() <= one.tags.items() and one.serves == serves]
        known = next((one for one in same if registry.is_whole(one, whole=source)), None)
        if known is None:
            number = registry.create_version(source, run_id, {**identity, **tags})
        else:
            number = known.number
            registry.set_tags(number, tags)
        alias = CHAMPION if known is not None and CHAMPION in known.aliases else CHALLENGER
        if alias == CHALLENGER:
            registry.set_alias(CHALLENGER, number)
    evaluate_exported(registry, workspace, number)
    return {
        "version": number,
        "known": "no" if known is None else "yes",
        "alias": alias,
        "serves": workspace.params.promote.serve,
        "exported": ", ".join(exported) or "none",
        "mlflow_run": run_id,
    }


def _identity(workspace: Workspace, exported: Mapping[str, ExportedFile]) -> dict[str, str]:
    """The tags that tell versions apart: the checkpoint, and the exported file that serves."""
    tags, serves = {CHECKPOINT_TAG: file_sha256(workspace.model_file)}, workspace.params.promote.serve
    return tags if serves == CHECKPOINT else tags | {SERVES_TAG: serves, SERVED_TAG: exported[serves].sha256}


def _checked_metrics(workspace: Workspace) -> dict[str, Any]:
    """The metrics of `promote.strategy`; raises DeepmarkError where they are not of the workspace's checkpoint."""
    from deepmark.data.predictions import read_predictions

    strategy = workspace.params.promote.strategy
    predictions = require_file(workspace.predictions_file(strategy), f"deepmark predict --strategy {strategy}")
    _, facts = read_predictions(predictions)
    if facts["checkpoint_sha256"] != file_sha256(workspace.model_file):
        raise DeepmarkError(
            f"{predictions}: predicted by another model than {workspace.model_file}. Predict and evaluate again: "
            f"`deepmark predict --strategy {strategy}`, `deepmark evaluate --strategy {strategy}`, or `dvc repro`."
        )
    file = require_file(workspace.metrics_file(strategy), f"deepmark evaluate --strategy {strategy}")
    metrics = read_metrics(file)
    check_files(file, [predictions], f"deepmark evaluate --strategy {strategy}")
    # A file of an earlier release lists no sums, so the timings identify its predictions: no two runs have the same.
    if not json.loads(facts.get("ms", "{}")).items() <= metrics.get("ms", {}).items():
        raise DeepmarkError(
            f"{file}: computed from other predictions than {predictions}. Evaluate again: "
            f"`deepmark evaluate --strategy {strategy}`, or `dvc repro`."
        )
    return metrics


def _tags(
    workspace: Workspace,
    registry: Registry,
    run_id: str,
    metrics: dict[str, Any],
    exported: Mapping[str, ExportedFile],
) -> dict[str, str]:
    """The tags of the version: figures, cost, and what it was made from."""
    from deepmark.model.detector import read_detector

    detector = read_detector(workspace.model_file)
    evaluation, size = {}, workspace.model_file.stat().st_size
    if workspace.params.promote.serve == CHECKPOINT:
        predictions = workspace.predictions_file(workspace.params.promote.strategy)
        figures, milliseconds = _figures(metrics), metrics.get("ms", {}).get("total")
        evaluation = evaluation_tag(log_predictions(registry, workspace, run_id, predictions, figures, milliseconds))
    else:
        size = exported[workspace.params.promote.serve].bytes
    origin = {
        "deepmark.commit": code_version(),
        "workspace.commit": workspace_version(workspace.root),
        "data.version": data_version(workspace.root),
        "params.sha256": hashlib.sha256((workspace.root / "params.yaml").read_bytes()).hexdigest(),
        "dagster.run": os.environ.get(RUN_VARIABLE),
        "vocabulary": None if detector.vocabulary == DEEPFASHION2 else detector.vocabulary.name,
    }
    return {
        **{name: value for name, value in origin.items() if value},
        **_strategy_tags(workspace),
        **network_tag(detector.params, size),
        **exported_tag(exported),
        **evaluation,
    }


def _figures(metrics: dict[str, Any]) -> dict[str, float | None]:
    return {name: METRICS[name].value_in(metrics) for name in HEADLINE}


def _strategy_tags(workspace: Workspace) -> dict[str, str]:
    """The APs of every strategy that was evaluated, as tags like "nms.landmark_ap"."""
    tags: dict[str, str] = {}
    for strategy in STRATEGIES:
        file = workspace.metrics_file(strategy)
        if file.is_file():
            figures = _figures(read_metrics(file))
            tags |= {f"{strategy}.{name}": f"{value:.4f}" for name, value in figures.items() if value is not None}
    return tags
