"""Prediction in parts of fixed size, which an engine runs wherever there are devices.

What the parts are depends on the number of images and on `predict.batch_size` alone, and each is a function of the
model, the images and the parameters. So every engine gives the same bytes, and so does a prediction that was killed and
started again: parts that were made are kept until all of them are there.
"""

from collections.abc import Callable, Generator, Iterable, Sequence
from contextlib import AbstractContextManager, closing, nullcontext
from dataclasses import dataclass, replace
from functools import lru_cache
from pathlib import Path
from typing import Any

from deepmark.compute.engine import Engine
from deepmark.data.predictions import to_table
from deepmark.data.shards.reader import ShardReader
from deepmark.errors import DeepmarkError
from deepmark.files import file_sha256
from deepmark.infer.batches import one_thread
from deepmark.infer.exported_predictor import ExportedPredictor
from deepmark.infer.part_files import Part, read_part, write_part
from deepmark.infer.predict import Predictor, Timing, best_device, predict_shards
from deepmark.model.detector import load_network
from deepmark.params import PredictParams
from deepmark.runtime.contract import flip_file
from deepmark.types import Prediction
from deepmark.vocabulary import check_same

LEAST = 512
"""Images of a part at least: some 20 s of work for the light network on two cores, 10 MB as Arrow."""


def part_bounds(count: int, batch_size: int) -> list[range]:
    """The positions of each part: the least multiple of the batch that is 512 images or more, fewer in the last part.

    A part begins with a batch, because PyTorch's kernels, and so the last digits, depend on the size of a batch.
    """
    size = -(-LEAST // batch_size) * batch_size
    return [range(start, min(start + size, count)) for start in range(0, count, size)]


@dataclass(frozen=True, kw_only=True)
class Model:
    """The file of a network with what decides how it predicts."""

    path: Path
    """A checkpoint, or an ONNX file of `deepmark export`."""

    sha256: str
    """Of the file that predicts: an exported one has a second beside it for the strategy flip."""

    strategy: str
    params: PredictParams

    @classmethod
    def of(cls, path: Path, strategy: str, params: PredictParams) -> "Model":
        """The model in a file; raises DeepmarkError where there is none."""
        if not path.is_file():
            _opened(path, strategy, params)  # says what is wrong
        return cls(path=path.absolute(), sha256=_sha256(path, strategy), strategy=strategy, params=params)

    def predictor(self) -> Predictor | ExportedPredictor:
        """Its predictor on the device of this process, loaded when it is first asked for.

        Raises DeepmarkError where the file is no model, lacks the strategy, or is not the one that it was.
        """
        return _loaded(self.path, self.sha256, self.strategy, self.params.model_dump_json())


@lru_cache(maxsize=1)
def _loaded(path: Path, sha256: str, strategy: str, params: str) -> Predictor | ExportedPredictor:
    predictor = _opened(path, strategy, PredictParams.model_validate_json(params))
    if _sha256(path, strategy) != sha256:
        raise DeepmarkError(f"{path}: was replaced by another file while it predicted. Predict again.")
    return predictor


def _opened(path: Path, strategy: str, params: PredictParams) -> Predictor | ExportedPredictor:
    if path.suffix == ".onnx":
        return ExportedPredictor(path, strategy, params)
    return Predictor(load_network(path), strategy, params, best_device())


def _sha256(path: Path, strategy: str) -> str:
    other = path.with_name(flip_file(path.name))
    return file_sha256(other if path.suffix == ".onnx" and strategy == "flip" and other.is_file() else path)


@dataclass(frozen=True, kw_only=True)
class ShardParts:
    """The function that predicts a part of the shards, given its positions; an engine sends it to every worker."""

    model: Model
    reader: ShardReader
    folder: Path | None
    """Where parts are kept, on a disk that all workers share; None keeps none."""

    progress: Callable[[int], None] | None = None
    """Called with the number of images of every batch, if this process predicts; it is not sent to others."""

    def __reduce__(self) -> tuple[Any, ...]:
        return _shard_parts, (self.model, self.reader, self.folder)

    def __call__(self, positions: range) -> Part:
        """The part, as it was kept, or made now and kept.

        Raises DeepmarkError where the model is of another vocabulary than the shards, or a shard cannot be read.
        """
        notes: tuple[str, ...] = ()
        file = self.folder and self.folder / f"{positions.start:09}-{positions.stop:09}.arrow"
        if file:
            try:
                return read_part(file)
            except FileNotFoundError:
                pass
            except DeepmarkError as error:
                notes = (str(error),)
        advance = self.progress or (lambda count: None)
        predictor, size = self.model.predictor(), self.model.params.batch_size
        remedy = "Predict with a model that was trained for this vocabulary."
        check_same(predictor.vocabulary, self.model.path, self.reader.vocabulary, "the folder of shards", remedy)
        with at_once(predictor) as count:
            work = {"batch_size": size, "at_once": count}
            found = predict_shards(self.reader, predictor, positions=positions, progress=advance, **work)
            part = made_part(predictor, found, count)
        if file:
            write_part(file, part)
        return replace(part, notes=notes, waiting=0 if self.progress else len(positions))


def _shard_parts(model: Model, reader: ShardReader, folder: Path | None) -> ShardParts:
    return ShardParts(model=model, reader=reader, folder=folder)


def at_once(predictor: Predictor | ExportedPredictor) -> AbstractContextManager[int]:
    """How many batches of a part are predicted at the same time; onnxruntime has threads of its own."""
    return nullcontext(1) if isinstance(predictor, ExportedPredictor) else one_thread(predictor.device)


def made_part(predictor: Predictor | ExportedPredictor, predictions: Iterable[Prediction], count: int) -> Part:
    """The part that a predictor makes as these predictions are consumed, `count` batches at once; with its time."""
    predictor.timing = Timing()
    table = to_table(list(predictions))
    return Part(table=table, timing=predictor.timing.shared(count), device=str(predictor.device))


def run_parts(
    engine: Engine,
    function: Callable[[Any], Part],
    pieces: Sequence[Any],
    *,
    progress: Callable[[int], None],
    note: Callable[[str], None],
) -> Generator[Part, None, None]:
    """The parts in order, each made where the engine has a device; the model is let go in the end."""
    try:
        with closing(engine.map_in_order(function, pieces, on="device")) as parts:
            for part in parts:
                for text in part.notes:
                    note(text)
                if part.waiting:
                    progress(part.waiting)
                yield part
    finally:
        _loaded.cache_clear()
