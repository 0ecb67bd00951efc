"""POST /v1/detect: what is asked comes back, and what cannot be answered is refused with its reason."""

import json
from io import BytesIO

import pytest
from bad_images import bad_images, blank
from encoded_images import encoded, smooth
from PIL import Image
from vocabularies import SMALL

from deepmark.errors import DeepmarkError
from deepmark.infer.load_detector import load_detector
from deepmark.infer.predict import PROFILE_PREDICT_PARAMS
from deepmark.model.detector import build_detector, save_detector
from deepmark.params import ModelParams
from deepmark.vocabulary import DEEPFASHION2


def told(answer, status: int) -> dict:
    assert answer.status_code == status, answer.text
    error = answer.json()["error"]
    assert error["status"] == status
    return error


def garments(detections) -> list:
    return json.loads(json.dumps(detections.as_dicts()))


@pytest.fixture
def served(serve, detector):
    return serve(detector)


def test_the_body_of_an_image_gives_what_the_detector_finds_in_it(served, detector, jpeg):
    answer = served.post(content=jpeg).json()

    (image,) = answer["images"]
    assert len(image["garments"]) > 3
    assert image["garments"] == garments(detector(jpeg))
    assert (image["width"], image["height"], image["note"]) == (60, 90, None)
    assert answer["model"] == {
        "name": "version None",
        "version": None,
        "strategy": "nms",
        "min_score": detector.min_score,
    }


def test_the_files_of_a_form_are_answered_in_their_order_under_their_names(served, detector, jpeg):
    other = encoded(smooth((40, 80)), "png")

    answer = served.post(files=[("a", ("coats/a.jpg", jpeg)), ("b", ("b.png", other)), ("c", ("C:\\c.png", other))])

    images = answer.json()["images"]
    assert [image["name"] for image in images] == ["a.jpg", "b.png", "c.png"]
    assert [image["garments"] for image in images] == [garments(detector(one)) for one in (jpeg, other, other)]


def test_a_request_chooses_least_score_and_categories(served, detector, jpeg):
    everything = garments(detector.with_options(min_score=0.0)(jpeg))
    names = sorted({garment["category"] for garment in everything})[:2]

    low = served.post(params={"min_score": 0}, content=jpeg).json()
    two = served.post(params={"min_score": 0, "category": names}, content=jpeg).json()

    assert low["images"][0]["garments"] == everything
    assert len(everything) > len(garments(detector(jpeg)))
    assert two["images"][0]["garments"] == [one for one in everything if one["category"] in names] != []
    assert two["model"]["min_score"] == 0


def test_a_request_chooses_the_strategy(served, detector, jpeg):
    answer = served.post(params={"strategy": "flip"}, content=jpeg).json()

    assert answer["images"][0]["garments"] == garments(detector.with_options(strategy="flip")(jpeg))
    assert answer["model"]["strategy"] == "flip"


def test_a_strategy_that_the_model_lacks_is_refused_with_the_model_s_words(serve, jpeg):
    class OnlyNms:
        min_score, strategy, same_in_batches, vocabulary = 0.3, "nms", True, DEEPFASHION2
        prepare = detect = staticmethod(lambda _: None)

        def with_options(self, *, strategy, min_score):
            raise DeepmarkError(f"this file cannot do {strategy}.")

    error = told(serve(OnlyNms()).post(params={"strategy": "multiscale"}, content=jpeg), 400)

    assert (error["code"], error["message"]) == ("bad_option", "this file cannot do multiscale.")


def test_several_frames_are_said(served, jpeg):
    buffer = BytesIO()
    frames = [Image.new("RGB", (60, 40), colour) for colour in ("red", "blue")]
    frames[0].save(buffer, "gif", save_all=True, append_images=frames[1:])

    assert "first one is used" in served.post(content=buffer.getvalue()).json()["images"][0]["note"]


@pytest.mark.parametrize("kind", sorted(bad_images(blank(64, 64))))
def test_what_is_no_image_is_refused_with_its_reason(served, kind, jpeg):
    content, words = bad_images(jpeg)[kind]

    raw = told(served.post(content=content), 400)
    form = told(served.post(files=[("a", ("good.jpg", jpeg)), ("b", ("street.jpg", content))]), 400)

    assert (raw["code"], form["code"], form["image"]) == ("image_refused", "image_refused", "street.jpg")
    assert words in raw["message"]
    assert form["message"].startswith("street.jpg: ")
    assert words in form["message"]


def test_too_many_pixels_are_refused(serve, detector):
    error = told(serve(detector, max_pixels=6000).post(content=blank(100, 61)), 400)

    assert "100 x 61 pixels are too many" in error["message"]


def test_too_many_bytes_are_refused_whether_announced_or_not(serve, detector):
    served = serve(detector, max_bytes=1000)

    for body in (bytes(1001), iter([bytes(600), bytes(600)])):
        error = told(served.post(content=body), 413)
        assert (error["code"], error["message"]) == (
            "too_many_bytes",
            "more than 1,000 bytes. Shrink the images, or send fewer at once.",
        )
    assert told(served.post(files=[("a", bytes(2000))]), 413)["code"] == "too_many_bytes"


