"""Portrait and landscape canvases: every network is trained on them, and detects, with sides that differ."""

import numpy as np
import pytest
import torch
from one_process import ALONE

from deepmark.infer.predict import PROFILE_PREDICT_PARAMS, Predictor
from deepmark.model.detector import build_detector
from deepmark.model.heads import HeadMaps
from deepmark.params import load_params, model_params
from deepmark.train.optim import build_optimizer
from deepmark.train.step import make_stepper
from deepmark.train.targets import Batch, collate
from deepmark.types import Sample
from deepmark.vocabulary import DEEPFASHION2
from deepmark.workspace.init import profile_file

SIZES = [
    ("mobile", (160, 64)),
    ("mobile", (32, 96)),
    ("dla34", (96, 64)),
    ("dla34", (64, 160)),
    ("hourglass104", (256, 128)),
    ("hourglass104", (128, 256)),
]


def batch_of(size: tuple[int, int], count: int = 2) -> Batch:
    """Images with one garment each, whose landmarks reach into the corner that only this shape of canvas has."""
    height, width = size
    rng = np.random.default_rng(1)
    category = DEEPFASHION2.categories[8]
    landmarks = np.zeros((1, 39, 3), np.float32)
    landmarks[0, : category.landmarks, :2] = rng.uniform(0, [width, height], (category.landmarks, 2))
    landmarks[0, 0, :2], landmarks[0, : category.landmarks, 2] = [width - 1, height - 1], 2
    box = np.array([[1, 1, width - 1, height - 1]], np.float32)
    image = rng.integers(0, 256, (count, height, width, 3), np.uint8)
    parts = {"boxes": box, "categories": np.array([8]), "landmarks": landmarks, "affine": np.eye(2, 3)}
    return collate([Sample(image=each, **parts) for each in image])


@pytest.mark.slow
@pytest.mark.parametrize(("backbone", "size"), SIZES)
def test_a_network_learns_and_detects_on_a_canvas_of_any_shape(backbone, size):
    height, width = size
    detector = build_detector(model_params(backbone=backbone, input_size=size), DEEPFASHION2, seed=1)
    train = load_params(profile_file("demo")).train
    stepper = make_stepper(detector, build_optimizer(detector, train), train, ALONE)
    losses = [stepper.step([batch_of(size)], 1e-4).losses[0] for _ in range(3)]

    assert np.isfinite(losses).all()
    assert losses[2] < losses[0]

    with torch.inference_mode():
        maps = detector.eval()(detector.normalize(batch_of(size).images))
    assert isinstance(maps, HeadMaps)
    assert maps.landmark_heatmap.shape[2:] == (height // 4, width // 4)
    image = np.random.default_rng(0).integers(0, 256, (300, 170, 3), np.uint8)
    for strategy in ("nms", "multiscale"):
        (found,) = Predictor(detector, strategy, PROFILE_PREDICT_PARAMS)([image])
        assert len(found) > 0
        assert (found.boxes >= 0).all()
        assert (found.boxes <= [170, 300, 170, 300]).all()
