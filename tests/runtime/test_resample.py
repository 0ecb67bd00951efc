"""NumPy's resampling gives OpenCV's pixels, for images of any size and content."""

import cv2
import numpy as np
import pytest
from encoded_images import encoded, smooth, with_orientation

from deepmark import geometry
from deepmark.data.jpeg import warp, warp_opened
from deepmark.images import open_image
from deepmark.runtime.canvas import NUMPY, letterboxed
from deepmark.runtime.canvas import warp as warp_by
from deepmark.runtime.resample import average, place, resize

SEEDS = range(25)


def any_image(rng: np.random.Generator, most: int = 200) -> np.ndarray:
    """Noise, black and white, one colour, or a slope: a sum is a half, where rounding shows, in some of them only."""
    height, width = rng.integers(2, most, 2)
    y, x = np.mgrid[:height, :width]
    kinds = (
        rng.integers(0, 256, (height, width, 3)),
        np.repeat(rng.integers(0, 2, (height, width, 1)) * 255, 3, axis=2),
        np.full((height, width, 3), rng.integers(256)),
        np.stack([x * 255 // width, y * 255 // height, (x + y) % 256], axis=2),
    )
    return kinds[rng.integers(len(kinds))].astype(np.uint8)


@pytest.mark.parametrize("seed", SEEDS)
def test_an_average_is_that_of_opencv_bit_for_bit(seed):
    rng = np.random.default_rng(seed)
    image, scale = any_image(rng), rng.uniform(0.02, 0.5)
    height, width = (max(1, round(side * scale)) for side in image.shape[:2])

    expected = cv2.resize(image, (width, height), interpolation=cv2.INTER_AREA)

    assert np.array_equal(average(image, (height, width)), expected)


@pytest.mark.parametrize("factor", [2, 3, 4, 7])
@pytest.mark.parametrize("seed", range(4))
def test_an_average_over_whole_pixels_is_that_of_opencv_too(seed, factor):
    rng = np.random.default_rng(seed)
    image = any_image(rng)
    height, width = (max(1, side // factor) for side in image.shape[:2])
    image = np.ascontiguousarray(image[: height * factor, : width * factor])

    expected = cv2.resize(image, (width, height), interpolation=cv2.INTER_AREA)

    assert np.array_equal(average(image, (height, width)), expected)


@pytest.mark.parametrize("seed", SEEDS)
def test_a_bilinear_reduction_is_that_of_opencv_bit_for_bit(seed):
    rng = np.random.default_rng(seed)
    image, scale = any_image(rng), float(rng.uniform(0.5, 1))

    expected = cv2.resize(image, None, fx=scale, fy=scale, interpolation=cv2.INTER_LINEAR)

    assert np.array_equal(resize(image, scale), expected)


def test_an_image_between_pixels_is_that_of_opencv_but_for_few_values_and_one_grey_level():
    differing = values = 0
    for seed in SEEDS:
        rng = np.random.default_rng(seed)
        image, size = any_image(rng), tuple(rng.integers(5, 200, 2).tolist())
        affine = np.array(
            [[rng.uniform(0.5, 2), 0, rng.uniform(-90, 90)], [0, rng.uniform(0.5, 2), rng.uniform(-90, 90)]]
        )

        found, expected = place(image, affine, size), warp(image, affine, size)

        apart = np.abs(found.astype(int) - expected)
        assert apart.max() <= 1
        differing, values = differing + np.count_nonzero(apart), values + apart.size

    assert differing / values < 2e-5


@pytest.mark.parametrize("seed", SEEDS)
def test_a_letterbox_is_that_of_the_trained_network(seed):
    rng = np.random.default_rng(seed)
    image, canvas = any_image(rng), tuple((32 * rng.integers(1, 5, 2)).tolist())
    affine = geometry.letterbox(image.shape[:2], canvas)

    apart = np.abs(warp_by(image, affine, canvas, NUMPY).astype(int) - warp(image, affine, canvas))

    assert apart.max() <= 1
    assert np.count_nonzero(apart) <= 1e-3 * apart.size


@pytest.mark.parametrize("orientation", [1, 3, 6])
@pytest.mark.parametrize("size", [(401, 303), (90, 130), (512, 384)])
def test_a_jpeg_that_is_decoded_smaller_is_letterboxed_alike(orientation, size):
    opened = open_image(encoded(smooth(size), "jpeg", quality=90, exif=with_orientation(orientation)))
    affine = geometry.letterbox(opened.size, (96, 64))

    apart = letterboxed(opened, affine, (96, 64)).astype(int) - warp_opened(opened, affine, (96, 64))

    assert np.abs(apart).max() <= 1
    assert np.count_nonzero(apart) <= 1e-3 * apart.size


def test_an_image_outside_the_canvas_leaves_it_black():
    image = np.full((20, 20, 3), 200, np.uint8)

    assert not place(image, np.array([[1.0, 0, 60.3], [0, 1.0, 0.3]]), (48, 40)).any()
