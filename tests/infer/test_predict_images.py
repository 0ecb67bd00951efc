"""Batch inference from Python: images as people name them, or shards, over an engine."""

import numpy as np
import pytest
import simplejpeg

from deepmark import DeepmarkError, ShardReader, load_detector, predict_images
from deepmark.compute.local import Local
from deepmark.data.predictions import read_predictions
from deepmark.infer import parts
from deepmark.infer.predict_file import predict_file
from deepmark.model.detector import build_detector, save_detector
from deepmark.vocabulary import DEEPFASHION2


@pytest.fixture
def model(sharded_once, tmp_path):
    path = tmp_path / "model.safetensors"
    save_detector(build_detector(sharded_once.params.model, DEEPFASHION2, seed=1), path)
    return path


@pytest.fixture
def photos(tmp_path):
    """Five images of different sizes, and a text."""
    folder = tmp_path / "photos"
    (folder / "more").mkdir(parents=True)
    for number in range(5):
        image = np.random.default_rng(number).integers(0, 256, (60 + 10 * number, 80, 3), np.uint8)
        jpeg = simplejpeg.encode_jpeg(image, quality=90, colorspace="RGB")
        (folder / ("more" if number == 4 else "") / f"{number}.jpg").write_bytes(jpeg)
    (folder / "notes.txt").write_text("not an image")
    return folder


def content(predictions):
    return [
        (
            one.image_id,
            one.file,
            one.detections.boxes.tobytes(),
            one.detections.landmarks.tobytes(),
            len(one.detections),
        )
        for one in predictions
    ]


def test_images_are_found_and_predicted_in_order_as_by_a_detector(model, photos):
    files = [photos / f"{number}.jpg" for number in range(4)]
    expected = load_detector(model, min_score=0.01)(files)
    found = list(predict_images(photos, model, min_score=0.01))

    assert [(one.image_id, one.file) for one in found] == [(place, str(file)) for place, file in enumerate(files)]
    assert sum(len(one) for one in expected) > 0
    for one, other in zip(found, expected, strict=True):
        assert one.detections.boxes.tolist() == other.boxes.tolist()
        assert one.detections.landmarks.tolist() == other.landmarks.tolist()


def test_images_may_be_named_in_many_ways(model, photos):
    def names(images, **options):
        return [one.file.removeprefix(f"{photos}/") for one in predict_images(images, model, **options)]

    assert names(str(photos / "[12].jpg")) == ["1.jpg", "2.jpg"]
    assert names([photos / "3.jpg", str(photos / "0.jpg")]) == ["3.jpg", "0.jpg"]
    assert names(photos, recursive=True) == ["0.jpg", "1.jpg", "2.jpg", "3.jpg", "more/4.jpg"]


@pytest.mark.slow
def test_engines_differ_in_no_digit(model, photos, sharded_once, monkeypatch):
    monkeypatch.setattr(parts, "LEAST", 2)
    predict = sharded_once.params.predict.model_copy(update={"batch_size": 2})
    for images in (photos, sharded_once.shards("validation")):
        one, two = (
            content(predict_images(images, model, engine=Local(workers), predict=predict, min_score=0))
            for workers in (1, 2)
        )
        assert one == two
        assert len(one) >= 4


def test_shards_are_predicted_as_by_the_stage(model, sharded_once, tmp_path):
    shards, out = sharded_once.shards("validation"), tmp_path / "nms.parquet"
    params = sharded_once.params.predict
    engine, kept = Local(1), tmp_path / "parts"
    made = {"strategy": "nms", "params": params, "run_id": "", "engine": engine, "parts": kept}
    predict_file(model, ShardReader(shards), out, **made)

    found = predict_images(shards, model, predict=params, min_score=params.min_score)
    assert content(found) == content(read_predictions(out)[0])


def test_an_image_that_cannot_be_read_is_told_and_the_others_go_on(model, photos, monkeypatch):
    monkeypatch.setattr(parts, "LEAST", 1)
    (photos / "1.jpg").write_bytes(b"")
    (photos / "2.jpg").write_bytes((photos / "2.jpg").read_bytes()[:400])
    told, counted = [], []
    found = list(predict_images(photos, model, unreadable=told.append, progress=counted.append))

    assert [one.image_id for one in found] == [0, 3]
    assert [text.partition(":")[0] for text in told] == [str(photos / "1.jpg"), str(photos / "2.jpg")]
    assert sum(counted) == 4
    with pytest.raises(DeepmarkError, match=r"1\.jpg"):
        list(predict_images(photos, model))


def test_images_none_of_which_can_be_read_give_no_predictions(model, photos):
    (photos / "0.jpg").write_bytes(b"no image")

    assert list(predict_images(photos / "0.jpg", model, unreadable=lambda text: None)) == []


def test_predictions_come_as_they_are_made(model, photos, monkeypatch):
    monkeypatch.setattr(parts, "LEAST", 8)
    counted = []
    predictions = predict_images([photos / "0.jpg", photos / "1.jpg"], model, progress=counted.append)

    assert counted == []
    assert next(predictions).file == str(photos / "0.jpg")
    predictions.close()


@pytest.mark.parametrize(
    ("images", "options", "words"),
    [
        ("nowhere.jpg", {}, r"nowhere\.jpg: no such image or folder"),
        ("photos", {"strategy": "best"}, "strategy 'best' is not one of none, nms, flip, multiscale"),
        ("photos", {"min_score": 2.0}, "min_score is 2.0, and must be a number from 0 to 1"),
        ("photos", {"model": "no.safetensors"}, r"no\.safetensors"),
        (["shards", "photos"], {}, "shards: a folder of shards is predicted alone"),
    ],
)
def test_a_mistake_is_told_at_once(model, photos, sharded_once, images, options, words, monkeypatch):
    monkeypatch.chdir(photos.parent)
    (photos.parent / "shards").symlink_to(sharded_once.shards("validation"))

    with pytest.raises(DeepmarkError, match=words):
        predict_images(images, **{"model": model, **options})
