"""Lengths along landmarks, and how far they may be off."""

import numpy as np
import pytest
from vocabularies import SMALL

from deepmark.errors import DeepmarkError
from deepmark.measure.draw_measurements import draw_measurements
from deepmark.measure.measure import measure, path_length
from deepmark.measure.precision import Precision, by_oks
from deepmark.measure.scale import Scale
from deepmark.measure.table import read_table
from deepmark.types import Detections
from deepmark.vocabulary import DEEPFASHION2

PIXELS = Scale()
TABLE = read_table(None, DEEPFASHION2)
BOX = (40.0, 60.0, 240.0, 360.0)


def found(name="skirt", *, points=None, peak=0.8, hidden=()):
    """One garment, drawn as the landmark figure of its category, or with these landmarks."""
    category = DEEPFASHION2.by_name[name]
    corners = np.array(BOX).reshape(2, 2)
    landmarks = np.zeros((1, DEEPFASHION2.most_landmarks, 2), np.float32)
    shape = corners[0] + np.array(category.shape.points) * (corners[1] - corners[0])
    landmarks[0, : category.landmarks] = shape if points is None else points
    scores = np.zeros((1, DEEPFASHION2.most_landmarks), np.float32)
    scores[0, : category.landmarks] = peak
    scores[0, [category.parts.index(part) for part in hidden]] = 0
    return Detections(
        boxes=np.array([BOX], np.float32),
        scores=np.array([0.9], np.float32),
        categories=np.array([category.index]),
        landmarks=landmarks,
        landmark_scores=scores,
    )


def lengths(detections, *, precision=None, scale=PIXELS):
    (garment,) = measure(detections, TABLE, precision or by_oks(DEEPFASHION2), scale)
    return {one.name: one for one in garment.lengths}


def exact(error):
    return Precision(
        errors={one.name: np.full(one.landmarks, error) for one in DEEPFASHION2.categories}, source="a test"
    )


def test_a_straight_length_is_the_distance_and_one_along_landmarks_the_sum_of_its_pieces():
    points = np.array([(0, 0), (30, 40), (60, 0), (0, 50), (0, 100), (30, 100), (60, 100), (60, 50)], np.float32)

    measured = lengths(found(points=points))

    assert measured["hip width"].value == pytest.approx(60)
    assert measured["waist width"].value == pytest.approx(100)
    assert measured["skirt length"].value == pytest.approx(60)
    assert measured["waist width"].landmarks == ("left waistband", "waistband middle", "right waistband")


def test_centimetres_are_pixels_by_the_scale_and_its_error_widens_the_interval():
    pixels = lengths(found())["hip width"]
    sure = lengths(found(), scale=Scale(unit="cm", pixels_per_unit=4.0))["hip width"]
    unsure = lengths(found(), scale=Scale(unit="cm", pixels_per_unit=4.0, relative_error=0.1))["hip width"]

    assert (pixels.unit, sure.unit) == ("px", "cm")
    assert sure.value == unsure.value == pytest.approx(pixels.value / 4)
    assert sure.high - sure.low == pytest.approx((pixels.high - pixels.low) / 4)
    assert unsure.high - unsure.low > 1.1 * (sure.high - sure.low)
    assert lengths(found(), precision=exact(0.0), scale=Scale(unit="cm", pixels_per_unit=4.0, relative_error=0.1))[
        "hip width"
    ].high == pytest.approx(sure.value * 1.196, rel=1e-3)


def test_hidden_landmarks_are_named_and_widen_the_intervals_that_they_are_part_of():
    seen, part = lengths(found()), lengths(found(hidden=["left skirt side"]))

    assert part["hip width"].hidden == ("left skirt side",)
    assert part["hip width"].high > seen["hip width"].high
    assert part["skirt length"].hidden == ()
    assert part["skirt length"].high == seen["skirt length"].high


def test_an_interval_never_goes_below_nothing():
    measured = lengths(found(), precision=exact(1.0))

    assert all(one.low == 0 for one in measured.values())


@pytest.mark.parametrize("name", ["trousers", "long sleeve top"])
def test_intervals_cover_the_truth_95_times_of_100_where_the_errors_are_as_the_precision_says(name):
    category = DEEPFASHION2.by_name[name]
    truth = found(name)
    precision = exact(0.01)
    spread = precision.spread(category, np.array(BOX), np.full(category.landmarks, 0.8))
    points = truth.landmarks[0, : category.landmarks].astype(np.float64)
    rng = np.random.default_rng(1)
    real = {one.name: one.value for one in lengths(truth).values()}
    inside = []
    for _ in range(80):
        noisy = points + rng.normal(0, 1, points.shape) * spread[:, None]
        measured = lengths(found(name, points=noisy), precision=precision)
        inside += [one.low <= real[one.name] <= one.high for one in measured.values()]

    assert 0.92 < np.mean(inside) < 0.98


def test_every_category_is_measured_and_nothing_gives_nothing():
    for category in DEEPFASHION2.categories:
        measured = lengths(found(category.name))
        assert all(0 < one.value < 2000 and one.low < one.value < one.high for one in measured.values())
    assert measure(found()[[]], TABLE, by_oks(DEEPFASHION2), PIXELS) == []


def test_the_length_of_a_path():
    assert path_length(np.array([(0.0, 0), (3, 4), (3, 10)])) == 11


def test_the_drawing_leaves_the_image_beside_a_list_of_the_measurements():
    image = np.full((450, 300, 3), 120, np.uint8)
    for detections in (found("long sleeve top"), found(hidden=["left skirt side"]), found()[[]]):
        garments = measure(detections, TABLE, by_oks(DEEPFASHION2), PIXELS)
        drawn = draw_measurements(image, garments, PIXELS)
        height, width = drawn.shape[:2]

        assert height == 900
        assert width > 600 + 350
        left, right = drawn[:, :600], drawn[:, 600:]
        assert (left != 120).any(axis=2).mean() > (0.02 if garments else -1)
        assert (right == 255).all(axis=2).mean() > 0.6
        assert (right.min(axis=2) < 100).any()
    assert (image == 120).all()


def test_a_large_image_comes_back_smaller():
    garments = measure(found(), TABLE, by_oks(DEEPFASHION2), PIXELS)

    assert draw_measurements(np.zeros((4000, 3000, 3), np.uint8), garments, PIXELS).shape[0] == 2000


def test_garments_of_another_vocabulary_than_the_tables_are_refused():
    hats = Detections(
        boxes=np.array([[0, 0, 9, 9]], np.float32),
        scores=np.array([0.8], np.float32),
        categories=np.array([SMALL.by_name["hat"].index]),
        landmarks=np.zeros((1, 6, 2), np.float32),
        landmark_scores=np.zeros((1, 6), np.float32),
        vocabulary=SMALL,
    )

    with pytest.raises(DeepmarkError, match=r'does not know the category "hat"\. Read both .* accessories'):
        measure(hats, TABLE, by_oks(DEEPFASHION2), PIXELS)
    assert measure(hats, {one.name: () for one in SMALL.categories}, by_oks(SMALL), PIXELS)[0].lengths == ()
