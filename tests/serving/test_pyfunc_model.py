"""What the served model takes and returns, and what it refuses."""

import base64
import warnings

import numpy as np
import pandas as pd
import pytest
import simplejpeg
from tiny_dataset import jpeg

from deepmark.errors import DeepmarkError
from deepmark.schema import CATEGORY_BY_NAME
from deepmark.types import Detections


@pytest.fixture(scope="module")
def model(logged):
    workspace, uri = logged
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # warnings of MLflow, when it loads a model
        import mlflow

        store = f"sqlite:///{workspace}/mlflow.db"
        with pytest.MonkeyPatch.context() as patch:
            patch.setenv("MLFLOW_TRACKING_URI", store)  # MLflow sets it too, and does not restore it
            mlflow.set_tracking_uri(store)
            return mlflow.pyfunc.load_model(uri)


def test_a_logged_model_finds_garments_in_jpegs(model):
    garments = model.predict(pd.DataFrame({"image": [jpeg(1), jpeg(1, (40, 30))]}))

    assert len(garments) == 2
    best = garments[0][0]
    assert set(best) == {"category", "score", "box", "landmarks"}
    assert tuple(best["landmarks"]) == CATEGORY_BY_NAME[best["category"]].parts
    assert all(0 <= x <= 60 for x in best["box"][::2])
    assert [garment["score"] for garment in garments[0]] == sorted((g["score"] for g in garments[0]), reverse=True)


def test_bytes_base64_text_and_pixels_of_a_picture_give_the_same(model):
    served = model.unwrap_python_model()
    image = jpeg(1)
    pixels = simplejpeg.decode_jpeg(image, "RGB")
    sent = (image, base64.b64encode(image).decode(), pixels)
    as_bytes, as_text, as_pixels = (served.predict(None, [each]) for each in sent)

    assert as_bytes == as_text == as_pixels
    assert model.predict(pd.DataFrame({"image": [pixels]})) == as_pixels


def test_nothing_that_is_logged_unpickles_code(logged):
    workspace, _ = logged
    files = [file for file in (workspace / "mlartifacts").rglob("*") if file.is_file()]

    assert [file.name for file in files if file.suffix in (".pkl", ".pt", ".pth", ".pickle")] == []
    assert "model.safetensors" in {file.name for file in files}


@pytest.mark.parametrize(
    ("sent", "words"),
    [
        (b"no picture", "picture 0: not a JPEG"),
        ("no base64!", "picture 0: not a JPEG, nor base64 of one"),
        (jpeg(1, (200, 200)), "200 x 200 pixels are more than the 0.02 megapixels"),
        (np.zeros((40, 30), np.uint8), r"picture 0: an array of uint8 and shape \(40, 30\); pixels are uint8"),
        (np.zeros((40, 30, 3), np.float32), "picture 0: an array of float32"),
    ],
)
def test_what_is_not_a_usable_picture_is_refused_with_its_number(model, sent, words):
    with pytest.raises(DeepmarkError, match=words):
        model.unwrap_python_model().predict(None, [sent])


def test_detections_as_dicts_hold_names_and_plain_numbers():
    vest = CATEGORY_BY_NAME["vest"]
    detections = Detections(
        boxes=np.array([[1, 2, 3, 4]], np.float32),
        scores=np.array([0.5], np.float32),
        categories=np.array([vest.index]),
        landmarks=np.ones((1, 39, 2), np.float32),
        landmark_scores=np.zeros((1, 39), np.float32),
    )

    assert detections.as_dicts() == [
        {"category": "vest", "score": 0.5, "box": [1, 2, 3, 4], "landmarks": {name: [1, 1, 0] for name in vest.parts}}
    ]
