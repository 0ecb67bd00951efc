"""All functions follow one convention for coordinates."""

import cv2
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from deepmark import geometry

sides = st.integers(16, 2000)


@given(height=sides, width=sides, canvas_height=sides, canvas_width=sides, scale=st.floats(0.25, 1.0))
def test_a_letterboxed_image_lies_in_the_middle_of_its_canvas(height, width, canvas_height, canvas_width, scale):
    affine = geometry.letterbox((height, width), (canvas_height, canvas_width), scale=scale)
    corners = geometry.apply(affine, np.array([[0.0, 0.0], [width, height]]))
    assert corners.mean(axis=0) == pytest.approx([canvas_width / 2, canvas_height / 2])
    extent = corners[1] - corners[0]
    assert max(extent / [canvas_width, canvas_height]) == pytest.approx(scale)
    assert extent[0] / extent[1] == pytest.approx(width / height)


@given(st.integers(0, 1000))
def test_a_map_followed_by_its_inverse_is_the_identity(seed):
    rng = np.random.default_rng(seed)
    affine = rng.normal(size=(2, 3)) + np.array([[2, 0, 0], [0, 2, 0]])
    points = rng.normal(size=(5, 2))
    there_and_back = geometry.apply(geometry.inverse(affine), geometry.apply(affine, points))
    assert there_and_back == pytest.approx(points, abs=1e-6 * np.linalg.cond(affine[:, :2]))


def test_a_mirrored_map_sends_x_to_width_minus_x():
    affine = geometry.letterbox((40, 30), (64, 64))
    points = np.array([[3.0, 5.0], [30.0, 40.0]])
    x, y = geometry.apply(affine, points).T
    mirrored_x, mirrored_y = geometry.apply(geometry.mirrored(affine, 64), points).T
    assert mirrored_x == pytest.approx(64 - x)
    assert mirrored_y == pytest.approx(y)


def test_opencv_finds_the_pixel_that_the_map_names():
    image = np.zeros((20, 20), np.uint8)
    image[7, 4] = 255
    affine = np.array([[2.0, 0.0, 0.0], [0.0, 2.0, 0.0]])
    warped = cv2.warpAffine(image, geometry.pixel_centred(affine), (40, 40), flags=cv2.INTER_NEAREST)
    lit = np.argwhere(warped)[:, ::-1] + 0.5
    assert lit.mean(axis=0) == pytest.approx(geometry.apply(affine, np.array([4.5, 7.5])))


def test_a_mirrored_image_is_the_flipped_image():
    image = np.random.default_rng(0).integers(0, 255, (33, 47, 3), np.uint8)
    affine = geometry.mirrored(geometry.letterbox((33, 47), (33, 47)), 47)
    assert (cv2.warpAffine(image, geometry.pixel_centred(affine), (47, 33)) == image[:, ::-1]).all()


def test_overlap_of_boxes():
    a = np.array([[0.0, 0, 2, 2]])
    b = np.array([[0.0, 0, 2, 2], [1, 0, 3, 2], [2, 2, 4, 4], [1, 1, 1, 1]])
    assert geometry.box_iou(a, b)[0] == pytest.approx([1, 1 / 3, 0, 0])


def test_boxes_are_clipped_to_the_image():
    boxes = np.array([[-5.0, -5, 10, 10], [90, 40, 120, 60], [200, 0, 210, 10]])
    clipped = geometry.clip_boxes(boxes, (50, 100))
    assert clipped.tolist() == [[0, 0, 10, 10], [90, 40, 100, 50], [100, 0, 100, 10]]
    assert geometry.box_areas(clipped).tolist() == [100, 100, 0]
