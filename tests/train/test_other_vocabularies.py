"""Training for other garments than DeepFashion2's: categories without landmarks, and with up to sixty."""

import math
from dataclasses import replace

import numpy as np
import pytest
from one_process import ALONE
from painted_garments import painted_samples, records_of
from vocabularies import MANY, SMALL

from deepmark.eval.metric.evaluate import evaluate
from deepmark.infer.predict import PROFILE_PREDICT_PARAMS, Predictor
from deepmark.model.detector import build_detector
from deepmark.params import TrainParams, load_params, model_params
from deepmark.train.optim import build_optimizer
from deepmark.train.step import Stepper, make_stepper
from deepmark.train.targets import collate, make_targets
from deepmark.types import Prediction, Sample
from deepmark.vocabulary import Vocabulary
from deepmark.workspace.init import profile_file

HAT = SMALL.by_name["hat"]
EVERY_LOSS = {"box_giou": 0.5, "box_diou": 0.5, "landmark_vectors_oks": 0.5, "landmark_offset_oks": 0.5}


def train_params(**changes: object) -> TrainParams:
    """Those of the demo, without what needs a whole run."""
    params = load_params(profile_file("demo")).train
    return params.model_copy(update={"ema": None, "sync_batch_norm": False, **changes})


def stepper_of(vocabulary: Vocabulary, landmark_maps: str = "separate", **changes: object) -> Stepper:
    params = train_params(**changes)
    model = model_params(backbone="mobile", input_size=(96, 96), landmark_maps=landmark_maps)
    detector = build_detector(model, vocabulary, seed=1)
    return make_stepper(detector, build_optimizer(detector, params), params, ALONE)


def _first(sample: Sample, category: int) -> Sample:
    """The sample with one garment of this category alone."""
    (row, *_) = np.flatnonzero(sample.categories == category)
    rows = {name: getattr(sample, name)[row : row + 1] for name in ("boxes", "categories", "landmarks")}
    return replace(sample, **rows)


@pytest.mark.parametrize("landmark_channels", ["all", "own"])
@pytest.mark.parametrize("landmark_radius", ["box", "sigma"])
@pytest.mark.parametrize("hats_alone", [True, False])
def test_a_step_on_garments_without_landmarks_is_finite(landmark_channels, landmark_radius, hats_alone):
    weights = train_params().loss_weights.model_copy(update=EVERY_LOSS)
    stepper = stepper_of(
        SMALL, loss_weights=weights, landmark_channels=landmark_channels, landmark_radius=landmark_radius
    )
    samples = painted_samples(SMALL, 6)
    if hats_alone:
        samples = [_first(one, HAT.index) for one in samples if HAT.index in one.categories]
    batch = collate(samples)

    result = stepper.step([batch], 1e-3)

    assert result.is_finite
    assert all(map(math.isfinite, result.losses))
    assert all(weight.isfinite().all() for weight in stepper.detector.parameters())


def test_landmarks_stand_in_the_flat_list_where_their_categories_do():
    batch = collate(painted_samples(MANY, 30))
    targets = make_targets(batch, MANY)

    wanted = [
        index
        for number in batch.categories.tolist()
        for index in range(MANY.categories[number].start, MANY.categories[number].span.stop)
    ]
    assert targets.landmarks.channel.tolist() == wanted
    assert targets.landmark_sigmas.tolist() == [MANY.sigmas[index] for index in wanted]


@pytest.mark.slow
@pytest.mark.parametrize("landmark_maps", ["separate", "grouped"])
@pytest.mark.parametrize("vocabulary", [SMALL, MANY], ids=lambda one: one.name)
def test_eight_images_are_learnt_by_heart(vocabulary, landmark_maps):
    samples, steps = painted_samples(vocabulary, 8), 100
    stepper, batch = stepper_of(vocabulary, landmark_maps), collate(samples)
    for step in range(steps):
        rate = 6e-3 * min((step + 1) / 10, (1 + math.cos(math.pi * step / steps)) / 2)
        assert stepper.step([batch], rate).is_finite
    predictor = Predictor(stepper.detector, "nms", PROFILE_PREDICT_PARAMS)
    found = predictor([sample.image for sample in samples])
    records = records_of(samples, vocabulary)
    predictions = [Prediction(one.id, one.file, each) for one, each in zip(records, found, strict=True)]

    report = evaluate(records, predictions, vocabulary=vocabulary)

    assert report.value("box_ap") > 0.9
    assert report.value("landmark_ap") > 0.9
    for sample, each in zip(samples, found, strict=True):
        names = {each.vocabulary.categories[number].name for number in sample.categories}
        assert names <= {one["category"] for one in each.as_dicts() if one["score"] > 0.1}
