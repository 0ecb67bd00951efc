"""Batch inference: predictions of many images or of shards, in order, spread by an engine."""

import os
import time
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import closing
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from deepmark.compute.engine import Engine
from deepmark.compute.local import Local
from deepmark.data.predictions import from_batch
from deepmark.data.shards.index import index_file
from deepmark.data.shards.reader import ShardReader
from deepmark.errors import DeepmarkError
from deepmark.images import open_image
from deepmark.infer.find_images import Source, find_images
from deepmark.infer.part_files import Part
from deepmark.infer.parts import Model, ShardParts, at_once, made_part, part_bounds, run_parts
from deepmark.infer.predict import PROFILE_PREDICT_PARAMS, PreparedImage, predict_positions
from deepmark.model.detector import read_detector
from deepmark.params import PredictParams
from deepmark.runtime.image_detector import check_min_score, check_strategy, least_score
from deepmark.runtime.onnx_detector import OnnxDetector
from deepmark.types import Prediction


def predict_images(
    images: str | os.PathLike[str] | Iterable[str | os.PathLike[str]],
    model: Path,
    *,
    strategy: str = "nms",
    min_score: float | None = None,
    predict: PredictParams | None = None,
    recursive: bool = False,
    engine: Engine | None = None,
    unreadable: Callable[[str], None] | None = None,
    progress: Callable[[int], None] = lambda count: None,
) -> Iterator[Prediction]:
    """As `deepmark.predict_images`, of a model's file."""
    several = isinstance(images, Iterable) and not isinstance(images, str | bytes | os.PathLike)
    given: list[Any] = list(images) if several else [images]  # type: ignore[arg-type]
    if not all(isinstance(one, str | os.PathLike) for one in given):
        wrong = next(type(one).__name__ for one in given if not isinstance(one, str | os.PathLike))
        raise DeepmarkError(f"predict_images: expected paths of images or a folder of shards, found {wrong}.")
    if engine is not None and not isinstance(engine, Engine):
        raise DeepmarkError(
            "predict_images: engine: expected one such as deepmark.compute.local.Local(2), found "
            f"{type(engine).__name__}."
        )
    check_strategy(strategy)
    check_min_score(min_score)
    of = Model.of(model, strategy, _section(model, strategy, min_score, predict))
    sources = [one if isinstance(one, str) else Path(one) for one in given]
    pieces, function = _work(sources, of, recursive, unreadable, progress)
    return _predictions(engine or Local(), function, pieces, progress, unreadable)


def _section(model: Path, strategy: str, min_score: float | None, predict: PredictParams | None) -> PredictParams:
    """The section predict of a model with the least score that people are to see."""
    if model.suffix == ".onnx":
        least = OnnxDetector(model, strategy=strategy, min_score=min_score).min_score
        return PROFILE_PREDICT_PARAMS.model_copy(update={"min_score": least})
    params = predict or read_detector(model).predict or PROFILE_PREDICT_PARAMS
    return params.model_copy(update={"min_score": least_score(min_score, params.min_score)})


def _work(
    given: list[Source],
    model: Model,
    recursive: bool,
    unreadable: Callable[[str], None] | None,
    progress: Callable[[int], None],
) -> tuple[Sequence[Any], Callable[[Any], Part]]:
    """The pieces, and the function that predicts one."""
    size, shards = model.params.batch_size, [one for one in given if index_file(Path(one)).is_file()]
    if not shards:
        found = [
            file.absolute() if isinstance(file, Path) else file for file in find_images(given, recursive=recursive)
        ]
        pieces = [(part.start, found[part.start : part.stop]) for part in part_bounds(len(found), size)]
        return pieces, FileParts(model=model, skip=unreadable is not None, progress=progress)
    if len(given) > 1:
        raise DeepmarkError(f"{shards[0]}: a folder of shards is predicted alone. Call predict_images for each folder.")
    reader = ShardReader(shards[0])
    return part_bounds(len(reader), size), ShardParts(model=model, reader=reader, folder=None, progress=progress)


def _predictions(
    engine: Engine,
    function: Callable[[Any], Part],
    pieces: Sequence[Any],
    progress: Callable[[int], None],
    unreadable: Callable[[str], None] | None,
) -> Iterator[Prediction]:
    with closing(run_parts(engine, function, pieces, progress=progress, note=unreadable or print)) as parts:
        for part in parts:
            for batch in part.table.to_batches():
                yield from from_batch(batch)


@dataclass(frozen=True, kw_only=True)
class FileParts:
    """The function that predicts a part of the images, given the number of its first and all their files."""

    model: Model
    skip: bool
    """Whether images that cannot be read are left out, and named in the notes of the part."""

    progress: Callable[[int], None] | None = None
    """Called with the number of images of every batch, if this process predicts; it is not sent to others."""

    def __reduce__(self) -> tuple[Any, ...]:
        return _file_parts, (self.model, self.skip)

    def __call__(self, piece: tuple[int, Sequence[Source]]) -> Part:
        """The part."""
        first, files = piece
        predictor, size = self.model.predictor(), self.model.params.batch_size
        notes: list[str] = []

        def read(position: int) -> tuple[int, str, PreparedImage] | None:
            file, start = files[position], time.perf_counter()
            try:
                prepared = predictor.prepare_opened(open_image(file))
            except DeepmarkError as error:
                if not self.skip:
                    raise
                notes.append(str(error))
                return None
            read_ms = 1e3 * (time.perf_counter() - start)
            return first + position, os.fspath(file), replace(prepared, read_ms=read_ms)

        advance = self.progress or (lambda count: None)
        with at_once(predictor) as count:
            work = {"batch_size": size, "at_once": count}
            found = predict_positions(range(len(files)), read, predictor.detect, **work, progress=advance)
            part = made_part(predictor, found, count)
        return replace(part, notes=tuple(sorted(notes)), waiting=0 if self.progress else len(files))


def _file_parts(model: Model, skip: bool) -> FileParts:
    return FileParts(model=model, skip=skip)
