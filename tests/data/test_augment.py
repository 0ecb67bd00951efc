"""Image, boxes and landmarks of a sample follow the record through one affine map."""

import numpy as np
import pytest
import simplejpeg

from deepmark import geometry
from deepmark.data.augment import make_sample, random_affine, random_colors
from deepmark.params import AugmentParams
from deepmark.runtime.canvas import affine_scale, shrink_for
from deepmark.types import Garment, ImageRecord, Sample
from deepmark.vocabulary import DEEPFASHION2

SIZE = (620, 470)
CANVAS = (128, 96)
PLAIN = AugmentParams(scale=(1.0, 1.0), shift=0.0, mirror=0.0, color=0.0, lighting=0.0)
STRONG = AugmentParams(scale=(0.6, 1.3), shift=1.0, mirror=0.5, color=0.4, lighting=0.1)


def a_garment(category: int = 0, *, low: float = 100, high: float = 400) -> Garment:
    rng = np.random.default_rng(category)
    count = DEEPFASHION2.categories[category].landmarks
    points = rng.uniform(low, high, (count, 2))
    labels = rng.integers(0, 3, count)
    points[labels == 0] = 0
    return Garment(
        item="item1",
        category=category,
        style=0,
        box=np.array([low, low, high, high], float),
        landmarks=np.column_stack([points, labels]).astype(float),
        polygons=(),
        scale=1,
        occlusion=1,
        zoom_in=1,
        viewpoint=2,
    )


def a_record(*garments: Garment) -> ImageRecord:
    return ImageRecord(
        id=1,
        file="image/000001.jpg",
        sha256="",
        bytes=0,
        width=SIZE[1],
        height=SIZE[0],
        source="shop",
        pair_id=1,
        garments=garments,
    )


