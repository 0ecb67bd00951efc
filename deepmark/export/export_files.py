"""The stage `export`: the ONNX files of a checkpoint, each compared with torch before any is kept."""

import hashlib
import json
import time
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Any

import numpy as np

from deepmark.data.predictions import read_predictions
from deepmark.data.shards.reader import ShardReader
from deepmark.digests import write_json_with_digest
from deepmark.errors import DeepmarkError
from deepmark.eval.metric.compare import Difference, compare
from deepmark.eval.metric.timing_file import read_timing
from deepmark.export.equality import BOX_PIXELS, LANDMARK_PIXELS, SCORE, Equality, equality
from deepmark.export.onnx_file import export_onnx
from deepmark.export.smaller import write_float16, write_int8
from deepmark.files import file_sha256, new_folder, require_file, write_text
from deepmark.infer.predict import Predictor
from deepmark.model.detector import load_network, read_detector
from deepmark.params import ExportParams, PredictParams
from deepmark.progress import progress
from deepmark.runtime.contract import CONTRACT_FILE, FILES, flip_file
from deepmark.runtime.onnx_detector import OnnxDetector, PlacedImage
from deepmark.schema import SPLITS
from deepmark.shapes import UInt8
from deepmark.types import ImageRecord, Prediction
from deepmark.vocabulary import check_same
from deepmark.workspace.inputs import find_predictions, open_shards
from deepmark.workspace.layout import Workspace

FIGURES = ("box_ap", "landmark_ap")
"""What no file may lose more of than `export.max_ap_drop`."""

_BATCH = 8


def export_workspace(workspace: Workspace, data_version: str | None) -> dict[str, Any]:
    """The stage `export`: the checkpoint as ONNX files in export/, and metrics/export.json, whose values are returned.

    Raises DeepmarkError, and writes nothing, where the float32 file does not find what torch finds, or a file loses
    more AP than export.max_ap_drop.
    """
    model = require_file(workspace.model_file, "deepmark train")
    predict, params = workspace.params.predict, workspace.params.export
    train, validation = (open_shards(workspace, split) for split in SPLITS)
    strategies = ("none", "flip") if params.flip else ("none",)
    stored, remedy = read_detector(model).vocabulary, "Train on these shards again: `dvc repro`."
    for reader in (train, validation):
        check_same(stored, model, reader.vocabulary, f"{workspace.params.storage.shards}/{reader.split}", remedy)
    judges = [_Judge(model, validation, strategy, workspace) for strategy in strategies]
    names = ["float32", *sorted(set(params.formats) - {"float32"})]
    sha256 = {"checkpoint": file_sha256(model), "params": params_sha256(predict, params)}
    figures = {}
    rounds = [(judge, name) for judge in judges for name in names]
    with new_folder(workspace.export) as draft, progress("export", len(rounds) * len(validation)) as advance:
        for judge, name in rounds:
            base, file = (draft / judge.file_name(one) for one in ("float32", name))
            if name == "float32":
                contract = export_onnx(
                    judge.detector,
                    file,
                    predict,
                    peaks=params.peaks,
                    flip=judge.flip,
                    sha256=sha256,
                    data_version=data_version,
                )
                if not judge.flip:
                    write_text(draft / CONTRACT_FILE, contract.to_json())
            elif name == "float16":
                write_float16(base, file)
            else:
                write_int8(base, file, judge.batches(train, params.calibration_images))
            figures[f"{name} flip" if judge.flip else name] = judge.figures_of(draft, name, advance)
    torch_ms = {"torch_flip_ms" if judge.flip else "torch_ms": judge.torch_ms for judge in judges}
    metrics = {**torch_ms, "files": figures}
    write_json_with_digest(workspace.export_metrics_file, metrics)
    return metrics


def params_sha256(predict: PredictParams, export: ExportParams) -> str:
    """The digest of the sections that decide what the files of a checkpoint are."""
    return hashlib.sha256((predict.stored_json() + export.stored_json()).encode()).hexdigest()


