"""An exported model in Python: images in, detections in pixels of the image out, without PyTorch."""

import os
import subprocess
import sys
from dataclasses import replace
from io import BytesIO

import numpy as np
import pytest
from encoded_images import encoded
from PIL import Image
from small_onnx import BOXES, CONTRACT, contract_for, flip_of, small_onnx
from vocabularies import SMALL

from deepmark.errors import DeepmarkError
from deepmark.images import open_image
from deepmark.runtime.contract import TensorFacts
from deepmark.runtime.onnx_detector import OnnxDetector

WHITE = np.full((64, 128, 3), 255, np.uint8)


@pytest.fixture(scope="module")
def model(tmp_path_factory):
    return small_onnx(tmp_path_factory.mktemp("model") / "model.onnx")


@pytest.fixture(scope="module")
def detector(model):
    return OnnxDetector(model, min_score=0)


def same(a, b):
    names = ("boxes", "scores", "categories", "landmarks", "landmark_scores")
    return all(np.array_equal(getattr(a, name), getattr(b, name)) for name in names)


def test_detections_are_in_pixels_of_the_image_and_inside_it(detector):
    found = detector(WHITE)  # the canvas has half its sides

    np.testing.assert_allclose(found.scores, [0.8, 0.5])
    assert found.categories.tolist() == [0, 7]
    assert found.boxes.tolist() == [[8, 8, 40, 56], [60, 0, 120, 64]]
    assert found.landmarks[0, 1].tolist() == [4, 6]
    assert found.landmarks[1, 13].tolist() == [2 * ((2 * 39 + 13) * 2 % 60), 2 * ((2 * 39 + 13) * 2 % 60 + 1)]
    assert not found.landmarks[1, 14:].any()  # trousers have 14


def test_margins_of_the_canvas_are_no_part_of_the_image(detector):
    found = detector(np.full((64, 64, 3), 255, np.uint8))  # 16 black columns on each side

    np.testing.assert_allclose(found.scores, [0.4, 0.25])
    assert found.boxes[0].tolist() == [0, 8, 8, 56]


def test_the_strategy_none_keeps_what_overlaps(model):
    found = OnnxDetector(model, strategy="none", min_score=0)(WHITE)

    np.testing.assert_allclose(found.boxes[:2], 2 * BOXES[:2])
    np.testing.assert_allclose(found.scores, [0.8, 0.7, 0.5])


def test_soft_nms_is_that_of_the_contract(tmp_path):
    soft = replace(CONTRACT, predict=replace(CONTRACT.predict, nms="soft"))

    found = OnnxDetector(small_onnx(tmp_path / "model.onnx", described=soft), min_score=0)(WHITE)

    overlap = 15 / 16  # of the second box, which the first one covers
    np.testing.assert_allclose(found.scores, [0.8, 0.5, 0.7 * np.exp(-(overlap**2) / 0.5)], rtol=1e-6)


@pytest.mark.parametrize(("least", "used"), [(0.0, 0.3), (0.6, 0.6)])
def test_the_least_score_is_the_higher_one_of_the_usual_and_the_contract_s(tmp_path, least, used):
    contract = replace(CONTRACT, predict=replace(CONTRACT.predict, min_score=least))

    detector = OnnxDetector(small_onnx(tmp_path / "model.onnx", described=contract))

    assert detector.min_score == used
    assert (detector(WHITE).scores >= used).all()
    assert len(OnnxDetector(detector.path, min_score=0.75)(WHITE)) == 1


def test_images_of_every_kind_give_the_same(detector, tmp_path):
    image = np.random.default_rng(0).integers(0, 256, (40, 60, 3), np.uint8)
    (tmp_path / "image.png").write_bytes(encoded(image))

    expected = detector(image)

    for source in (tmp_path / "image.png", encoded(image), BytesIO(encoded(image)), Image.fromarray(image)):
        assert same(detector(source), expected)
    assert same(detector(open_image(image)), expected)


def test_a_list_gives_the_digits_of_each_image_alone_over_several_batches(model):
    rng = np.random.default_rng(0)
    images = [rng.integers(0, 256, (*rng.integers(20, 90, 2), 3), np.uint8) for _ in range(7)]
    detector = OnnxDetector(model, min_score=0, batch_size=3)

    found = detector(images)

    assert detector.same_in_batches
    assert [same(one, detector(image)) for one, image in zip(found, images, strict=True)] == [True] * 7
    assert detector([]) == []


def test_detections_draw_themselves_on_the_file_they_were_given(detector):
    given = BytesIO(encoded(WHITE))

    found = detector(given)
    given.close()

    assert found.draw().tobytes() == detector(WHITE).draw().tobytes()


def test_a_warning_says_that_of_several_frames_the_first_is_used(detector):
    moving = encoded(
        Image.new("RGB", (60, 40)), "gif", save_all=True, append_images=[Image.new("RGB", (60, 40), "red")]
    )

    with pytest.warns(UserWarning, match="the image: it has several frames or pages, and the first one is used"):
        detector(moving)


def test_a_detector_says_what_it_is(model):
    assert repr(OnnxDetector(model)) == (
        f"OnnxDetector({str(model)!r}, precision='float32', input_size=32x64, strategy='nms', min_score=0.3, "
        "device='cpu')"
    )


def test_another_strategy_or_score_needs_no_other_session(detector):
    other = detector.with_options(strategy="none", min_score=0.75)

    assert (other.strategy, other.min_score, detector.strategy, detector.min_score) == ("none", 0.75, "nms", 0)
    assert other._session is detector._session
    assert len(other(WHITE)) == 1


