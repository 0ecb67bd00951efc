"""The detector as an ONNX file that holds its contract; the same checkpoint and parameters give the same bytes."""

import logging
import warnings
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path

import onnx
import torch
from onnx import ModelProto
from onnxscript import opset19

from deepmark.digests import NO_DIGEST, new_file_with_digest
from deepmark.export.graph import DetectorGraph
from deepmark.model.detector import Detector
from deepmark.params import PredictParams
from deepmark.runtime.contract import (
    METADATA_KEY,
    Contract,
    PredictFacts,
    graph_inputs,
    graph_outputs,
)
from deepmark.schema import EXPORTED_STRATEGIES
from deepmark.version import __version__

OPSET = 19
"""Of ONNX; the first with DeformConv."""

_DIGEST_KEY = "digest"
"""In the metadata of the file; see deepmark.digests."""


def export_onnx(
    detector: Detector,
    path: Path,
    predict: PredictParams,
    *,
    peaks: int = 100,
    flip: bool = False,
    sha256: Mapping[str, str] | None = None,
    data_version: str | None = None,
) -> Contract:
    """Write the detector with its decoding as an ONNX file of float32 weights, whole or not at all.

    The graph takes any number of canvases at once. `peaks` is how many of the strongest peaks of a heatmap may place a
    landmark. With `flip` it serves the strategy of that name, and no other. `sha256` and `data_version` are for the
    contract, which is returned.
    """
    contract = Contract(
        input_size=detector.params.input_size,
        strategies=("flip",) if flip else EXPORTED_STRATEGIES,
        predict=PredictFacts(
            max_detections=predict.max_detections,
            landmark_threshold=predict.landmark_threshold,
            peaks=peaks,
            nms=predict.nms,
            nms_iou=predict.nms_iou,
            soft_nms_sigma=predict.soft_nms_sigma,
            min_score=predict.min_score,
            rescore=predict.rescore,
            landmark_blend=predict.landmark_blend,
        ),
        precision="float32",
        vocabulary=detector.vocabulary,
        mean=tuple(detector.mean.tolist()),
        std=tuple(detector.std.tolist()),
        versions={"deepmark": __version__, "torch": torch.__version__, "onnx_opset": str(OPSET)},
        sha256=dict(sha256 or {}),
        data_version=data_version,
        facts=dict(detector.facts),
        inputs=graph_inputs(detector.params.input_size),
        outputs=graph_outputs(predict.max_detections, detector.vocabulary),
    )
    model = _to_onnx(DetectorGraph(detector, predict, peaks=peaks, flip=flip), contract)
    write_onnx(model, path, contract)
    return contract


def write_onnx(model: ModelProto, path: Path, contract: Contract) -> None:
    """Write an ONNX file with its contract and a digest, whole or not at all."""
    _strip(model)
    model.producer_name, model.producer_version = "deepmark", __version__
    onnx.helper.set_model_props(model, {METADATA_KEY: contract.to_json(), _DIGEST_KEY: NO_DIGEST})
    with new_file_with_digest(path) as draft:
        draft.write_bytes(model.SerializeToString(deterministic=True))


def _deform_conv_node(x, weight, offset, bias, mask):  # type: ignore[no-untyped-def]  # onnxscript's values
    return opset19.DeformConv(x, weight, offset, bias, mask, kernel_shape=[3, 3], pads=[1, 1, 1, 1])


def _to_onnx(graph: DetectorGraph, contract: Contract) -> ModelProto:
    canvases = torch.zeros(2, *contract.input_size, 3, dtype=torch.uint8)  # one would become a constant
    with quietly(), torch.no_grad():
        program = torch.onnx.export(
            graph.eval(),
            (canvases,),
            dynamo=True,
            verbose=False,
            opset_version=OPSET,
            input_names=[one.name for one in contract.inputs],
            output_names=[one.name for one in contract.outputs],  # otherwise they are called mul_9
            dynamic_shapes=({0: torch.export.Dim("batch", min=1)},),
            custom_translation_table={torch.ops.deepmark.deform_conv.default: _deform_conv_node},
        )
    assert program is not None
    return program.model_proto


@contextmanager
def quietly() -> Iterator[None]:
    """Without warnings that concern nobody: torch's exporter calls its own parts deprecated, and misses torchvision."""
    before = logging.root.manager.disable
    logging.disable(logging.WARNING)
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            yield
    finally:
        logging.disable(before)


def _strip(model: ModelProto) -> None:
    """Remove what differs from machine to machine: file names and lines of code, in every node."""
    for one in (model.graph, *model.graph.node, *model.graph.value_info, *model.graph.input, *model.graph.output):
        del one.metadata_props[:]
        one.doc_string = ""
    for one in model.graph.initializer:
        one.doc_string = ""
