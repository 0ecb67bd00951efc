from typing import Any

import numpy as np
import pytest
import simplejpeg
import torch
from layouts import HEAD_CHANNELS, SEPARATE
from small_detector import small_detector
from torch import Tensor, nn

from deepmark.data.jpeg import decode_and_warp
from deepmark.infer.predict import Predictor, Timing, predict_shards
from deepmark.model.detector import Detector
from deepmark.model.heads import STRIDE, HeadMaps, Heads
from deepmark.params import ModelParams, PredictParams
from deepmark.schema import STRATEGIES
from deepmark.types import Detections, ImageRecord
from deepmark.vocabulary import DEEPFASHION2

INPUT = (64, 96)


def predict_params(**changes: Any) -> PredictParams:
    values = {
        "batch_size": 2,
        "precision": "fp32",
        "max_detections": 100,
        "landmark_threshold": 0.1,
        "nms": "hard",
        "nms_iou": 0.5,
        "soft_nms_sigma": 0.5,
        "min_score": 0.0,
        "scales": (1.0, 0.75),
    }
    return PredictParams(**values | changes)


def picture(seed: int, size: tuple[int, int] = INPUT) -> np.ndarray:
    return np.random.default_rng(seed).integers(0, 256, (*size, 3), np.uint8)


def predictor(strategy: str, **changes: Any) -> Predictor:
    return Predictor(small_detector(INPUT), strategy, predict_params(**changes))