@pytest.mark.parametrize("given", ["1", "3", "", None])
def test_it_takes_the_threads_that_the_engine_gives_a_process_or_else_one_a_processor(model, monkeypatch, given):
    monkeypatch.delenv("OMP_NUM_THREADS")
    if given is not None:
        monkeypatch.setenv("OMP_NUM_THREADS", given)
    threads = OnnxDetector(model)._session.get_session_options().intra_op_num_threads

    assert threads == (int(given) if given else max(2, len(os.sched_getaffinity(0))))


def test_the_mirror_image_is_a_second_file(model):
    small_onnx(model.with_name("model_flip.onnx"), described=flip_of())

    flipped = OnnxDetector(model, strategy="flip", min_score=0)

    assert flipped.contract.strategies == ("flip",)
    assert same(flipped(WHITE), OnnxDetector(model, min_score=0)(WHITE))
    assert flipped.with_options(strategy="nms").contract.strategies == ("none", "nms")


def cut(path):
    small_onnx(path)
    path.write_bytes(path.read_bytes()[:-1000])


def damaged(path):
    small_onnx(path)
    data = bytearray(path.read_bytes())
    data[len(data) // 2] ^= 1
    path.write_bytes(data)


def other_outputs(path):
    renamed = (TensorFacts(name="corners", dtype="float32", shape=("batch", 4, 4), meaning=""), *CONTRACT.outputs[1:])
    small_onnx(path, described=replace(CONTRACT, outputs=renamed))


REFUSED = {
    "no such file. `deepmark export` makes a model; --model names one, --model open the small one": lambda path: None,
    "a folder. Give a file, such as ": lambda path: path.mkdir(),
    "a JPEG, not an ONNX file. Give a file that `deepmark export` wrote.": lambda path: path.write_bytes(
        encoded(WHITE, "jpeg")
    ),
    "an empty file, not an ONNX file.": lambda path: path.touch(),
    "onnxruntime ": lambda path: path.write_bytes(bytes(range(1, 200))),
    "damaged: its bytes are not those that were written. Copy it again, or run `deepmark export` again.": damaged,
    "an ONNX file, but not one of DeepMark's: it has no contract. Give a file that `deepmark export` wrote.": (
        lambda path: small_onnx(path, described=None)
    ),
    "its contract is damaged, or not JSON (": lambda path: small_onnx(path, described="{"),
    "its contract does not fit: it says outputs corners tensor(float) [* 4 4], scores": other_outputs,
}


@pytest.mark.parametrize("message", REFUSED)
def test_a_file_that_cannot_be_used_is_told_as_what_it_is(tmp_path, message):
    REFUSED[message](tmp_path / "model.onnx")

    with pytest.raises(DeepmarkError) as error:
        OnnxDetector(tmp_path / "model.onnx")
    assert str(error.value).startswith(f"{tmp_path / 'model.onnx'}: {message}")


def test_a_file_that_is_cut_off_is_told_as_damaged(tmp_path):
    cut(tmp_path / "model.onnx")

    with pytest.raises(DeepmarkError, match=r"model\.onnx: .*Copy it again, or run `deepmark export` again\."):
        OnnxDetector(tmp_path / "model.onnx")


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"strategy": "best"}, "strategy 'best' is not one of none, nms, flip, multiscale."),
        (
            {"strategy": "multiscale"},
            "an exported model serves none and nms, not multiscale. Choose one of them, or use the",
        ),
        ({"min_score": 30}, "min_score is 30, and must be a number from 0 to 1."),
        (
            {"device": "cuda"},
            "device 'cuda': the installed onnxruntime has no support for GPUs. `pip install onnxruntime-g",
        ),
        ({"device": "tpu"}, "device 'tpu': an exported model runs on 'cpu', 'cuda' or 'cuda:1'."),
    ],
)
def test_options_that_cannot_be_are_refused(model, options, message):
    with pytest.raises(DeepmarkError) as error:
        OnnxDetector(model, **options)
    assert message in str(error.value)


def test_the_strategy_flip_without_its_file_names_the_file(tmp_path):
    small_onnx(tmp_path / "model.onnx")

    with pytest.raises(DeepmarkError, match=r"model\.onnx: serves the strategy flip only where model_flip\.onnx lies"):
        OnnxDetector(tmp_path / "model.onnx", strategy="flip")


def test_it_loads_nothing_of_a_framework(model, tmp_path):
    program = (
        "import sys\nfrom deepmark.runtime.onnx_detector import OnnxDetector\n"
        f"OnnxDetector({str(model)!r})\n"
        "heavy = ('torch', 'cv2', 'pandas', 'pyarrow', 'pydantic', 'jaxtyping', 'mlflow', 'rich', 'typer', 'ssl')\n"
        "print([name for name in heavy if name in sys.modules])"
    )
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=False)

    assert done.stdout == "[]\n", done.stderr


def test_a_file_of_another_vocabulary_gives_its_names_and_landmarks(tmp_path):
    file = small_onnx(tmp_path / "model.onnx", described=contract_for(SMALL), vocabulary=SMALL)
    detector = OnnxDetector(file, strategy="none", min_score=0.0)
    found = detector(np.full((32, 64, 3), 255, np.uint8))

    assert detector.vocabulary == SMALL
    assert [one["category"] for one in found.as_dicts()] == ["bag", "bag", "hat"]
    assert [len(one["landmarks"]) for one in found.as_dicts()] == [4, 4, 0]
    assert found.landmarks.shape == (3, 6, 2)
    assert not found.landmarks[2].any()


def test_a_graph_of_another_vocabulary_than_its_contract_says_does_not_fit(tmp_path):
    file = small_onnx(tmp_path / "model.onnx", described=contract_for(SMALL))

    with pytest.raises(DeepmarkError, match="its contract does not fit: it says outputs"):
        OnnxDetector(file)
