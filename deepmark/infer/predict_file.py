"""The predictions of a model file for a folder of shards, written to one file with the facts of how they were made."""

import json
from pathlib import Path
from typing import Any

from deepmark.data.predictions import write_predictions
from deepmark.data.shards.reader import ShardReader
from deepmark.files import file_sha256, require_space
from deepmark.infer.exported_predictor import ExportedPredictor
from deepmark.infer.predict import Predictor, best_device, predict_shards
from deepmark.model.detector import load_network
from deepmark.params import PredictParams
from deepmark.progress import progress

_BYTES = 500
"""A low estimate of what the predictions of an image take on disk: a few garments."""


def predict_file(
    model: Path, reader: ShardReader, out: Path, *, strategy: str, params: PredictParams, run_id: str
) -> dict[str, Any]:
    """Predict every image of the shards; returns how many there were, and the mean milliseconds per image.

    `model` is a checkpoint, or an ONNX file of `deepmark export`, whose own section `predict` counts except for
    `min_score`. Raises DeepmarkError where the model or a shard cannot be read, or the file lacks the strategy.
    """
    require_space(out, len(reader) * _BYTES)
    predictor, origin = _predictor(model, strategy, params)

    def facts() -> dict[str, str]:
        return {
            "strategy": strategy,
            **origin,
            "mlflow_run_id": run_id,
            "device": str(predictor.device),
            "ms": json.dumps(predictor.timing.per_image()),
        }

    with progress(f"predict {strategy}", len(reader)) as advance:
        predictions = predict_shards(reader, predictor, batch_size=params.batch_size, progress=advance)
        pictures = write_predictions(out, predictions, facts)
    return {"pictures": pictures, "ms": predictor.timing.per_image()}


def _predictor(
    model: Path, strategy: str, params: PredictParams
) -> tuple[Predictor | ExportedPredictor, dict[str, str]]:
    """What predicts, and the sums of the files that it is of."""
    if model.suffix == ".onnx":
        exported = ExportedPredictor(model, strategy, params)
        checkpoint = exported.contract.sha256.get("checkpoint", "")
        return exported, {"checkpoint_sha256": checkpoint, "exported_sha256": file_sha256(model)}
    predictor = Predictor(load_network(model), strategy, params, best_device())
    return predictor, {"checkpoint_sha256": file_sha256(model)}