class LampDetector(Detector):
    """Detects a garment of two cells' width wherever the image is bright."""

    def __init__(self) -> None:
        heads = Heads(1, hidden=1, layout=SEPARATE)
        super().__init__(nn.Identity(), heads, ModelParams(backbone="mobile", input_size=INPUT))

    def normalize(self, images: Tensor) -> Tensor:
        return images.permute(0, 3, 1, 2) / 255

    def forward(self, images: Tensor) -> HeadMaps:
        height, width = (side // STRIDE for side in images.shape[2:])
        maps = {name: torch.zeros(len(images), c, height, width) for name, c in HEAD_CHANNELS.items()}
        light = nn.functional.avg_pool2d(images[:, :1], STRIDE)
        maps["center_heatmap"] = 20 * light.expand(-1, len(DEEPFASHION2.categories), -1, -1) - 10
        maps["center_offset"] = maps["landmark_offset"] = torch.full((len(images), 2, height, width), 0.5)
        maps["size"] = torch.full((len(images), 2, height, width), 2.0)
        maps["landmark_heatmap"] = maps["landmark_heatmap"] - 10
        return HeadMaps(**maps)


def test_canvases_have_the_sides_that_the_backbone_needs_at_every_scale() -> None:
    detector = small_detector(INPUT)
    detector.params = ModelParams(backbone="hourglass104", input_size=(256, 384))

    framed = Predictor(detector, "multiscale", predict_params(scales=(1.0, 0.75))).prepare(
        np.zeros((50, 60, 3), np.uint8)
    )

    assert [canvas.shape for canvas in framed.canvases] == [(256, 384, 3), (256, 384, 3)]


@pytest.mark.parametrize("size", [(128, 192), (240, 200), (90, 400)])
@pytest.mark.parametrize("scales", [(1.0,), (0.75,), (1.0, 0.75)])
def test_detections_are_in_pixels_of_the_original_at_every_scale(
    size: tuple[int, int], scales: tuple[float, ...]
) -> None:
    lamp = np.zeros((*size, 3), np.uint8)
    x, y = 0.7 * size[1], 0.3 * size[0]
    pixel = max(size[0] / INPUT[0], size[1] / INPUT[1]) / min(scales)
    reach = round(3 * pixel)
    lamp[round(y) - reach : round(y) + reach, round(x) - reach : round(x) + reach] = 255

    (found,) = Predictor(LampDetector(), "multiscale", predict_params(scales=scales))([lamp])

    assert found.scores[0] > 0.99
    middle = (found.boxes[0, :2] + found.boxes[0, 2:]) / 2
    np.testing.assert_allclose(middle, [x, y], atol=STRIDE * pixel)


def mirrored(found: Detections, width: int) -> Detections:
    boxes, landmarks, scores = found.boxes.copy(), found.landmarks.copy(), found.landmark_scores.copy()
    boxes[:, [2, 0]] = width - found.boxes[:, [0, 2]]
    for i, category in enumerate(DEEPFASHION2.categories[c] for c in found.categories):
        swap = list(category.mirror)
        landmarks[i, : category.landmarks] = [width, 0] + [-1, 1] * found.landmarks[i, swap]
        scores[i, : category.landmarks] = found.landmark_scores[i, swap]
    return Detections(
        boxes=boxes, scores=found.scores, categories=found.categories, landmarks=landmarks, landmark_scores=scores
    )


@pytest.mark.parametrize("strategy", ["flip", "multiscale"])
def test_what_is_found_in_a_mirrored_picture_is_the_mirror_image_of_what_is_found(strategy: str) -> None:
    straight = picture(1)
    ask = predictor(strategy, scales=(1.0,))

    a, b = ask([straight, straight[:, ::-1].copy()])

    b = mirrored(b, INPUT[1])
    np.testing.assert_allclose(a.scores, b.scores, atol=1e-5)
    np.testing.assert_array_equal(a.categories, b.categories)
    np.testing.assert_allclose(a.boxes, b.boxes, atol=1e-2)
    np.testing.assert_allclose(a.landmark_scores, b.landmark_scores, atol=1e-4)
    np.testing.assert_allclose(a.landmarks, b.landmarks, atol=1e-2)


def test_each_strategy_includes_the_one_before() -> None:
    with_strategy = [predictor(strategy) for strategy in STRATEGIES]

    assert [each.nms for each in with_strategy] == [False, True, True, True]
    assert [each.flip for each in with_strategy] == [False, False, True, True]
    assert [each.scales for each in with_strategy] == [(1.0,), (1.0,), (1.0,), (1.0, 0.75)]


def test_nms_removes_detections_and_soft_nms_lowers_their_scores() -> None:
    (raw,) = predictor("none")([picture(2)])
    (hard,) = predictor("nms")([picture(2)])
    (soft,) = predictor("nms", nms="soft")([picture(2)])

    assert len(hard) < len(raw) == len(soft)
    assert soft.scores.sum() < raw.scores.sum()


@pytest.mark.parametrize("strategy", STRATEGIES)
def test_every_strategy_keeps_the_best_and_no_more_than_asked(strategy: str) -> None:
    ask = predictor(strategy, max_detections=9)

    found = ask([picture(1), picture(2, (300, 200)), picture(3, (50, 70))])

    assert ask.timing.images == len(found) == 3
    for each in found:
        assert 0 < len(each) <= 9
        assert (np.diff(each.scores) <= 0).all()


def test_detections_below_the_least_score_are_dropped() -> None:
    (everything,) = predictor("nms")([picture(1)])
    least = float(everything.scores[20])

    (good,) = predictor("nms", min_score=least)([picture(1)])

    assert len(good) == (everything.scores >= least).sum() < len(everything)


@pytest.mark.parametrize("precision", ["bf16", "fp16"])
def test_a_cpu_computes_in_half_precision_and_answers_in_single(precision: str) -> None:
    (whole,) = predictor("flip")([picture(1)])
    (half,) = predictor("flip", precision=precision)([picture(1)])

    assert half.boxes.dtype == half.scores.dtype == np.float32
    np.testing.assert_allclose(half.scores[:5], whole.scores[:5], atol=0.05)


def test_no_pictures_give_no_detections() -> None:
    ask = predictor("multiscale")

    assert (ask([]), ask.timing) == ([], Timing())


def test_times_add_up_and_are_given_for_an_image() -> None:
    ask = predictor("nms")
    ask.timing = Timing(images=3, read_ms=3.0, network_ms=6.0, decode_ms=9.0)

    ask([picture(1)])

    assert ask.timing.images == 4
    assert ask.timing.read_ms > 3
    assert ask.timing.network_ms > 6
    assert ask.timing.decode_ms > 9
    assert Timing(images=4, read_ms=4.0, network_ms=8.0, decode_ms=12.0).per_image() == {
        "read": 1,
        "network": 2,
        "decode": 3,
    }


@pytest.fixture(scope="module")
def samples() -> list[tuple[ImageRecord, bytes]]:
    """Five images of different sizes, as ShardReader gives them."""
    pairs = []
    for number, size in enumerate([(300, 200), (64, 96), (100, 100), (50, 40), (120, 400)]):
        record = ImageRecord(
            id=1000 + number,
            file=f"image/{number:06}.jpg",
            sha256="",
            bytes=0,
            width=size[1],
            height=size[0],
            source="shop",
            pair_id=1,
            garments=(),
        )
        pairs.append((record, simplejpeg.encode_jpeg(picture(number, size), quality=90)))
    return pairs


def test_all_pictures_of_the_shards_are_predicted_in_order(samples: list[tuple[ImageRecord, bytes]]) -> None:
    ask, done = predictor("multiscale"), []

    found = list(predict_shards(samples, ask, batch_size=2, progress=done.append))

    assert [each.image_id for each in found] == [record.id for record, _ in samples]
    assert [each.file for each in found] == [record.file for record, _ in samples]
    assert done == [2, 2, 1]
    assert ask.timing.images == 5
    assert min(ask.timing.per_image().values()) > 0


def test_the_batch_size_changes_no_detection(samples: list[tuple[ImageRecord, bytes]]) -> None:
    ask = predictor("flip")

    one, three = (list(predict_shards(samples, ask, batch_size=size)) for size in (1, 3))

    for a, b in zip(one, three, strict=True):
        np.testing.assert_allclose(a.detections.boxes[0], b.detections.boxes[0], atol=1e-2)
        np.testing.assert_allclose(a.detections.scores, b.detections.scores, atol=1e-5)


def test_the_network_sees_at_scale_one_what_it_sees_in_training(samples: list[tuple[ImageRecord, bytes]]) -> None:
    record, jpeg = samples[0]
    size = record.height, record.width

    framed = predictor("multiscale").prepare_jpeg(jpeg, size)

    np.testing.assert_array_equal(framed.canvases[0], decode_and_warp(jpeg, framed.affines[0], INPUT))
    assert [canvas.shape for canvas in framed.canvases] == [(64, 96, 3), (64, 96, 3)]
