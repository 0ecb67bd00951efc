"""What the served model takes and returns, and what it refuses."""

import base64
import warnings

import numpy as np
import pandas as pd
import pytest
import simplejpeg
from encoded_images import encoded, smooth, with_orientation
from mlflow.exceptions import MlflowException
from PIL import Image
from tiny_dataset import jpeg

from deepmark.errors import DeepmarkError
from deepmark.models.packaged import EXPORTED, WEIGHTS
from deepmark.types import Detections
from deepmark.vocabulary import DEEPFASHION2


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
    assert tuple(best["landmarks"]) == DEEPFASHION2.by_name[best["category"]].parts
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


def served_image(kind):
    """An image that is too small for its kind to matter, but larger than twice the network's input."""
    image = smooth((120, 160))
    if kind == "16 bits":
        return encoded(image[..., 0].astype(np.uint16) * 257)
    if kind == "transparent":
        return encoded(np.concatenate([image, image[..., :1]], axis=2))
    if kind == "lying":
        return encoded(image, "jpeg", exif=with_orientation(6))
    return encoded(image, kind)


@pytest.mark.parametrize("kind", ["jpeg", "png", "webp", "gif", "tiff", "16 bits", "transparent", "lying"])
def test_a_served_image_and_one_of_detect_give_the_same_digits(logged, model, deepmark, tmp_path, kind):
    workspace, _ = logged
    (tmp_path / "image").write_bytes(served_image(kind))

    options = ("--model", workspace / "model.safetensors", "--strategy", model.model_config["strategy"])
    detected = deepmark("detect", tmp_path / "image", *options, "--min-score", 0, "--json").facts
    (served,) = model.predict(pd.DataFrame({"image": [base64.b64encode(served_image(kind)).decode()]}))

    assert served
    assert served == detected[str(tmp_path / "image")]


def test_an_image_that_lies_on_its_side_is_served_as_its_upright_twin(model):
    lying = encoded(np.ascontiguousarray(np.rot90(smooth((120, 160)))), exif=with_orientation(6))

    upright, turned = (model.predict(pd.DataFrame({"image": [image]})) for image in (served_image("png"), lying))

    assert upright == turned


TEXT = base64.b64encode(jpeg(1)).decode()


@pytest.mark.parametrize(
    "sent",
    [
        base64.encodebytes(jpeg(1)).decode(),
        TEXT.rstrip("="),
        base64.urlsafe_b64encode(jpeg(1)).decode(),
        f"data:image/jpeg;base64,{TEXT}",
        f"data:;base64,{TEXT}\n",
        bytearray(jpeg(1)),
    ],
)
def test_base64_as_programs_write_it_and_data_urls_are_taken(model, sent):
    table = pd.DataFrame({"image": [sent]})

    assert model.predict(table) == model.predict(pd.DataFrame({"image": [jpeg(1)]}))


def test_a_logged_model_brings_the_code_and_not_the_other_model_that_comes_with_it(logged):
    workspace, _ = logged
    (code,) = (workspace / "mlartifacts").rglob("code/deepmark")

    assert (code / "models/packaged.py").is_file()
    assert {file.name for file in code.rglob("*")}.isdisjoint({EXPORTED, WEIGHTS})


def test_what_reads_images_is_among_the_packages_that_the_model_needs(logged):
    workspace, _ = logged
    (file,) = (workspace / "mlartifacts").rglob("requirements.txt")

    assert {line.split("==")[0] for line in file.read_text().splitlines()} >= {
        "pillow",
        "simplejpeg",
        "torch",
        "mlflow",
    }


@pytest.mark.parametrize(
    ("sent", "message"),
    [
        (b"no image", "text, not a JPEG, PNG, WebP, "),
        (b"", "an empty file, not a JPEG"),
        (jpeg(1)[:-200], "a JPEG that is cut off"),
        (base64.b64encode(b'{"a": 1}').decode(), "JSON, not a JPEG"),
        ("no base64!", "text that is not base64. Send the base64 of an image file."),
        ("photo.jpg", "text that is not base64."),
        ("été", "text that is not base64."),
        ("", "empty. Send the base64"),
        ("https://example.com/a.jpg", "an address, and the server fetches nothing."),
        ("data:image/svg+xml,<svg/>", "a data: URL that is not of base64."),
        (None, "null. Send the base64 of an image file."),
        (float("nan"), "null. "),
        (7, "a value of type int. "),
        ([1, 2], "a value of type list. "),
        (jpeg(1, (200, 200)), "200 x 200 pixels are too many, for 0.02 megapixels are allowed"),
        (np.zeros((40, 30, 2), np.uint8), "an array of uint8 and shape (40, 30, 2). Give uint8"),
        (np.zeros((40, 30, 3), np.float32), "an array of float32"),
        (np.zeros((200, 200, 3), np.uint8), "200 x 200 pixels are too many"),
    ],
)
def test_what_is_not_a_usable_image_is_refused_with_its_column_and_row(model, sent, message):
    table = pd.DataFrame({"image": pd.Series([jpeg(1), sent, jpeg(1)], dtype=object)})

    with pytest.raises(DeepmarkError) as error:
        model.predict(table)
    assert str(error.value).startswith(f"column 'image', row 1 (counted from 0): {message}")
    assert isinstance(error.value, MlflowException)
    assert error.value.get_http_status_code() == 400


def test_a_table_without_the_column_is_refused_by_the_name_of_the_column(model):
    with pytest.raises(MlflowException, match=r"missing inputs \['image'\].*extra inputs: \['img'\]"):
        model.predict(pd.DataFrame({"img": [jpeg(1)]}))
    with pytest.raises(DeepmarkError, match=r"no column 'image', but \['img'\]"):
        model.unwrap_python_model().predict(None, pd.DataFrame({"img": [jpeg(1)]}))


def test_an_image_of_a_list_is_refused_with_its_number(model):
    with pytest.raises(DeepmarkError, match=r"image 1 \(counted from 0\): null"):
        model.unwrap_python_model().predict(None, [jpeg(1), None])


def test_of_an_animation_the_first_frame_is_served_and_the_log_says_so(model, caplog):
    first, second = Image.fromarray(smooth()), Image.new("RGB", (130, 90))
    animation = encoded(first, "webp", lossless=True, save_all=True, append_images=[second])

    garments = model.predict(pd.DataFrame({"image": [animation]}))

    assert garments == model.predict(pd.DataFrame({"image": [encoded(smooth())]}))
    assert "column 'image', row 0 (counted from 0): it has several frames or pages" in caplog.text


def test_detections_as_dicts_hold_names_and_plain_numbers():
    vest = DEEPFASHION2.by_name["vest"]
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
