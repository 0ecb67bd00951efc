"""A model file as Python users load it: one call for images of any kind."""

import json
from io import BytesIO

import numpy as np
import pytest
import torch
from encoded_images import encoded, smooth
from PIL import Image

from deepmark.errors import DeepmarkError
from deepmark.images import opened_image, read_image
from deepmark.infer.load_detector import load_detector
from deepmark.infer.predict import PROFILE_PREDICT_PARAMS, Predictor
from deepmark.model.detector import build_detector, save_detector
from deepmark.params import ModelParams, load_params
from deepmark.schema import STRATEGIES
from deepmark.types import Detections
from deepmark.vocabulary import DEEPFASHION2
from deepmark.workspace.init import profile_file


@pytest.fixture(scope="module")
def model(tmp_path_factory):
    """An untrained network, which detects something everywhere."""
    file = tmp_path_factory.mktemp("model") / "model.safetensors"
    save_detector(build_detector(ModelParams(backbone="mobile", input_size=(64, 64)), DEEPFASHION2, seed=1), file)
    return file


@pytest.fixture(scope="module")
def detector(model):
    return load_detector(model, device="cpu", min_score=0)


def pixels(seed: int = 0, size: tuple[int, int] = (40, 60)) -> np.ndarray:
    return np.random.default_rng(seed).integers(0, 256, (*size, 3), np.uint8)


def same(a: Detections, b: Detections) -> bool:
    names = ("boxes", "scores", "categories", "landmarks", "landmark_scores")
    return all(np.array_equal(getattr(a, name), getattr(b, name)) for name in names)


def png(image: np.ndarray, **options: object) -> bytes:
    buffer = BytesIO()
    Image.fromarray(image).save(buffer, "png", **options)
    return buffer.getvalue()


def test_a_path_bytes_a_pil_image_and_an_array_give_the_same_detections(detector, tmp_path):
    image = pixels()
    file = tmp_path / "image.png"
    file.write_bytes(png(image))

    detections = detector(image)

    assert isinstance(detections, Detections)
    assert len(detections) > 0
    for source in (file, str(file), png(image), Image.fromarray(image), image[:, ::-1][:, ::-1]):
        assert same(detector(source), detections)


def test_the_numbers_are_those_of_deepmark_detect(detector, deepmark, model, tmp_path):
    file = tmp_path / "image.png"
    file.write_bytes(png(pixels()))

    done = deepmark("detect", file, "--model", model, "--min-score", 0, "--json")

    assert done.facts == {str(file): json.loads(json.dumps(detector(file).as_dicts()))}


@pytest.mark.slow
def test_a_list_gives_a_list_in_its_order_over_several_batches(detector):
    images = [pixels(seed, (30 + seed, 60)) for seed in range(PROFILE_PREDICT_PARAMS.batch_size + 2)]

    results = detector(images)

    assert len(results) == len(images)
    for image, detections in zip(images, results, strict=True):
        np.testing.assert_allclose(detections.scores, detector(image).scores, atol=1e-5)
    assert detector([]) == []


def test_boxes_are_in_pixels_of_the_image_that_was_given(detector):
    boxes = detector(pixels(size=(300, 200))).boxes

    assert (boxes >= 0).all()
    assert (boxes <= [200, 300, 200, 300]).all()
    assert boxes[:, 3].max() > 64


def test_a_pil_image_is_turned_upright_and_stays_open(detector):
    exif = Image.Exif()
    exif[274] = 6  # the camera was held so that the image must be turned clockwise
    upright = pixels()
    image = Image.open(BytesIO(png(np.rot90(upright).copy(), exif=exif)))

    assert same(detector(image), detector(upright))
    assert same(detector(image), detector(upright))


def test_a_large_jpeg_gives_the_digits_of_the_stage_predict(detector):
    image = smooth((400, 300))
    jpeg = encoded(image, "jpeg", quality=90)
    predictor = detector._predictor

    (predicted,) = predictor.detect([predictor.prepare_jpeg(jpeg, (400, 300))])

    assert same(detector(jpeg), predicted)
    np.testing.assert_allclose(detector(read_image(jpeg)).scores, predicted.scores, atol=0.02)


def test_a_large_jpeg_is_not_decoded_whole(detector, monkeypatch):
    decode, shrinks = opened_image.decode_jpeg, []

    def recorded(data, *, shrink=1):
        shrinks.append(shrink)
        return decode(data, shrink=shrink)

    monkeypatch.setattr(opened_image, "decode_jpeg", recorded)
    detector(encoded(smooth((1024, 1024)), "jpeg"))

    assert shrinks == [8]


def test_detections_below_the_least_score_are_left_out(detector, model):
    scores = detector(pixels()).scores

    assert len(load_detector(model, device="cpu", min_score=float(scores[3]))(pixels())) == (scores >= scores[3]).sum()


def test_the_strategy_and_the_device_can_be_chosen(model):
    detector = load_detector(str(model), device=torch.device("cpu"), strategy="multiscale")

    assert repr(detector) == (
        f"LoadedDetector({str(model)!r}, backbone='mobile', input_size=64x64, strategy='multiscale', min_score=0.3, "
        "device='cpu')"
    )


