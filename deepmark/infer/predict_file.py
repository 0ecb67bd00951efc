"""The predictions of a model file for a folder of shards, written to one file with the facts of how they were made."""

import sys
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path

import pyarrow as pa
import torch

from deepmark.compute.engine import Engine
from deepmark.data.predictions import write_prediction_tables
from deepmark.data.shards.reader import ShardReader
from deepmark.files import file_sha256, require_space
from deepmark.infer.exported_predictor import ExportedPredictor
from deepmark.infer.part_files import Part, kept_parts
from deepmark.infer.parts import Model, ShardParts, part_bounds, run_parts
from deepmark.infer.predict import Timing, best_device
from deepmark.params import PredictParams
from deepmark.progress import progress
from deepmark.version import __version__

_BYTES = 500
"""A low estimate of what the predictions of an image take on disk: a few garments."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Predicted:
    """What a prediction took; its results do not depend on it."""

    images: int
    ms: dict[str, float]
    """Mean milliseconds of an image: read, network, decode."""

    device: str
    """Such as cpu or cuda."""


def predict_file(
    model: Path,
    reader: ShardReader,
    out: Path,
    *,
    strategy: str,
    params: PredictParams,
    run_id: str,
    engine: Engine,
    parts: Path,
) -> Predicted:
    """Predict every image of the shards in parts, which the engine runs; `parts` is where they are kept meanwhile.

    `model` is a checkpoint, or an ONNX file of `deepmark export`, whose own section `predict` counts except for
    `min_score` and `batch_size`. The file has neither a clock nor a machine in it: the same model, images and
    parameters give the same bytes on devices of one kind, whatever the engine, and after a kill.

    Raises DeepmarkError where the model or a shard cannot be read, or the file lacks the strategy.
    """
    require_space(out, len(reader) * _BYTES)
    of = Model.of(model, strategy, params)
    facts = {"strategy": strategy, **_origin(of), "mlflow_run_id": run_id}
    identity = {
        "model": of.sha256,
        "shards": reader.sha256,
        "params": params.stored(),
        "device": _device_name(),
        "versions": [__version__, torch.__version__],
    }
    timing, devices = Timing(), dict[str, None]()

    def tables(parts: Iterable[Part]) -> Iterator[pa.Table]:
        nonlocal timing
        for part in parts:
            timing, devices[part.device] = timing + part.timing, None
            yield part.table

    with kept_parts(parts, strategy, identity) as folder, progress(f"predict {strategy}", len(reader)) as advance:
        function = ShardParts(model=of, reader=reader, folder=folder.absolute(), progress=advance)
        pieces = part_bounds(len(reader), params.batch_size)
        made = run_parts(engine, function, pieces, progress=advance, note=_tell)
        images = write_prediction_tables(out, tables(made), facts)
    return Predicted(images=images, ms=timing.per_image(), device=", ".join(devices))


def _origin(model: Model) -> dict[str, str]:
    """The sums of the files that a model is of."""
    if model.path.suffix != ".onnx":
        return {"checkpoint_sha256": model.sha256}
    predictor = model.predictor()
    assert isinstance(predictor, ExportedPredictor)
    checkpoint = predictor.contract.sha256.get("checkpoint", "")
    return {"checkpoint_sha256": checkpoint, "exported_sha256": file_sha256(model.path)}


def _device_name() -> str:
    """What kind of device this machine predicts on: parts of another kind differ in the last digits."""
    device = best_device()
    return device.type if device.type == "cpu" else torch.cuda.get_device_name(device)


def _tell(text: str) -> None:
    print(f"deepmark predict: {text}", file=sys.stderr, flush=True)
