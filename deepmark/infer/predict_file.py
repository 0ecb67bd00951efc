"""A model's file and shards -> a file of predictions that says how it was made."""

import json
from pathlib import Path
from typing import Any

from deepmark.data.predictions import write_predictions
from deepmark.data.shards.reader import ShardReader
from deepmark.files import file_sha256
from deepmark.infer.predict import Predictor, Timing, best_device, predict_shards
from deepmark.model.detector import load_detector
from deepmark.params import PredictParams
from deepmark.progress import progress


def predict_file(
    model: Path, reader: ShardReader, out: Path, *, strategy: str, params: PredictParams, run_id: str
) -> dict[str, Any]:
    """Every picture of the shards; returns how many there were, and milliseconds a picture.

    Raises DeepmarkError where the model or a shard cannot be read.
    """
    predictor = Predictor(load_detector(model), strategy, params, best_device())
    timing = Timing()

    def facts() -> dict[str, str]:
        return {
            "strategy": strategy,
            "checkpoint_sha256": file_sha256(model),
            "mlflow_run_id": run_id,
            "device": str(predictor.device),
            "ms": json.dumps(timing.per_picture()),
        }

    with progress(f"predict {strategy}", len(reader)) as advance:
        found = predict_shards(reader, predictor, batch_size=params.batch_size, progress=advance, timing=timing)
        pictures = write_predictions(out, found, facts)
    return {"pictures": pictures, "ms": timing.per_picture()}
