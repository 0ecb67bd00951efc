"""DeepMark: one-shot detection of clothes and their landmarks, from DeepFashion2 to a registered model.

    from deepmark import load_detector

    detector = load_detector("model.safetensors")
    print(detector("street.jpg"))

What `__all__` lists is for use from Python. A name is imported when it is first asked for, so `import deepmark` itself
loads neither NumPy nor PyTorch.
"""

from importlib import import_module
from typing import TYPE_CHECKING, Any

from deepmark.version import __version__

if TYPE_CHECKING:  # for type checkers and editors; at run time __getattr__ imports the same
    from deepmark.data.predictions import read_predictions
    from deepmark.data.records import read_records
    from deepmark.data.shards.reader import ShardReader
    from deepmark.data.shards.web_dataset import web_dataset
    from deepmark.detectors import load_detector, predict_images
    from deepmark.errors import DeepmarkError
    from deepmark.eval.coco_score.score import score_files
    from deepmark.eval.metric.evaluate import EvalReport, evaluate
    from deepmark.infer.load_detector import LoadedDetector
    from deepmark.infer.predict import Predictor
    from deepmark.model.detector import load_network
    from deepmark.runtime.image_detector import ImageDetector
    from deepmark.runtime.onnx_detector import OnnxDetector
    from deepmark.synthetic.dataset import draw_dataset
    from deepmark.types import Detections, Garment, ImageRecord, Prediction
    from deepmark.vocabulary import DEEPFASHION2, Category, Vocabulary
    from deepmark.vocabulary.vocabulary_file import read_vocabulary
    from deepmark.workspace.init import init_workspace
    from deepmark.workspace.layout import Workspace

__all__ = [
    "DEEPFASHION2",
    "Category",
    "DeepmarkError",
    "Detections",
    "EvalReport",
    "Garment",
    "ImageDetector",
    "ImageRecord",
    "LoadedDetector",
    "OnnxDetector",
    "Prediction",
    "Predictor",
    "ShardReader",
    "Vocabulary",
    "Workspace",
    "__version__",
    "draw_dataset",
    "evaluate",
    "init_workspace",
    "load_detector",
    "load_network",
    "predict_images",
    "read_predictions",
    "read_records",
    "read_vocabulary",
    "score_files",
    "web_dataset",
]

_MODULES = {
    "DEEPFASHION2": "vocabulary",
    "Category": "vocabulary",
    "DeepmarkError": "errors",
    "Detections": "types",
    "EvalReport": "eval.metric.evaluate",
    "Garment": "types",
    "ImageDetector": "runtime.image_detector",
    "ImageRecord": "types",
    "LoadedDetector": "infer.load_detector",
    "OnnxDetector": "runtime.onnx_detector",
    "Prediction": "types",
    "Predictor": "infer.predict",
    "ShardReader": "data.shards.reader",
    "Vocabulary": "vocabulary",
    "Workspace": "workspace.layout",
    "draw_dataset": "synthetic.dataset",
    "evaluate": "eval.metric.evaluate",
    "init_workspace": "workspace.init",
    "load_detector": "detectors",
    "load_network": "model.detector",
    "predict_images": "detectors",
    "read_predictions": "data.predictions",
    "read_records": "data.records",
    "read_vocabulary": "vocabulary.vocabulary_file",
    "score_files": "eval.coco_score.score",
    "web_dataset": "data.shards.web_dataset",
}
"""The module below `deepmark` that defines each name."""


if not TYPE_CHECKING:  # a type checker would take any misspelt name for one that this finds

    def __getattr__(name: str) -> Any:
        if name not in _MODULES:
            from deepmark.errors import nearest

            raise AttributeError(f"module 'deepmark' has no attribute '{name}'. {nearest(name, __all__)}")
        from deepmark.errors import extras_named

        with extras_named():
            value = getattr(import_module(f"deepmark.{_MODULES[name]}"), name)
        globals()[name] = value  # the next access finds it without this function
        return value


def __dir__() -> list[str]:
    return sorted(__all__)