@pytest.fixture(scope="module")
def jpeg() -> bytes:
    y, x = np.mgrid[: SIZE[0], : SIZE[1]]
    image = np.stack([x * 255 // SIZE[1], y * 255 // SIZE[0], np.full(SIZE, 128)], axis=2).astype(np.uint8)
    return simplejpeg.encode_jpeg(image, 95)


def sample_of(record: ImageRecord, jpeg: bytes, augment: AugmentParams | None, seed: int = 0) -> Sample:
    return make_sample(
        record, jpeg, canvas=CANVAS, augment=augment, rng=np.random.default_rng(seed), vocabulary=DEEPFASHION2
    )


def test_without_augmentation_the_image_is_letterboxed(jpeg):
    sample = sample_of(a_record(a_garment()), jpeg, None)
    assert sample.affine == pytest.approx(geometry.letterbox(SIZE, CANVAS))
    assert sample.image.shape == (*CANVAS, 3)


def test_all_switches_off_is_the_same_as_no_augmentation(jpeg):
    record = a_record(a_garment())
    plain, none = sample_of(record, jpeg, PLAIN), sample_of(record, jpeg, None)
    assert (plain.image == none.image).all()
    assert plain.landmarks == pytest.approx(none.landmarks)


def test_the_same_generator_gives_the_same_sample(jpeg):
    record = a_record(a_garment(3), a_garment(7))
    one, two = (sample_of(record, jpeg, STRONG, seed=5) for _ in range(2))
    assert (one.image == two.image).all()
    assert (one.landmarks == two.landmarks).all()


@pytest.mark.parametrize("seed", range(8))
def test_landmarks_and_pixels_go_through_the_same_affine_map(jpeg, seed):
    # the picture's red says x and its green y, so a pixel tells where in the original it comes from
    augment = STRONG.model_copy(update={"color": 0.0, "lighting": 0.0})
    sample = sample_of(a_record(a_garment(11)), jpeg, augment, seed)
    shown = sample.landmarks[0][sample.landmarks[0, :, 2] > 0, :2]
    inner = shown[((shown > 3) & (shown < np.array(CANVAS[::-1]) - 3)).all(axis=1)]
    assert len(inner)
    for x, y in inner:
        original = geometry.apply(geometry.inverse(sample.affine), np.array([x, y], float))
        red, green = sample.image[int(y), int(x), :2].astype(float)
        assert red == pytest.approx(original[0] * 255 / SIZE[1], abs=5)
        assert green == pytest.approx(original[1] * 255 / SIZE[0], abs=5)


@pytest.mark.parametrize("category", range(13))
def test_mirroring_swaps_the_landmark_pairs(jpeg, category):
    garment = a_garment(category)
    always = PLAIN.model_copy(update={"mirror": 1.0})
    plain = sample_of(a_record(garment), jpeg, PLAIN).landmarks[0]
    mirrored = sample_of(a_record(garment), jpeg, always).landmarks[0]
    pairs = list(DEEPFASHION2.categories[category].mirror)
    labelled = plain[pairs, 2] > 0
    assert (mirrored[: len(pairs), 2] == plain[pairs, 2]).all()
    swapped = plain[pairs][labelled]
    assert mirrored[: len(pairs)][labelled, 0] == pytest.approx(CANVAS[1] - swapped[:, 0], abs=1e-4)
    assert mirrored[: len(pairs)][labelled, 1] == pytest.approx(swapped[:, 1], abs=1e-4)


def test_landmarks_outside_the_canvas_are_not_labelled(jpeg):
    close = PLAIN.model_copy(update={"scale": (0.6, 0.6)})
    record = a_record(a_garment(low=5, high=460))
    sample = sample_of(record, jpeg, close)
    assert 0 < (sample.landmarks[0, :, 2] > 0).sum() < (record.garments[0].landmarks[:, 2] > 0).sum()
    hidden = sample.landmarks[sample.landmarks[..., 2] == 0]
    assert (hidden == 0).all()


def test_a_garment_outside_the_canvas_is_left_out_and_others_stay(jpeg):
    close = PLAIN.model_copy(update={"scale": (0.2, 0.2)})
    sample = sample_of(a_record(a_garment(0, low=0, high=20), a_garment(5, low=150, high=400)), jpeg, close)
    assert sample.categories.tolist() == [5]


def test_an_image_without_garments_is_a_sample_too(jpeg):
    sample = sample_of(a_record(), jpeg, STRONG)
    assert sample.boxes.shape == (0, 4)
    assert sample.landmarks.shape == (0, 39, 3)


def test_the_targets_of_a_sample_are_small(jpeg):
    sample = sample_of(a_record(*(a_garment(i) for i in range(10))), jpeg, None)
    assert sample.boxes.nbytes + sample.categories.nbytes + sample.landmarks.nbytes <= 10 * 1024


def test_the_crop_keeps_within_the_asked_scale():
    rng = np.random.default_rng(0)
    base = geometry.letterbox(SIZE, CANVAS)[0, 0]
    ratios = [abs(random_affine(SIZE, CANVAS, STRONG, rng)[0][0, 0]) / base for _ in range(300)]
    assert min(ratios) == pytest.approx(1 / 1.3, rel=0.05)
    assert max(ratios) == pytest.approx(1 / 0.6, rel=0.05)
    assert min(ratios) >= 1 / 1.3 - 1e-9
    assert max(ratios) <= 1 / 0.6 + 1e-9


def test_images_are_mirrored_as_often_as_asked():
    rng = np.random.default_rng(0)
    often = STRONG.model_copy(update={"mirror": 0.25})
    share = np.mean([random_affine(SIZE, CANVAS, often, rng)[1] for _ in range(1000)])
    assert share == pytest.approx(0.25, abs=0.04)


@pytest.mark.parametrize("size", [(620, 470), (90, 70), (2000, 1400)])
def test_a_shifted_crop_starts_on_whole_pixels(size):
    rng = np.random.default_rng(0)
    for _ in range(100):
        affine, is_mirrored = random_affine(size, CANVAS, STRONG, rng)
        upright = geometry.mirrored(affine, CANVAS[1]) if is_mirrored else affine
        ratio = affine_scale(affine)
        for offset in upright[:, 2]:
            pixels = offset if offset > 0 else -offset / (ratio * shrink_for(ratio))
            assert pixels == pytest.approx(round(pixels), abs=1e-7)


def naive_colors(image, params, rng):
    """The published method: one float image after the other."""
    values = image.astype(float)
    gray = np.array([0.299, 0.587, 0.114])
    for kind in rng.permutation(3):
        alpha = 1 + rng.uniform(-params.color, params.color)
        if kind == 0:
            values = alpha * values
        elif kind == 1:
            values = alpha * values + (1 - alpha) * (values @ gray).mean()
        else:
            values = alpha * values + (1 - alpha) * (values @ gray)[..., None]
    return np.clip(np.rint(values), 0, 255)


@pytest.mark.parametrize("seed", range(5))
def test_one_matrix_does_what_three_passes_over_the_image_do(seed):
    image = np.random.default_rng(seed).integers(0, 256, (20, 30, 3), np.uint8)
    params = STRONG.model_copy(update={"lighting": 0.0})
    ours = random_colors(image, params, np.random.default_rng(seed))
    theirs = naive_colors(image, params, np.random.default_rng(seed))
    assert np.abs(ours - theirs).max() <= 1


def test_lighting_shifts_the_image_as_a_whole():
    image = np.full((8, 8, 3), 128, np.uint8)
    params = PLAIN.model_copy(update={"lighting": 0.5})
    lit = random_colors(image, params, np.random.default_rng(1))
    assert len(np.unique(lit.reshape(-1, 3), axis=0)) == 1
    assert (lit != image).any()
