"""Smaller files of an exported model: weights in float16, or the backbone in integers of 8 bits."""

import tempfile
from collections.abc import Iterable, Iterator
from dataclasses import replace
from pathlib import Path

import numpy as np
import onnx
from onnx import ModelProto, NodeProto, TensorProto, helper, numpy_helper
from onnxruntime.quantization import CalibrationDataReader, CalibrationMethod, QuantFormat, QuantType, quantize_static

from deepmark.export.onnx_file import quietly, write_onnx
from deepmark.runtime.contract import Contract
from deepmark.shapes import UInt8

_HEADS = "detector.heads."
"""Where the names of the heads' weights begin."""

_FLOAT_BEFORE_HEADS = 2
"""Convolutions one after the other, up to the heads, that stay in float: of the error of the features that the heads
read, these two make most. With them in integers the model that comes with DeepMark loses .037 box AP, so .001.
"""


def write_float16(source: Path, path: Path) -> Contract:
    """Write the model with weights of 16 bits, half the size; arithmetic stays in float32.

    A runtime widens the weights when it loads the file. A weight that has no float16 keeps its 32 bits.
    """
    model, contract = _read(source)
    casts: list[NodeProto] = []
    for weight in model.graph.initializer:
        values = numpy_helper.to_array(weight) if weight.data_type == TensorProto.FLOAT else np.empty(0)
        half = values.astype(np.float16) if np.abs(values).max(initial=0) < np.finfo(np.float16).max else values
        if values.ndim < 2 or half.dtype != np.float16:
            continue
        name = weight.name
        weight.CopyFrom(numpy_helper.from_array(half, f"{name}.float16"))
        casts.append(helper.make_node("Cast", [weight.name], [name], f"{name}.cast", to=TensorProto.FLOAT))
    nodes = [*casts, *model.graph.node]
    del model.graph.node[:]
    model.graph.node.extend(nodes)
    return _write(model, path, replace(contract, precision="float16"))


def write_int8(source: Path, path: Path, calibration: Iterable[UInt8[np.ndarray, "_ h w 3"]]) -> Contract:
    """Write the model with the convolutions of its backbone in integers of 8 bits, a third of the size.

    The ranges of their inputs are the least and greatest values on the `calibration` canvases. Heads and the last
    layers before them stay in float, because a heatmap's peaks are told apart by less than an eighth bit; so do
    deformable layers, which have no integer form.
    """
    model, contract = _read(source)
    with tempfile.TemporaryDirectory(prefix="deepmark-") as folder, quietly():
        quantised = Path(folder) / "int8.onnx"
        quantize_static(
            source,
            quantised,
            _Canvases(contract.inputs[0].name, calibration),
            quant_format=QuantFormat.QDQ,
            op_types_to_quantize=["Conv"],
            nodes_to_exclude=_kept_in_float(model),
            per_channel=True,
            activation_type=QuantType.QUInt8,
            weight_type=QuantType.QInt8,
            calibrate_method=CalibrationMethod.MinMax,
        )
        model = onnx.load(quantised)
    return _write(model, path, replace(contract, precision="int8"))


def _kept_in_float(model: ModelProto) -> list[str]:
    """The names of the heads' convolutions and of the last ones before them, between which nothing is but ReLU."""
    heads = [one for one in model.graph.node if one.op_type == "Conv" and one.input[1].startswith(_HEADS)]
    makers = {name: node for node in model.graph.node for name in node.output}
    kept, last = [one.name for one in heads], heads[0]
    for _ in range(_FLOAT_BEFORE_HEADS):
        maker = makers.get(last.input[0])
        if maker and maker.op_type == "Relu":
            maker = makers.get(maker.input[0])
        if not maker or maker.op_type != "Conv":
            break
        last = maker
        kept.append(last.name)
    return kept


class _Canvases(CalibrationDataReader):
    """Canvases one at a time, as onnxruntime asks for them: eight of an hourglass at 512 x 512 took over 24 GB."""

    def __init__(self, name: str, batches: Iterable[UInt8[np.ndarray, "_ h w 3"]]) -> None:
        self._name, self._canvases = name, (canvas for batch in batches for canvas in batch)

    def get_next(self) -> dict[str, np.ndarray] | None:
        canvas = next(self._canvases, None)
        return None if canvas is None else {self._name: canvas[None]}

    def __iter__(self) -> Iterator[dict[str, np.ndarray]]:
        return self


def _read(source: Path) -> tuple[ModelProto, Contract]:
    model = onnx.load(source)
    return model, Contract.from_metadata({one.key: one.value for one in model.metadata_props}, str(source))


def _write(model: ModelProto, path: Path, contract: Contract) -> Contract:
    write_onnx(model, path, contract)
    return contract
