"""Centimetres: by a number, a known length, or the side of an ArUco marker."""

import cv2
import numpy as np
import pytest

from deepmark.errors import DeepmarkError
from deepmark.measure.scale import by_known_length, by_marker, by_number, check_marker


def marker_at(corners, *, dictionary=cv2.aruco.DICT_4X4_50, size=(480, 640)):
    """A light image with a marker whose black square has these corners, clockwise from the upper left."""
    side = 200
    square = cv2.aruco.generateImageMarker(cv2.aruco.getPredefinedDictionary(dictionary), 7, side)
    flat = np.array([(0, 0), (side, 0), (side, side), (0, side)], np.float32)
    affine = cv2.getPerspectiveTransform(flat, np.array(corners, np.float32))
    gray = cv2.warpPerspective(square, affine, size[::-1], borderValue=235, flags=cv2.INTER_AREA)
    return np.repeat(gray[:, :, None], 3, axis=2)


def test_a_known_length_gives_pixels_a_centimetre_in_any_of_its_units():
    for text in ("10,20,310,420=50cm", "10, 20, 310, 420 = 500 mm", "10,20,310,420=0.5m"):
        scale = by_known_length(text)
        assert scale.unit == "cm"
        assert scale.pixels_per_unit == pytest.approx(10)
        assert scale.relative_error == pytest.approx(2**0.5 / 500)
    assert by_known_length("0,0,0,254=10in").pixels_per_unit == pytest.approx(10)


@pytest.mark.parametrize(
    "text", ["", "1,2,3=4cm", "1,2,3,4", "1,2,3,4=5", "1,2,3,4=5km", "a,2,3,4=5cm", "1,2,3,4=5.5.5cm"]
)
def test_a_known_length_of_another_form_is_told_with_an_example(text):
    with pytest.raises(DeepmarkError, match=r"expected two points in pixels and their distance, .*mm, cm, m, in"):
        by_known_length(text)


@pytest.mark.parametrize("text", ["1,2,1,2=30cm", "0,0,100,0=0cm", "nan,0,100,0=30cm", "inf,0,100,0=30cm"])
def test_a_known_length_of_no_length_is_told(text):
    with pytest.raises(DeepmarkError, match="must be a pixel or more apart, and the length above 0"):
        by_known_length(text)


@pytest.mark.parametrize("number", [0.0, -1.0, float("nan"), float("inf")])
def test_pixels_a_centimetre_are_above_zero(number):
    with pytest.raises(DeepmarkError, match=r"--pixels-per-cm .*: give a number above 0"):
        by_number(number)


def test_a_marker_gives_the_scale_by_its_side():
    turned = [(300, 100), (380, 160), (320, 240), (240, 180)]

    scale = by_marker(marker_at(turned), 5.0, "4X4_50", name="photo.jpg")

    assert scale.unit == "cm"
    assert scale.pixels_per_unit == pytest.approx(20, rel=0.02)
    assert 0 < scale.relative_error < 0.01
    assert "1 ArUco marker of 5 cm" in scale.reference


def test_the_error_of_the_scale_holds_the_angle_at_which_the_marker_is_seen():
    seen_from_aside = [(300, 100), (360, 110), (360, 190), (300, 200)]

    assert by_marker(marker_at(seen_from_aside), 5.0, "4X4_50", name="photo.jpg").relative_error > 0.1


def test_an_image_without_a_marker_of_the_dictionary_is_told():
    image = marker_at([(300, 100), (400, 100), (400, 200), (300, 200)], dictionary=cv2.aruco.DICT_6X6_250)

    with pytest.raises(DeepmarkError, match=r"^photo\.jpg: no ArUco marker of the dictionary 4X4_50 is found\."):
        by_marker(image, 5.0, "4X4_50", name="photo.jpg")


def test_a_wrong_side_or_dictionary_is_told_before_any_image_is_read():
    with pytest.raises(DeepmarkError, match="--marker-cm 0: give the side of the marker's black square, above 0"):
        check_marker(0, "4X4_50")
    with pytest.raises(DeepmarkError, match=r"--dictionary 4x4_50: OpenCV has no such markers\. Did you mean '4X4_50'"):
        check_marker(5, "4x4_50")
