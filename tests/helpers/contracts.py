"""The contract of an exported model that there need not be."""

from deepmark.runtime.contract import Contract, PredictFacts, graph_inputs, graph_outputs
from deepmark.vocabulary import DEEPFASHION2, Vocabulary


def contract_of(
    input_size: tuple[int, int], *, max_detections: int = 100, vocabulary: Vocabulary = DEEPFASHION2
) -> Contract:
    """The contract of a model with this input, as `deepmark export` writes it."""
    return Contract(
        input_size=input_size,
        strategies=("none", "nms"),
        predict=PredictFacts(
            max_detections=max_detections,
            landmark_threshold=0.1,
            peaks=100,
            nms="hard",
            nms_iou=0.5,
            soft_nms_sigma=0.5,
            min_score=0.0,
        ),
        precision="float32",
        vocabulary=vocabulary,
        mean=(0.47, 0.447, 0.408),
        std=(0.278, 0.274, 0.289),
        versions={"deepmark": "1.2.3", "torch": "2.13.0", "onnx_opset": "19"},
        sha256={"checkpoint": "0" * 64, "params": "1" * 64},
        data_version=None,
        facts={},
        inputs=graph_inputs(input_size),
        outputs=graph_outputs(max_detections, vocabulary),
    )
