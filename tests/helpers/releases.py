"""Workspaces with versions in their registry, whose figures are as a test wants them."""

import json

import numpy as np

from deepmark import stages
from deepmark.data.predictions import write_predictions
from deepmark.data.records import read_records
from deepmark.files import file_sha256
from deepmark.model.detector import build_detector, save_detector
from deepmark.schema import MOST_LANDMARKS
from deepmark.types import Detections, ImageRecord
from deepmark.workspace.layout import Workspace


def evaluated(workspace: Workspace, *, finds_every: int, seed: int | None = None) -> Workspace:
    """The checkpoint, or an untrained one of this seed, evaluated as if it found all in every n-th picture."""
    if seed is not None:
        save_detector(build_detector(workspace.params.model, seed=seed), workspace.model_file)
    strategy = workspace.params.promote.strategy
    facts = {
        "strategy": strategy,
        "checkpoint_sha256": file_sha256(workspace.model_file),
        "mlflow_run_id": json.loads(workspace.training_file.read_text("utf-8"))["mlflow_run_id"],
        "device": "cpu",
        "ms": json.dumps({"read": 1.0, "network": float(finds_every), "decode": float(seed or 0)}),
    }
    found = [
        (one.id, one.file, _truth(one, everything=place % finds_every == 0))
        for place, one in enumerate(read_records(workspace.records_file("validation")))
    ]
    write_predictions(workspace.predictions_file(strategy), found, facts)
    stages.evaluate(workspace, strategy=strategy)
    return workspace


def _truth(record: ImageRecord, *, everything: bool) -> Detections:
    """All that is labelled, as if it had been found, or nothing."""
    garments = record.garments if everything else ()
    landmarks = np.zeros((len(garments), MOST_LANDMARKS, 2), np.float32)
    for row, garment in zip(landmarks, garments, strict=True):
        row[: len(garment.landmarks)] = garment.landmarks[:, :2]
    return Detections(
        boxes=np.array([garment.box for garment in garments], np.float32).reshape(-1, 4),
        scores=np.full(len(garments), 0.9, np.float32),
        categories=np.array([garment.category for garment in garments], np.int64),
        landmarks=landmarks,
        landmark_scores=np.zeros(landmarks.shape[:2], np.float32),
    )
