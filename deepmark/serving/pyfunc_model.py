"""The detector as MLflow serves it: it takes images and returns their garments.

MLflow runs this file ("models from code"): loading a model executes it and reads a safetensors file, and unpickles
nothing. With `mlflow models serve -m models:/deepmark@champion --env-manager local`, POST
`{"dataframe_split": {"columns": ["image"], "data": [["<base64 of a JPEG>"]]}}` to /invocations.
"""

import base64
import binascii
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import simplejpeg
from jaxtyping import UInt8
from mlflow.models import set_model
from mlflow.pyfunc.model import PythonModel, PythonModelContext

from deepmark.errors import DeepmarkError
from deepmark.params import PredictParams
from deepmark.types import Detections

ServedImage = bytes | str | np.ndarray
"""JPEG bytes, base64 text of them, or RGB pixels as uint8, height x width x 3."""


class DetectorModel(PythonModel):
    """A checkpoint as an MLflow model.

    Its `model_config` holds `strategy`, `predict` (that section of params.yaml) and `max_megapixels`.
    """

    def load_context(self, context: PythonModelContext) -> None:
        from deepmark.infer.predict import Predictor, best_device
        from deepmark.model.detector import load_network

        config: dict[str, Any] = dict(context.model_config)
        device = best_device()
        detector = load_network(Path(context.artifacts["checkpoint"]), device=device)
        params = PredictParams.model_validate(config["predict"])
        self._predictor = Predictor(detector, config["strategy"], params, device)
        self._batch_size = params.batch_size
        self._max_pixels = config["max_megapixels"] * 1e6

    def predict(
        self, context: PythonModelContext | None, model_input: pd.DataFrame, params: dict[str, Any] | None = None
    ) -> list[list[dict[str, Any]]]:
        """The garments of each image, best first, for a table with a column "image" or for a list of images.

        A garment has `category` (its name), `score` 0..1, `box` x0 y0 x1 y1, and `landmarks`: x, y and confidence by
        name, such as "left cuff outer". Coordinates are pixels of the image as sent.
        """
        images = list(model_input["image"]) if isinstance(model_input, pd.DataFrame) else list(model_input)
        results: list[Detections] = []
        for first in range(0, len(images), self._batch_size):
            batch = [self._decode(i, images[i]) for i in range(first, min(first + self._batch_size, len(images)))]
            results += self._predictor(batch)
        return [detections.as_dicts() for detections in results]

    def _decode(self, number: int, image: ServedImage) -> UInt8[np.ndarray, "h w 3"]:
        if isinstance(image, np.ndarray):
            if image.dtype != np.uint8 or image.ndim != 3 or image.shape[2] != 3 or not image.size:
                raise DeepmarkError(
                    f"picture {number}: an array of {image.dtype} and shape {image.shape}; pixels are uint8, "
                    "height x width x 3, RGB."
                )
            return image
        try:
            data = base64.b64decode(image, validate=True) if isinstance(image, str) else image
            height, width, *_ = simplejpeg.decode_jpeg_header(data)
            if height * width > self._max_pixels:
                raise DeepmarkError(
                    f"picture {number}: {width} x {height} pixels are more than the {self._max_pixels / 1e6:g} "
                    "megapixels this model takes. Send it smaller."
                )
            return simplejpeg.decode_jpeg(data, "RGB")
        except (binascii.Error, ValueError) as error:
            raise DeepmarkError(f"picture {number}: not a JPEG, nor base64 of one ({error}).") from None


set_model(DetectorModel())
