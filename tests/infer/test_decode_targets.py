"""The maps of a perfect network decode to the garments that their targets were made of."""

import numpy as np
import pytest
from head_maps import (
    drawn_sample,
    ideal_maps_of,
    mirrored_sample,
)
from layouts import GROUPED, LAYOUTS, SEPARATE
from vocabularies import MANY, SMALL

from deepmark import geometry
from deepmark.infer.decode import decode
from deepmark.model.heads import STRIDE
from deepmark.model.landmark_channels import LandmarkLayout, landmark_layout
from deepmark.types import Detections, Sample
from deepmark.vocabulary import DEEPFASHION2, Vocabulary

each_layout = pytest.mark.parametrize("layout", LAYOUTS.values(), ids=LAYOUTS)


CANVAS = (256, 192)
"""64 x 48 cells."""


ORIGINAL = (700, 520)


BOXES = {
    "large": (21.3, 30.2, 170.9, 235.4),
    "moderate": (50.1, 90.7, 131.3, 180.2),
    "small": (100.6, 41.2, 141.1, 77.9),
    "across the left border": (-40.3, 60.1, 70.2, 190.6),
    "across the lower right corner": (120.3, 170.3, 230.7, 300.4),
    "in the first cells": (0, 0, 38.2, 40.9),
    "up to the last cells": (150.2, 200.7, 192, 256),
}


def assert_comes_back(sample: Sample, found: Detections) -> None:
    """The sample's garments are the best detections, exact to half a cell."""
    back = geometry.inverse(sample.affine)
    half_a_cell = STRIDE / 2 * np.abs(back[:, :2]).max() + 1e-3
    count = len(sample.categories)
    assert (found.scores[:count] > 0.99).all()
    boxes = geometry.clip_boxes(geometry.apply_to_boxes(back, sample.boxes), ORIGINAL)
    for box, category, landmarks in zip(boxes, sample.categories, sample.landmarks, strict=True):
        (row,) = np.flatnonzero(
            (np.abs(found.boxes[:count] - box).max(axis=1) < half_a_cell) & (found.categories[:count] == category)
        )
        labelled = landmarks[:, 2] > 0
        apart = geometry.apply(back, landmarks[labelled, :2]) - found.landmarks[row, labelled]
        assert np.abs(apart).max(initial=0) <= half_a_cell


def decoded_ideally(samples: list[Sample], layout: LandmarkLayout = SEPARATE) -> list[Detections]:
    affines = [sample.affine for sample in samples]
    sizes = [ORIGINAL] * len(samples)
    maps = ideal_maps_of(samples, layout)
    return decode(maps, layout=layout, affines=affines, sizes=sizes, max_detections=100, landmark_threshold=0.1)


@pytest.mark.slow
@each_layout
@pytest.mark.parametrize("box", BOXES.values(), ids=BOXES)
def test_targets_decode_to_the_garment_they_were_made_of(
    box: tuple[float, float, float, float], layout: LandmarkLayout
) -> None:
    affine = np.array([[0.5, 0, 0], [0, 0.5, 0]])
    samples = [drawn_sample([(category, box)], CANVAS, affine) for category in range(len(DEEPFASHION2.categories))]
    samples += [mirrored_sample(sample) for sample in samples]

    for sample, found in zip(samples, decoded_ideally(samples, layout), strict=True):
        assert_comes_back(sample, found)


@each_layout
def test_targets_of_several_garments_in_a_picture_decode_to_all_of_them(layout: LandmarkLayout) -> None:
    together = [(0, BOXES["moderate"]), (7, BOXES["in the first cells"]), (0, BOXES["up to the last cells"])]
    sample = drawn_sample(together, CANVAS, geometry.letterbox(ORIGINAL, CANVAS))

    (found,) = decoded_ideally([sample], layout)

    assert_comes_back(sample, found)


@pytest.mark.parametrize("kind", ["separate", "grouped"])
@pytest.mark.parametrize("vocabulary", [SMALL, MANY], ids=lambda one: one.name)
def test_targets_of_other_vocabularies_decode_to_their_garments(vocabulary: Vocabulary, kind: str) -> None:
    layout, affine = landmark_layout(vocabulary, kind), np.array([[0.5, 0, 0], [0, 0.5, 0]])
    numbers = range(0, len(vocabulary.categories), max(1, len(vocabulary.categories) // 6))
    samples = [drawn_sample([(number, BOXES["large"])], CANVAS, affine, vocabulary) for number in numbers]

    for sample, found in zip(samples, decoded_ideally(samples, layout), strict=True):
        assert_comes_back(sample, found)
        best, category = found[0], vocabulary.categories[sample.categories[0]]
        assert best.as_dicts()[0]["category"] == category.name
        assert tuple(best.as_dicts()[0]["landmarks"]) == category.parts
        assert not best.landmarks[0, category.landmarks :].any()


@pytest.mark.parametrize(
    ("one", "other"),
    [
        ("long sleeve top", "long sleeve outwear"),
        ("skirt", "sling dress"),
        ("vest dress", "long sleeve outwear"),
        ("shorts", "trousers"),
    ],
)
def test_garments_of_two_categories_that_share_channels_both_come_back(one: str, other: str) -> None:
    """One over the other, as a coat is worn over a pullover."""
    categories = [DEEPFASHION2.by_name[name] for name in (one, other)]
    assert set.intersection(*(set(GROUPED.channel_of[category.span]) for category in categories))
    garments = list(zip((category.index for category in categories), (BOXES["moderate"], BOXES["large"]), strict=True))
    sample = drawn_sample(garments, CANVAS, geometry.letterbox(ORIGINAL, CANVAS))

    (found,) = decoded_ideally([sample], GROUPED)

    assert_comes_back(sample, found)


@pytest.mark.slow
@each_layout
def test_mirrored_maps_decode_as_the_maps_of_the_mirrored_picture(layout: LandmarkLayout) -> None:
    affine = np.eye(2, 3)
    samples = [drawn_sample([(c, BOXES["moderate"])], CANVAS, affine) for c in range(len(DEEPFASHION2.categories))]
    arguments = {
        "affines": [affine] * len(samples),
        "sizes": [CANVAS] * len(samples),
        "max_detections": 1,
        "landmark_threshold": 0.1,
    }

    ours = decode(ideal_maps_of(samples, layout).mirror(layout), layout=layout, **arguments)
    theirs = decode(ideal_maps_of([mirrored_sample(sample) for sample in samples], layout), layout=layout, **arguments)

    for a, b in zip(ours, theirs, strict=True):
        np.testing.assert_array_equal(a.categories, b.categories)
        np.testing.assert_allclose(a.boxes, b.boxes, atol=1e-3)
        np.testing.assert_allclose(a.landmarks, b.landmarks, atol=1e-3)
        np.testing.assert_array_equal(a.landmark_scores > 0, b.landmark_scores > 0)
