"""Workspaces with registered versions, whose figures are chosen by the test."""

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from deepmark import stages
from deepmark.data.predictions import write_predictions
from deepmark.data.records import read_records
from deepmark.eval.metric.timing_file import timing_of, write_timing
from deepmark.files import file_sha256
from deepmark.model.detector import build_detector, save_detector
from deepmark.registry.versions import Registry
from deepmark.tracking.mlflow_store import as_current_store, store_errors, tracking_uri
from deepmark.types import Detections, ImageRecord
from deepmark.vocabulary import DEEPFASHION2
from deepmark.workspace import predict_validation
from deepmark.workspace.layout import Workspace


def evaluated(workspace: Workspace, *, finds_every: int, seed: int | None = None) -> Workspace:
    """Evaluate the checkpoint, or an untrained one of this seed, as if it detected all garments of every n-th image."""
    if seed is not None:
        save_detector(build_detector(workspace.params.model, DEEPFASHION2, seed=seed), workspace.model_file)
    strategy = workspace.params.promote.strategy
    facts = {
        "strategy": strategy,
        "checkpoint_sha256": file_sha256(workspace.model_file),
        "mlflow_run_id": json.loads(workspace.training_file.read_text("utf-8"))["mlflow_run_id"],
    }
    predictions = [
        (one.id, one.file, _truth(one, all_garments=place % finds_every == 0))
        for place, one in enumerate(read_records(workspace.records_file("validation")))
    ]
    write_predictions(workspace.predictions_file(strategy), predictions, facts)
    times = {"read": 1.0, "network": float(finds_every), "decode": float(seed or 0)}
    timing = timing_of(times, "cpu", len(predictions))
    write_timing(workspace.timing_file(strategy), timing, workspace.predictions_file(strategy))
    stages.evaluate(workspace, strategy=strategy)
    return workspace


def _truth(record: ImageRecord, *, all_garments: bool) -> Detections:
    """The labels of an image as detections, or no detections."""
    garments = record.garments if all_garments else ()
    landmarks = np.zeros((len(garments), DEEPFASHION2.most_landmarks, 2), np.float32)
    for row, garment in zip(landmarks, garments, strict=True):
        row[: len(garment.landmarks)] = garment.landmarks[:, :2]
    return Detections(
        boxes=np.array([garment.box for garment in garments], np.float32).reshape(-1, 4),
        scores=np.full(len(garments), 0.9, np.float32),
        categories=np.array([garment.category for garment in garments], np.int64),
        landmarks=landmarks,
        landmark_scores=np.zeros(landmarks.shape[:2], np.float32),
    )


def aliases(workspace: Workspace) -> dict[int, tuple[str, ...]]:
    """The aliases of every version, by its number."""
    return {one.number: one.aliases for one in Registry(workspace.root).versions()}


def tags(workspace: Workspace, number: int) -> Mapping[str, str]:
    """The tags of a version."""
    return next(one.tags for one in Registry(workspace.root).versions() if one.number == number)


def registered_weights(workspace: Workspace, sha256: str | None) -> list[Path]:
    """The files of weights in the workspace's store that have this sum."""
    files = (workspace.root / "mlartifacts").rglob("model.safetensors")
    return [file for file in files if file_sha256(file) == sha256]


def flip_bit(file: Path) -> None:
    """Flip one bit in the middle of a file."""
    data = bytearray(file.read_bytes())
    data[len(data) // 2] ^= 4
    file.write_bytes(data)


def load_champion(workspace: Workspace) -> Any:
    """The champion as MLflow serves it."""
    uri = tracking_uri(workspace.root)
    with store_errors(uri), as_current_store(uri):
        import mlflow.pyfunc

        return mlflow.pyfunc.load_model("models:/deepmark@champion")


def cannot_predict(monkeypatch: pytest.MonkeyPatch) -> None:
    """From now on a prediction fails the test."""

    def refuse(*_: object, **__: object) -> None:
        raise AssertionError("predicted")

    monkeypatch.setattr(predict_validation, "predict_validation", refuse)