@pytest.mark.parametrize("count", [3, 4])
def test_too_many_images_are_refused(serve, detector, jpeg, count):
    error = told(serve(detector, max_images=2).post(files=[("a", jpeg)] * count), 413)

    assert error["message"] == "more than 2 images in a request. Send them in several."


@pytest.mark.parametrize(
    ("options", "code", "words"),
    [
        ({"data": {"text": "words"}, "files": [("a", b"x")]}, "bad_form", "the form's field 'text' holds text"),
        ({"content": b"x", "headers": {"content-type": "multipart/form-data"}}, "bad_form", "Missing boundary"),
        (
            {"content": b"wrong", "headers": {"content-type": "multipart/form-data; boundary=a"}},
            "bad_form",
            "not a form that can be read",
        ),
        (
            {"content": b"--a--\r\n", "headers": {"content-type": "multipart/form-data; boundary=a"}},
            "no_image",
            "no file",
        ),
        ({"content": b""}, "image_refused", "the image: an empty file"),
        ({"json": {"image": "x"}}, "image_refused", "the image: JSON, not a JPEG"),
    ],
)
def test_a_body_that_holds_no_image_is_refused(served, options, code, words):
    error = told(served.post(**options), 400)

    assert error["code"] == code
    assert words in error["message"]


@pytest.mark.parametrize(
    ("params", "words"),
    [
        ({"min_score": "high"}, "min_score: Input should be a valid number"),
        ({"min_score": 1.5}, "min_score: Input should be less than or equal to 1"),
        ({"category": "hat"}, "category.0: Input should be 'short sleeve top', "),
        ({"strategy": "best"}, "strategy: Input should be 'none', 'nms', "),
        ({"minscore": 1}, "minscore: Extra inputs are not permitted"),
    ],
)
def test_options_that_cannot_be_are_refused(served, jpeg, params, words):
    error = told(served.post(params=params, content=jpeg), 422)

    assert error["code"] == "bad_option"
    assert words in error["message"]


def test_other_places_and_methods_are_refused_as_json(served):
    assert told(served.client.get("/v1/detect"), 405)["code"] == "wrong_method"
    assert "/v2/detect: not found" in told(served.client.get("/v2/detect"), 404)["message"]


def test_a_failure_of_the_network_is_no_traceback_for_the_client_and_the_next_request_goes_on(serve, detector, jpeg):
    class Failing:
        min_score, strategy, same_in_batches, failed = 0.3, "nms", True, False
        vocabulary = DEEPFASHION2

        def with_options(self, **_):
            return self

        prepare = staticmethod(detector.prepare)

        def detect(self, images):
            if not self.failed:
                self.failed = True
                raise RuntimeError("secret words")
            return detector.detect(images)

    served = serve(Failing())

    error = told(served.post(content=jpeg), 500)
    assert error["code"] == "failed"
    assert "secret" not in json.dumps(error)
    assert served.post(content=jpeg).status_code == 200


def test_the_interface_describes_itself_with_examples(served):
    described = served.client.get("/openapi.json").json()

    post = described["paths"]["/v1/detect"]["post"]
    assert set(post["requestBody"]["content"]) == {"multipart/form-data", "image/*"}
    assert {"200", "400", "401", "408", "413", "422", "429", "503"} <= set(post["responses"])
    example = described["components"]["schemas"]["DetectAnswer"]["example"]
    assert example["images"][0]["garments"][0]["category"] in {category.name for category in DEEPFASHION2.categories}
    assert {one["name"] for one in post["parameters"]} == {"min_score", "category", "strategy"}


def test_a_model_of_another_vocabulary_is_asked_and_answers_by_its_own_names(serve, tmp_path, jpeg):
    network = build_detector(ModelParams(backbone="mobile", input_size=(64, 64)), SMALL, seed=1)
    save_detector(network, tmp_path / "model.safetensors", predict=PROFILE_PREDICT_PARAMS)
    served = serve(load_detector(tmp_path / "model.safetensors", device="cpu", min_score=0.0))
    garments = served.post(content=jpeg).json()["images"][0]["garments"]
    hats = served.post(params={"category": "hat"}, content=jpeg).json()["images"][0]["garments"]
    parameters = served.client.get("/openapi.json").json()["paths"]["/v1/detect"]["post"]["parameters"]

    assert all(tuple(one["landmarks"]) == SMALL.by_name[one["category"]].parts for one in garments)
    assert hats == [one for one in garments if one["category"] == "hat"] != []
    error = told(served.post(params={"category": ["hat", "skirt"]}, content=jpeg), 422)
    assert error["message"] == "category.1: Input should be 'bag', 'shoe' or 'hat'."
    (category,) = (one for one in parameters if one["name"] == "category")
    assert category["schema"]["items"] == {"type": "string", "enum": ["bag", "shoe", "hat"]}
    shown = served.client.get("/config.json").json()["categories"]
    assert [one["name"] for one in shown] == ["bag", "shoe", "hat"]
