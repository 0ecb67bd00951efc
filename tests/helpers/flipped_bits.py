"""Bits that flip in the files of a workspace, and what the next reader of the file makes of it.

Shared by the tests and by benchmarks/damage.py.
"""

import json
import logging
import random
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from registered import load_champion

from assets.checks import data as data_checks
from assets.checks import model as model_checks
from assets.checks.asset_check import Materialized
from assets.metadata.stages import checkpoint_facts, records_facts, suspects_facts
from deepmark import stages
from deepmark.data.predictions import read_predictions
from deepmark.data.shards.index import INDEX_FILE
from deepmark.data.shards.reader import ShardReader
from deepmark.data.shards.record_json import record_to_json
from deepmark.errors import DeepmarkError
from deepmark.files import file_sha256
from deepmark.infer.load_detector import load_detector
from deepmark.report.content import report_content
from deepmark.report.page import render_page
from deepmark.schema import SPLITS, STRATEGIES
from deepmark.train import checkpoint
from deepmark.workspace.inputs import open_shards
from deepmark.workspace.layout import Workspace

TOLD, SAME, SILENT, TRACEBACK = OUTCOMES = ("told", "same result", "silent", "traceback")

_REMEDIES = ("`deepmark ", "the checkpoint before it is used")


@dataclass(frozen=True, kw_only=True)
class Kind:
    """Files that are read in one way."""

    files: list[Path]
    read: Callable[[], Any]
    """What the next reader makes of them, as a value that can be compared."""


def kinds(workspace: Workspace) -> dict[str, Kind]:
    """The kinds of files that a workspace has, of those that a later stage reads."""
    records = workspace.records

    def of_strategies(*paths: Callable[[str], Path]) -> list[Path]:
        return [path(strategy) for strategy in STRATEGIES for path in paths]

    def of_splits(ending: str) -> list[Path]:
        return [records / f"{split}.{ending}" for split in SPLITS]

    def indices() -> list[Path]:
        return [workspace.shards(split) / INDEX_FILE for split in SPLITS]

    every = {
        "records": (of_splits("parquet"), _shard),
        "rejected inputs": (of_splits("rejected.parquet"), _dagster_records),
        "statistics.json": (of_splits("statistics.json"), _dagster_records),
        "shards": ([file for index in indices() for file in sorted(index.parent.glob("*.tar"))], _samples),
        "index.json": (indices(), _samples),
        "checkpoint to resume from": (_newest_checkpoint(workspace), _resume),
        "model.safetensors": ([workspace.model_file], _detect),
        "training.json": ([workspace.training_file], _predict),
        "metrics/train.json": ([workspace.train_metrics_file], _dagster_training),
        "plots/losses.csv": ([workspace.losses_file], _dagster_training),
        "predictions": ([workspace.predictions_file("nms")], _evaluate),
        "metrics": (of_strategies(workspace.metrics_file), _report),
        "timing": (of_strategies(workspace.timing_file), _report),
        "tables, CSV": ([file for s in STRATEGIES for file in sorted(workspace.tables(s).glob("*.csv"))], _report),
        "tables, items.parquet": (of_strategies(lambda s: workspace.tables(s) / "items.parquet"), _report),
        "plots": (of_strategies(workspace.plot_file), _report),
        "suspects.parquet": ([workspace.issues_file], _dagster_suspects),
        "registered weights": (sorted((workspace.root / "mlartifacts").rglob("model.safetensors")), _serve),
    }
    found = {name: ([file for file in files if file.is_file()], read) for name, (files, read) in every.items()}
    return {
        name: Kind(files=files, read=lambda read=read: read(workspace))
        for name, (files, read) in found.items()
        if files
    }


