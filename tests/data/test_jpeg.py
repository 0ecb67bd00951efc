"""Warping agrees with bilinear sampling in floating point, on the fast path and on the general one."""

import cv2
import numpy as np
import pytest
import simplejpeg

from deepmark import geometry
from deepmark.data.jpeg import decode_and_warp, warp
from deepmark.images import decode_jpeg
from deepmark.runtime.canvas import shrink_for

CANVAS = (48, 40)


def a_picture(height: int, width: int) -> np.ndarray:
    """Smooth enough for a JPEG, and different everywhere."""
    y, x = np.mgrid[:height, :width] + 0.5
    waves = np.stack([x / width, y / height, 0.5 + 0.5 * np.sin(x / 9) * np.cos(y / 7)], axis=2)
    return np.rint(255 * waves).astype(np.uint8)


def sampled(image: np.ndarray, affine: np.ndarray, size: tuple[int, int]) -> tuple[np.ndarray, np.ndarray]:
    """Bilinear in float64, and where all four neighbours lie inside the picture."""
    height, width = image.shape[:2]
    y, x = np.mgrid[: size[0], : size[1]] + 0.5
    x, y = geometry.apply(geometry.inverse(affine), np.stack([x, y], axis=2).reshape(-1, 2)).T - 0.5
    inside = (x >= 0) & (y >= 0) & (x <= width - 1) & (y <= height - 1)
    left, top = np.clip(np.floor(x), 0, width - 2).astype(int), np.clip(np.floor(y), 0, height - 2).astype(int)
    right_share, low_share = (x - left)[:, None], (y - top)[:, None]
    above = (1 - right_share) * image[top, left] + right_share * image[top, left + 1]
    below = (1 - right_share) * image[top + 1, left] + right_share * image[top + 1, left + 1]
    return ((1 - low_share) * above + low_share * below).reshape(*size, 3), inside.reshape(size)


def an_affine(ratio: float, x: float, y: float, *, is_mirrored: bool = False) -> np.ndarray:
    affine = np.array([[ratio, 0.0, x], [0.0, ratio, y]])
    return geometry.mirrored(affine, CANVAS[1]) if is_mirrored else affine


def on_whole_pixels(rng: np.random.Generator, ratio: float) -> float:
    """An offset with which a crop, or a margin, begins on whole pixels."""
    return float(rng.integers(0, 20)) if rng.random() < 0.5 else -ratio * float(rng.integers(0, 30))


@pytest.mark.parametrize("is_mirrored", [False, True])
@pytest.mark.parametrize("seed", range(20))
def test_a_view_on_whole_pixels_is_bilinear_sampling_to_one_level(seed, is_mirrored):
    rng = np.random.default_rng(seed)
    image = rng.integers(0, 256, (61, 53, 3), np.uint8)
    ratio = float(rng.uniform(0.5, 1))
    affine = an_affine(ratio, on_whole_pixels(rng, ratio), on_whole_pixels(rng, ratio), is_mirrored=is_mirrored)

    seen = warp(image, affine, CANVAS)

    expected, inside = sampled(image, affine, CANVAS)
    assert inside.any()
    assert np.abs(seen[inside] - expected[inside]).max() <= 1


@pytest.mark.parametrize("ratio", [0.5, 1.0])
def test_the_whole_image_at_both_ends_of_the_quick_way_is_exact_too(ratio):
    image = np.random.default_rng(0).integers(0, 256, (61, 53, 3), np.uint8)
    affine = an_affine(ratio, 2.0, 3.0)

    seen = warp(image, affine, (80, 70))

    expected, inside = sampled(image, affine, (80, 70))
    assert np.abs(seen[inside] - expected[inside]).max() <= 1


@pytest.mark.parametrize("seed", range(8))
def test_any_other_view_is_bilinear_sampling_to_two_levels(seed):
    rng = np.random.default_rng(seed)
    image = a_picture(61, 53)
    affine = an_affine(float(rng.uniform(0.5, 1.8)), *rng.uniform(-9.9, 9.9, 2), is_mirrored=bool(seed % 2))

    seen = warp(image, affine, CANVAS)

    expected, inside = sampled(image, affine, CANVAS)
    assert np.abs(seen[inside] - expected[inside]).max() <= 2


@pytest.mark.parametrize("is_mirrored", [False, True])
def test_around_the_image_the_canvas_is_black(is_mirrored):
    image = np.full((20, 16, 3), 200, np.uint8)

    seen = warp(image, an_affine(0.75, 5.0, 7.0, is_mirrored=is_mirrored), CANVAS)

    shown = np.zeros(CANVAS, bool)
    shown[7:22, 5:17] = True
    shown = shown[:, ::-1] if is_mirrored else shown
    assert (seen[shown] == 200).all()
    assert (seen[~shown] == 0).all()


@pytest.mark.parametrize("offset", [48.0, 60.0, -40.0])
def test_an_image_out_of_sight_leaves_the_canvas_black(offset):
    image = np.full((20, 20, 3), 200, np.uint8)
    assert (warp(image, an_affine(0.5, 0.0, offset), CANVAS) == 0).all()


def test_shrinking_does_not_alias():
    stripes = np.zeros((400, 400, 3), np.uint8)
    stripes[:, ::2] = 255
    small = warp(stripes, geometry.letterbox((400, 400), (50, 50)), (50, 50))
    assert np.abs(small.astype(int) - 127).max() <= 2


@pytest.mark.parametrize("shrink", [1, 2, 4, 8])
def test_a_jpeg_is_decoded_at_the_size_asked_for(shrink):
    image = a_picture(203, 155)
    small = decode_jpeg(simplejpeg.encode_jpeg(image, 98), shrink=shrink)
    assert small.shape == (-(-203 // shrink), -(-155 // shrink), 3)


@pytest.mark.parametrize("shrink", [1, 2, 8])
def test_what_is_not_a_jpeg_is_a_value_error(shrink):
    with pytest.raises(ValueError, match="JPEG"):
        decode_jpeg(b"not a picture", shrink=shrink)


@pytest.mark.parametrize(
    ("ratio", "shrink"), [(3.0, 1), (1.0, 1), (0.51, 1), (0.5, 2), (0.26, 2), (0.25, 4), (0.02, 8)]
)
def test_a_jpeg_is_never_decoded_smaller_than_it_is_shown(ratio, shrink):
    assert shrink_for(ratio) == shrink


@pytest.mark.parametrize("ratio", [0.12, 0.2, 0.3, 0.45, 0.7])
def test_a_jpeg_decoded_small_lies_where_the_whole_image_does(ratio):
    image = a_picture(401, 337)  # a pixel more than eighths fill
    affine = an_affine(ratio, 0.3, -1.7)

    seen = decode_and_warp(simplejpeg.encode_jpeg(image, 98), affine, CANVAS)

    expected, inside = sampled(image, affine, CANVAS)
    inner = cv2.erode(inside.astype(np.uint8), np.ones((5, 5)), borderType=cv2.BORDER_CONSTANT, borderValue=0)
    # red says x and green says y: a level is 1.3 and 1.6 pixels of the picture
    error = (seen - expected)[inner > 0][:, :2]
    assert len(error) > 300
    assert np.abs(error).max() <= 3
    assert np.abs(error.mean(axis=0)).max() <= 0.4
