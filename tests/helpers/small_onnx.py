"""A small ONNX file of DeepMark's, made by hand: what it finds depends on the brightness of the canvas."""

from dataclasses import replace
from pathlib import Path

import numpy as np
from onnx import TensorProto, helper, numpy_helper

from deepmark.digests import NO_DIGEST, new_file_with_digest
from deepmark.runtime.contract import (
    METADATA_KEY,
    Contract,
    PredictFacts,
    graph_inputs,
    graph_outputs,
)
from deepmark.vocabulary import DEEPFASHION2, Vocabulary

INPUT_SIZE = (32, 64)
BOXES = np.array([[4, 4, 20, 28], [5, 4, 20, 28], [30, -6, 60, 40], [0, 0, 0, 0]], np.float32)
"""Pixels of the canvas; the first two overlap, the last row holds no garment."""

CATEGORIES = np.array([0, 0, 7, 0])
SCORES = np.array([0.8, 0.7, 0.5, 0], np.float32)
"""On a white canvas; on a darker one they are lower."""

CONTRACT = Contract(
    input_size=INPUT_SIZE,
    strategies=("none", "nms"),
    predict=PredictFacts(
        max_detections=4, landmark_threshold=0.1, peaks=100, nms="hard", nms_iou=0.5, soft_nms_sigma=0.5, min_score=0.0
    ),
    precision="float32",
    vocabulary=DEEPFASHION2,
    mean=(0.0, 0.0, 0.0),
    std=(1.0, 1.0, 1.0),
    versions={"deepmark": "0", "torch": "none", "onnx_opset": "19"},
    sha256={},
    data_version=None,
    facts={},
    inputs=graph_inputs(INPUT_SIZE),
    outputs=graph_outputs(4, DEEPFASHION2),
)

_TYPES = {"uint8": TensorProto.UINT8, "float32": TensorProto.FLOAT, "int64": TensorProto.INT64}


def contract_for(vocabulary: Vocabulary) -> Contract:
    """The contract of the same graph for other garments."""
    return replace(CONTRACT, vocabulary=vocabulary, outputs=graph_outputs(4, vocabulary))


def small_onnx(
    path: Path, *, described: Contract | str | None = CONTRACT, vocabulary: Vocabulary = DEEPFASHION2
) -> Path:
    """Write the graph, with `described` as its contract, if any; returns the path.

    Categories are those of CATEGORIES, or of the vocabulary's last ones where it has fewer.
    """
    most, last = vocabulary.most_landmarks, len(vocabulary.categories) - 1
    landmarks = np.arange(4 * most * 2, dtype=np.float32).reshape(4, most, 2) % 60
    rows = {
        "boxes": BOXES,
        "categories": np.minimum(CATEGORIES, last),
        "landmarks": landmarks,
        "landmark_scores": np.where(landmarks[..., 0] > 30, np.float32(0.5), np.float32(0)),
    }
    values = {"white": np.float32(255), "sides": np.array([1, 2, 3]), "row": np.array([1]), "highest": SCORES}
    nodes = [
        helper.make_node("Cast", ["images"], ["floats"], to=TensorProto.FLOAT),
        helper.make_node("ReduceMean", ["floats", "sides"], ["means"], keepdims=0),
        helper.make_node("Div", ["means", "white"], ["brightness"]),
        helper.make_node("Unsqueeze", ["brightness", "row"], ["column"]),
        helper.make_node("Mul", ["column", "highest"], ["scores"]),
        helper.make_node("Shape", ["images"], ["batch"], start=0, end=1),
    ]
    for name, row in rows.items():
        values |= {f"{name} of one": row, f"{name} shape": np.array(row.shape)}
        nodes += [
            helper.make_node("Concat", ["batch", f"{name} shape"], [f"{name} shape of all"], axis=0),
            helper.make_node("Expand", [f"{name} of one", f"{name} shape of all"], [name]),
        ]
    ends = [
        [helper.make_tensor_value_info(one.name, _TYPES[one.dtype], one.shape) for one in side]
        for side in (CONTRACT.inputs, graph_outputs(4, vocabulary))
    ]
    constants = [numpy_helper.from_array(np.asarray(value), name) for name, value in values.items()]
    graph = helper.make_graph(nodes, "small", *ends, constants)
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 19)], ir_version=9)
    text = described.to_json() if isinstance(described, Contract) else described
    helper.set_model_props(model, {"digest": NO_DIGEST} | ({} if text is None else {METADATA_KEY: text}))
    with new_file_with_digest(path) as draft:
        draft.write_bytes(model.SerializeToString())
    return path


def flip_of(contract: Contract = CONTRACT) -> Contract:
    """The contract of the second graph, for the strategy flip."""
    return replace(contract, strategies=("flip",))
