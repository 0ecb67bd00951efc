"""The detector as MLflow serves it: it takes images and returns their garments.

MLflow runs this file ("models from code"): loading a model executes it and reads a safetensors file, and unpickles
nothing. With `mlflow models serve -m models:/deepmark@champion --env-manager local`, POST
`{"dataframe_split": {"columns": ["image"], "data": [["<base64 of an image file>"]]}}` to /invocations.
"""

import base64
import binascii
import logging
import re
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd
from mlflow.exceptions import MlflowException
from mlflow.models import set_model
from mlflow.protos.databricks_pb2 import BAD_REQUEST
from mlflow.pyfunc.model import PythonModel, PythonModelContext

from deepmark.errors import DeepmarkError
from deepmark.images import open_image
from deepmark.params import PredictParams
from deepmark.types import Detections

if TYPE_CHECKING:
    from deepmark.runtime.image_detector import ImageDetector

_log = logging.getLogger(__name__)

COLUMN = "image"

_DATA_URL = re.compile(r"data:([^,]*),", re.IGNORECASE)
_WEB_ADDRESS = re.compile(r"\s*(https?|ftp|file|s3)://", re.IGNORECASE)


class BadRequestError(MlflowException, DeepmarkError):
    """A request that cannot be answered; MLflow's server answers with status 400 and this message."""

    def __init__(self, message: str) -> None:
        super().__init__(message, error_code=BAD_REQUEST)

    def serialize_as_json(self) -> str:
        """The body of the answer. MLflow's server has put the whole request before the message, as Python prints it."""
        self.message = str(self)
        return super().serialize_as_json()


class DetectorModel(PythonModel):
    """A checkpoint as an MLflow model.

    Its `model_config` holds `strategy`, `predict` (that section of params.yaml), `max_megapixels`, and `serves`: the
    name of the exported file that detects, or null for the checkpoint.
    """

    def load_context(self, context: PythonModelContext) -> None:
        config: dict[str, Any] = dict(context.model_config)
        params = PredictParams.model_validate(config["predict"])
        self._detector = _detector(context.artifacts, config.get("serves"), config["strategy"], params)
        self._batch_size = params.batch_size
        self._max_pixels = config["max_megapixels"] * 1e6

    def predict(
        self, context: PythonModelContext | None, model_input: pd.DataFrame, params: dict[str, Any] | None = None
    ) -> list[list[dict[str, Any]]]:
        """The garments of each image, best first, for a table with a column "image" or for a list of images.

        An image is the bytes of an image file, base64 text of them (also with line ends, or as a data: URL), or RGB
        pixels (height x width x 3, uint8). Every kind that `deepmark detect` reads is read here, and upright too.

        A garment has `category` (its name), `score` 0..1, `box` x0 y0 x1 y1, and `landmarks`: x, y and confidence by
        name, such as "left cuff outer". Coordinates are pixels of the upright image.

        Raises BadRequestError with the column and the row of the first image that cannot be read.
        """
        images = _sources(model_input)
        results: list[Detections] = []
        for first in range(0, len(images), self._batch_size):
            batch = images[first : first + self._batch_size]
            results += self._detector.detect([self._prepare(name, image) for name, image in batch])
        return [detections.as_dicts() for detections in results]

    def _prepare(self, name: str, image: Any) -> Any:
        try:
            opened = open_image(_content(image), name=name, max_pixels=self._max_pixels)
            if opened.note:
                _log.warning("%s: %s.", name, opened.note)
            return self._detector.prepare(opened)
        except DeepmarkError as error:
            raise BadRequestError(str(error)) from None
        except _WrongValueError as error:
            raise BadRequestError(f"{name}: {error}") from None


def _detector(files: Mapping[str, str], serves: str | None, strategy: str, params: PredictParams) -> "ImageDetector":
    """The detector in the file that serves."""
    if serves is not None:
        from deepmark.runtime.onnx_detector import OnnxDetector

        return OnnxDetector(files[serves], strategy=strategy, min_score=params.min_score)
    from deepmark.infer.load_detector import load_detector

    return load_detector(files["checkpoint"], strategy=strategy, min_score=params.min_score, predict=params)


class _WrongValueError(Exception):
    """What stands in the place of an image, and what to send instead."""


def _sources(model_input: Any) -> list[tuple[str, Any]]:
    """Each image with its place in the request, for messages."""
    if not isinstance(model_input, pd.DataFrame):
        return [(f"image {number} (counted from 0)", image) for number, image in enumerate(model_input)]
    if COLUMN not in model_input.columns:
        raise BadRequestError(f"no column {COLUMN!r}, but {[str(name) for name in model_input.columns]}.")
    return [(f"column {COLUMN!r}, row {row} (counted from 0)", image) for row, image in enumerate(model_input[COLUMN])]


def _content(image: Any) -> bytes | np.ndarray:
    """The bytes of an image file, or pixels.

    Raises _WrongValueError where it is neither, nor base64 or a data: URL.
    """
    if isinstance(image, bytes | bytearray | memoryview | np.ndarray):
        return image if isinstance(image, np.ndarray) else bytes(image)
    if image is None or image is pd.NA or (isinstance(image, float) and np.isnan(image)):
        raise _WrongValueError("null. Send the base64 of an image file.")
    if not isinstance(image, str):
        raise _WrongValueError(f"a value of type {type(image).__name__}. Send the base64 of an image file.")
    if _WEB_ADDRESS.match(image):
        raise _WrongValueError("an address, and the server fetches nothing. Send the base64 of the image file.")
    text = image
    if url := _DATA_URL.match(image):
        if not url[1].lower().rstrip().endswith(";base64"):
            raise _WrongValueError("a data: URL that is not of base64. Send the base64 of an image file.")
        text = image[url.end() :]
    text = "".join(text.split())  # such as the line ends that the command base64 writes
    if not text:
        raise _WrongValueError("empty. Send the base64 of an image file.")
    try:
        return base64.b64decode(text.translate({ord("-"): "+", ord("_"): "/"}) + "=" * (-len(text) % 4), validate=True)
    except (binascii.Error, ValueError):  # ValueError for letters that are not ASCII
        raise _WrongValueError("text that is not base64. Send the base64 of an image file.") from None


set_model(DetectorModel())