class _Judge:
    """Compares files with the detector that they are made of."""

    def __init__(self, model: Path, validation: ShardReader, strategy: str, workspace: Workspace) -> None:
        """`strategy` is that of the predictions by torch which a file's are compared with: none, or flip."""
        self.detector = load_network(model)
        self.strategy, self.flip = strategy, strategy == "flip"
        self._model, self._validation, self._params = model, validation, workspace.params
        self._predictor = Predictor(self.detector, strategy, self._params.predict)
        self._records = [validation.record(position) for position in range(len(validation))]
        by_torch, facts = read_predictions(find_predictions(workspace, strategy))
        earlier = json.loads(facts.get("ms", "{}"))  # of a release whose predictions held their times
        self._by_torch, ms = list(by_torch), read_timing(workspace.timing_file(strategy)).get("ms", earlier)
        self.torch_ms = ms["network"] + ms["decode"] if ms else None

    def file_name(self, precision: str) -> str:
        """The name of the file of this precision and strategy."""
        return flip_file(FILES[precision]) if self.flip else FILES[precision]

    def figures_of(self, folder: Path, precision: str, progress: Callable[[int], None]) -> dict[str, Any]:
        """Size, time, APs and equality of a file; `progress` is called with the number of images it has seen.

        Raises DeepmarkError where it is not good enough.
        """
        file, base = folder / self.file_name(precision), folder / FILES[precision]
        images = self.batches(self._validation, self._params.export.equality_images)
        same = equality(self.detector, base, images, self._params.predict, flip=self.flip)
        if precision == "float32" and not same.holds():
            raise DeepmarkError(_unequal(self._model, same))
        found, ms = self._predictions(base, progress)
        resamples, seed = self._params.evaluate.resamples, self._params.evaluate.seed
        vocabulary = self._validation.vocabulary
        compared = compare(self._records, self._by_torch, found, vocabulary=vocabulary, resamples=resamples, seed=seed)
        overall = {one.metric: one for one in compared if one.scope == "all"}
        check_drop(file, overall, self._params.export.max_ap_drop)
        return {
            "file": file.name,
            "sha256": file_sha256(file),
            "bytes": file.stat().st_size,
            "ms": ms,
            **{name: _figure(overall[name]) for name in FIGURES},
            "equality": {**same.as_dict(), "holds": same.holds()},
        }

    def batches(self, reader: ShardReader, most: int) -> Iterator[UInt8[np.ndarray, "_ h w 3"]]:
        """Batches of canvases of at most so many images, spread evenly over the shards."""
        positions = np.unique(np.linspace(0, len(reader) - 1, min(most, len(reader))).astype(int)).tolist()
        for start in range(0, len(positions), _BATCH):
            prepared = [self._prepare(*reader[position]) for position in positions[start : start + _BATCH]]
            yield np.stack([one.canvas for one in prepared])

    def _prepare(self, record: ImageRecord, jpeg: bytes) -> PlacedImage:
        image = self._predictor.prepare_jpeg(jpeg, (record.height, record.width))
        return PlacedImage(size=image.size, affine=image.affines[0], canvas=image.canvases[0])

    def _predictions(self, file: Path, progress: Callable[[int], None]) -> tuple[list[Prediction], float]:
        """What the file finds in every image, one by one, and the mean milliseconds from canvas to detections."""
        detector = OnnxDetector(file, strategy=self.strategy, min_score=self._params.predict.min_score)
        found, seconds = [], 0.0
        for position in range(len(self._validation)):
            record, jpeg = self._validation[position]
            image = self._prepare(record, jpeg)
            start = time.perf_counter()
            detections = detector.detect([image])[0]
            seconds += time.perf_counter() - start
            found.append(Prediction(record.id, record.file, detections))
            progress(1)
        return found, 1e3 * seconds / max(1, len(self._validation))


def _figure(of: Difference) -> dict[str, float | None]:
    """A figure of the file, and its difference from torch's with its 95% interval."""
    low, high = (of.interval.low, of.interval.high) if of.interval else (None, None)
    return {"torch": of.a, "value": of.b, "difference": of.difference, "low": low, "high": high}


def check_drop(file: Path, overall: Mapping[str, Difference], most: float) -> None:
    """Raise DeepmarkError where a file has lost more of a figure than `most`; `overall` are torch's and its by name."""
    lost = [overall[name] for name in FIGURES if -(overall[name].difference or 0.0) > most]
    if lost:
        words = "; ".join(
            f"{one.metric} is {one.b:.4f}, torch's {one.a:.4f}"
            + (
                f" (95% of the differences: {one.interval.low:+.4f} to {one.interval.high:+.4f})"
                if one.interval
                else ""
            )
            for one in lost
        )
        raise DeepmarkError(
            f"{file.name}: refused: it loses more than export.max_ap_drop {most:g}: {words}. Raise "
            "export.calibration_images, leave this format out of export.formats, or allow more by export.max_ap_drop."
        )


def _unequal(model: Path, same: Equality) -> str:
    return (
        f"{model}: its ONNX file does not find what torch finds, so nothing was exported: of {same.garments} garments "
        f"{same.missing} are missing, boxes differ by up to {same.box:.3g} px (at most {BOX_PIXELS}), scores by "
        f"{same.score:.2g} (at most {SCORE:g}), and {same.landmarks_off} of {same.landmarks} landmarks by more than "
        f"{LANDMARK_PIXELS} px. Set export.peaks to 100 if it is lower; else report this as a fault of DeepMark."
    )