@pytest.mark.parametrize(
    ("source", "message"),
    [
        ("nowhere.jpg", r"nowhere\.jpg: no such file"),
        (b"words", r"the image: text, not a JPEG, PNG, "),
        (png(pixels())[:-100], r"the image: a PNG that is cut off"),
        (np.zeros((4, 4)), r"the image: an array of float64 and shape \(4, 4\)\. Give uint8, 0 to 255: grey"),
        (np.zeros((0, 4, 3), np.uint8), r"the image: an array of uint8 and shape \(0, 4, 3\)"),
        ([pixels(), b"words"], r"images\[1\]: text"),
        ([pixels()] * 9 + [b""], r"images\[9\]: an empty file"),
    ],
)
def test_what_is_no_image_is_named(detector, source, message):
    with pytest.raises(DeepmarkError, match=message):
        detector(source)


def test_a_warning_says_that_of_several_frames_the_first_is_used(detector, tmp_path):
    frames = [Image.new("RGB", (60, 40), colour) for colour in ("red", "blue")]
    frames[0].save(tmp_path / "moving.gif", save_all=True, append_images=frames[1:])

    with pytest.warns(UserWarning, match=r"moving\.gif: it has several frames or pages, and the first one is used"):
        moving = detector(tmp_path / "moving.gif")
    with pytest.warns(UserWarning, match=r"moving\.gif"):
        (listed,) = detector([tmp_path / "moving.gif"])
    assert same(moving, listed)
    assert same(moving, detector(frames[0]))


def test_a_strategy_that_does_not_exist_is_refused_by_the_predictor_too(detector):
    with pytest.raises(DeepmarkError, match="strategy 'best' is not one of none, nms, flip, multiscale"):
        Predictor(detector._predictor.detector, "best", PROFILE_PREDICT_PARAMS)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"strategy": "plain"}, r"strategy 'plain' is not one of none, nms, flip, multiscale"),
        ({"min_score": 30}, r"min_score is 30, and must be a number from 0 to 1"),
    ],
)
def test_options_that_cannot_be_are_refused(model, options, message):
    with pytest.raises(DeepmarkError, match=message):
        load_detector(model, **options)


def test_a_model_file_says_how_its_images_are_predicted(tmp_path, detector):
    predict = PROFILE_PREDICT_PARAMS.model_copy(update={"max_detections": 2, "min_score": 0.0})
    network = build_detector(ModelParams(backbone="mobile", input_size=(64, 64)), DEEPFASHION2, seed=1)
    save_detector(network, tmp_path / "model.safetensors", predict=predict)

    best = load_detector(tmp_path / "model.safetensors", device="cpu", min_score=0)(pixels())
    one = predict.model_copy(update={"max_detections": 1})
    only = load_detector(tmp_path / "model.safetensors", device="cpu", min_score=0, predict=one)(pixels())

    assert len(detector(pixels())) > 2
    assert best.scores.tolist() == detector(pixels()).scores[:2].tolist()
    assert only.scores.tolist() == best.scores[:1].tolist()


@pytest.mark.parametrize(("least", "used"), [(0.0, 0.3), (0.7, 0.7)])
def test_the_least_score_is_the_higher_one_of_the_usual_and_the_model_s(tmp_path, least, used):
    predict = PROFILE_PREDICT_PARAMS.model_copy(update={"min_score": least})
    network = build_detector(ModelParams(backbone="mobile", input_size=(64, 64)), DEEPFASHION2, seed=1)
    save_detector(network, tmp_path / "model.safetensors", predict=predict)

    assert f"min_score={used}," in repr(load_detector(tmp_path / "model.safetensors", device="cpu"))


@pytest.mark.parametrize("profile", ["demo", "paper", "modern"])
def test_a_model_file_without_the_section_predict_is_used_with_that_of_the_profiles(profile):
    """But for rescoring and blending, which the profile modern has on: without its section a file has neither."""
    of_profile = load_params(profile_file(profile)).predict

    off = {"rescore": False, "landmark_blend": 0.0}
    assert of_profile.model_copy(update=off) == PROFILE_PREDICT_PARAMS


def test_strategies_are_those_of_the_command_line(model):
    for strategy in STRATEGIES:
        assert load_detector(model, device="cpu", strategy=strategy).strategy == strategy


@pytest.mark.slow
def test_detections_draw_themselves_on_the_image_they_are_of(detector, tmp_path):
    (tmp_path / "image.png").write_bytes(png(pixels()))

    one = detector(tmp_path / "image.png")
    (listed,) = detector([pixels()])

    assert one.draw().tobytes() == one.draw(pixels()).tobytes()
    assert listed.draw().tobytes() == listed.draw(pixels()).tobytes()


@pytest.mark.parametrize("device", ["gpu", "cuda:77"])
def test_a_device_that_this_machine_lacks_is_named(model, device):
    with pytest.raises(DeepmarkError, match=rf"device '{device}': .*Give 'cpu', or leave it out"):
        load_detector(model, device=device)