def flip(kind: Kind, chance: random.Random) -> tuple[str, str]:
    """Flip one bit of one of the files, read it, and mend it; what came of it, and the message or the bit."""
    file = chance.choice(kind.files)
    whole = file.read_bytes()
    place, bit = chance.randrange(len(whole)), chance.randrange(8)
    where = f"{file}, byte {place:,} of {len(whole):,}, bit {bit}"
    try:
        file.write_bytes(whole[:place] + bytes([whole[place] ^ 1 << bit]) + whole[place + 1 :])
        result = kind.read()
    except DeepmarkError as error:
        message = str(error)
        clear = (file.name in message or file.parent.name in message) and any(word in message for word in _REMEDIES)
        return (TOLD, message) if clear else (TRACEBACK, f"{where}: {message}")
    except Exception as error:  # a traceback for whoever runs the stage
        return TRACEBACK, f"{where}: {error!r}"
    finally:
        file.write_bytes(whole)
    return (SAME if result == kind.read() else SILENT), where


def _shard(workspace: Workspace) -> list[str]:
    for split in SPLITS:
        stages.shard(workspace, split=split)
    return [file_sha256(workspace.shards(split) / INDEX_FILE) for split in SPLITS]


def _samples(workspace: Workspace) -> list[Any]:
    """As the training verifies the shards, and reads them."""
    found: list[Any] = []
    for split in SPLITS:
        reader = ShardReader(workspace.shards(split))  # `open_shards` would read a sample, to check its own type
        reader.verify()
        found += [(record_to_json(record), jpeg) for record, jpeg in (reader[i] for i in range(len(reader)))]
    return found


def _newest_checkpoint(workspace: Workspace) -> list[Path]:
    folders = sorted(workspace.runs.glob("train/*/epoch-*"))[-1:]
    return [file for folder in folders for file in sorted(folder.iterdir())]


def _resume(workspace: Workspace) -> Any:
    """The state that a training would resume from; what is logged about a damaged one is the message."""
    newest = _newest_checkpoint(workspace)[0].parent
    heard: list[str] = []
    handler = logging.Handler()
    handler.emit = lambda record: heard.append(record.getMessage())  # type: ignore[method-assign]
    log = logging.getLogger(checkpoint.__name__)
    log.addHandler(handler)
    try:
        found = checkpoint.newest_checkpoint(newest.parent)
    finally:
        log.removeHandler(handler)
    if found != newest:
        raise DeepmarkError(" ".join(heard))
    return json.loads((newest / "state.json").read_text("utf-8"))


def _detect(workspace: Workspace) -> Any:
    detector = load_detector(workspace.model_file, min_score=0.0)
    found = detector(open_shards(workspace, "validation")[0][1])
    return [array.tobytes() for array in (found.boxes, found.scores, found.categories, found.landmarks)]


def _predict(workspace: Workspace) -> Any:
    stages.predict(workspace, strategy="none")
    found, facts = read_predictions(workspace.predictions_file("none"))
    return facts["mlflow_run_id"], [(one.image_id, one.detections.scores.tobytes()) for one in found]


def _evaluate(workspace: Workspace) -> Any:
    return stages.evaluate(workspace, strategy="nms")


def _report(workspace: Workspace) -> str:
    return render_page(report_content(workspace))


def _dagster_records(workspace: Workspace) -> str:
    facts = [records_facts(workspace.root, split) for split in SPLITS]
    return repr((facts, [data_checks.every_file_is_accounted_for(_made(workspace, split)) for split in SPLITS]))


def _dagster_training(workspace: Workspace) -> str:
    checks = [check(_made(workspace)) for check in (model_checks.loss_is_finite, model_checks.loss_falls)]
    return repr((checkpoint_facts(workspace.root, None), checks))


def _dagster_suspects(workspace: Workspace) -> str:
    return repr(suspects_facts(workspace.root, None))


def _made(workspace: Workspace, partition: str | None = None) -> Materialized:
    return Materialized(workspace=workspace.root, partition=partition, previous={})


def _serve(workspace: Workspace) -> Any:
    import pandas as pd

    image = open_shards(workspace, "validation")[0][1]
    return load_champion(workspace).predict(pd.DataFrame({"image": [image]}))
