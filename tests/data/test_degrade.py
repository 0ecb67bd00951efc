"""Each degradation does what its name says, is off at 0, and draws nothing from the generator then."""

import numpy as np
import pytest
import simplejpeg
from test_augment import CANVAS, PLAIN, STRONG, a_garment, a_record, jpeg

from deepmark import geometry
from deepmark.data.augment import make_sample
from deepmark.data.degrade import blurred, compressed, hide_landmarks, noisy, white_balanced
from deepmark.types import Garment, Sample
from deepmark.vocabulary import DEEPFASHION2

__all__ = ["jpeg"]

NEXT = (3920255353, 3598687396, 1117377922)
SWITCHES = {"rotation": 15.0, "cutout": 1.0, "white_balance": 0.3, "blur": 2.0, "noise": 20.0, "jpeg": 80}


def sample_of(file: bytes, rng: np.random.Generator, *garments: Garment, **switches: float) -> Sample:
    augment = PLAIN.model_copy(update=switches)
    return make_sample(a_record(*garments), file, canvas=CANVAS, augment=augment, rng=rng, vocabulary=DEEPFASHION2)


def outline(garment: Garment) -> Garment:
    """The garment with a polygon: a rhombus whose corners are the middles of its box's sides."""
    x0, y0, x1, y1 = garment.box
    points = [((x0 + x1) / 2, y0), (x1, (y0 + y1) / 2), ((x0 + x1) / 2, y1), (x0, (y0 + y1) / 2)]
    values = {name: getattr(garment, name) for name in Garment.__slots__}
    return Garment(**values | {"polygons": (np.array(points),)})


def test_off_draws_nothing_from_the_generator(jpeg):
    # Not to be updated: what the generator gives next, and so every sample, is as before there were these switches.
    for seed, following in enumerate(NEXT):
        rng = np.random.default_rng(seed)
        make_sample(
            a_record(a_garment(3), a_garment(7)), jpeg, canvas=CANVAS, augment=STRONG, rng=rng, vocabulary=DEEPFASHION2
        )
        assert rng.integers(2**32) == following


@pytest.mark.parametrize("name", SWITCHES)
def test_each_switch_changes_a_sample_and_the_same_generator_gives_the_same(name):
    file = simplejpeg.encode_jpeg(np.random.default_rng(0).integers(0, 256, (620, 470, 3), np.uint8), 95)
    garments = a_garment(3), a_garment(7)
    plain = sample_of(file, np.random.default_rng(4), *garments)
    one, two = (sample_of(file, np.random.default_rng(4), *garments, **{name: SWITCHES[name]}) for _ in range(2))

    assert (one.image != plain.image).any()
    assert (one.image == two.image).all()
    assert (one.landmarks == two.landmarks).all()
    if name not in ("rotation", "cutout"):
        assert (one.landmarks == plain.landmarks).all()
        assert (one.boxes == plain.boxes).all()


@pytest.mark.parametrize("seed", range(4))
def test_landmarks_and_pixels_turn_together(jpeg, seed):
    sample = sample_of(jpeg, np.random.default_rng(seed), a_garment(11), rotation=25.0)
    shown = sample.landmarks[0][sample.landmarks[0, :, 2] > 0, :2]
    originals = geometry.apply(geometry.inverse(sample.affine), shown.astype(float))

    assert abs(sample.affine[0, 1]) > 0
    for (x, y), original in zip(shown, originals, strict=True):
        red, green = sample.image[int(y), int(x), :2].astype(float)
        assert red == pytest.approx(original[0] * 255 / 470, abs=5)
        assert green == pytest.approx(original[1] * 255 / 620, abs=5)


def test_a_turned_box_is_that_of_the_turned_polygon(jpeg):
    garment = a_garment(0, low=150, high=350)
    loose = sample_of(jpeg, np.random.default_rng(1), garment, rotation=30.0)
    tight = sample_of(jpeg, np.random.default_rng(1), outline(garment), rotation=30.0)
    (polygon,) = outline(garment).polygons
    points = geometry.apply(tight.affine, polygon)

    np.testing.assert_allclose(tight.boxes[0], [*points.min(axis=0), *points.max(axis=0)], rtol=1e-5)
    assert geometry.box_areas(tight.boxes) < 0.9 * geometry.box_areas(loose.boxes)


def test_angles_are_spread_over_the_range_to_both_sides(jpeg):
    rng = np.random.default_rng(0)
    affines = [sample_of(jpeg, rng, rotation=10.0).affine for _ in range(100)]
    angles = np.degrees([np.arctan2(affine[1, 0], affine[0, 0]) for affine in affines])

    assert angles.min() < -7
    assert angles.max() > 7
    assert np.abs(angles).max() <= 10


def test_a_patch_hides_a_landmark_of_each_garment_which_is_learnt_as_occluded():
    image = np.zeros((200, 200, 3), np.uint8)
    boxes = np.array([[10, 10, 90, 90], [110, 110, 190, 190]], np.float32)
    landmarks = np.zeros((2, 39, 3), np.float32)
    landmarks[0, 0], landmarks[1, :2] = [50, 50, 2], [[150, 150, 2], [112, 188, 1]]

    for seed in range(5):
        hidden, after = hide_landmarks(image, boxes, landmarks, 1.0, np.random.default_rng(seed))
        assert (after[..., :2] == landmarks[..., :2]).all()
        assert after[0, 0, 2] == 1
        assert hidden[49:51, 49:51].any()
        assert (after[..., 2] > 0).sum() == 3
    assert landmarks[0, 0, 2] == 2
    assert not image.any()


def test_patches_are_as_frequent_as_asked_and_need_a_landmark():
    image, box = np.zeros((100, 100, 3), np.uint8), np.array([[10, 10, 90, 90]], np.float32)
    landmarks = np.zeros((1, 39, 3), np.float32)
    rng = np.random.default_rng(0)
    assert not hide_landmarks(image, box, landmarks, 1.0, rng)[0].any()
    landmarks[0, 0] = [50, 50, 2]
    share = np.mean([hide_landmarks(image, box, landmarks, 0.3, rng)[1][0, 0, 2] == 1 for _ in range(1000)])
    assert share == pytest.approx(0.3, abs=0.05)


def test_white_balance_scales_red_and_blue_alone():
    image = np.full((4, 4, 3), 100, np.uint8)

    assert white_balanced(image, np.array([1.2, 0.7]))[0, 0].tolist() == [120, 100, 70]


def test_blur_keeps_the_mean_and_lowers_the_contrast():
    image = np.random.default_rng(0).integers(0, 256, (64, 64, 3), np.uint8)

    assert (blurred(image, 0.0) == image).all()
    assert blurred(image, 2.0).mean() == pytest.approx(image.mean(), abs=2)
    assert blurred(image, 2.0).std() < image.std() / 3


def test_noise_has_its_deviation_in_every_value():
    image = np.full((128, 128, 3), 128, np.uint8)

    found = noisy(image, 10.0, np.random.default_rng(0)).astype(float) - 128

    assert found.std() == pytest.approx(10, rel=0.03)
    assert np.corrcoef(found[..., 0].ravel(), found[..., 1].ravel())[0, 1] == pytest.approx(0, abs=0.03)


def test_a_lower_quality_is_further_from_the_image():
    image = np.random.default_rng(0).integers(0, 256, (64, 64, 3), np.uint8)
    image = blurred(image, 1.5)
    errors = [np.abs(compressed(image, quality).astype(float) - image).mean() for quality in (95, 60, 20)]

    assert errors == sorted(errors)
    assert errors[0] < 4
