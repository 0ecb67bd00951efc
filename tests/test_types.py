"""Detections: chosen, joined, printed and drawn."""

import subprocess
import sys

import numpy as np
import PIL.Image
import pytest
from eval_samples import detections

from deepmark.draw import draw_detections
from deepmark.errors import DeepmarkError
from deepmark.types import Detections

FOUND = detections(
    ("vest", (0, 0, 9, 9), 0.9),
    ("skirt", (5, 0, 30, 60), 0.6),
    ("sling", (2, 2, 8, 8), 0.4),
    ("vest", (1, 1, 9, 9), 0.1),
)
NONE = FOUND[:0]
IMAGE = np.full((60, 40, 3), 200, np.uint8)


def scores(found: Detections) -> list[float]:
    return found.scores.round(3).tolist()


@pytest.mark.parametrize(
    ("rows", "wanted"),
    [
        (np.array([0, 2]), [0.9, 0.4]),
        (FOUND.scores > 0.5, [0.9, 0.6]),
        (slice(1, 3), [0.6, 0.4]),
        (-1, [0.1]),
        (np.array([], np.int64), []),
    ],
)
def test_detections_are_chosen_by_rows_a_mask_a_slice_or_one_number(rows, wanted):
    chosen = FOUND[rows]

    assert scores(chosen) == pytest.approx(wanted)
    assert len(chosen) == len(chosen.boxes) == len(chosen.landmarks) == len(wanted)


def test_a_loop_gives_the_detections_one_by_one():
    assert [scores(one) for one in FOUND] == [pytest.approx([score]) for score in scores(FOUND)]


def test_concatenated_detections_are_best_first_and_keep_their_landmarks():
    joined = Detections.concatenate([FOUND[1::2], FOUND[::2]])

    np.testing.assert_array_equal(joined.scores, FOUND.scores)
    np.testing.assert_array_equal(joined.landmarks, FOUND.landmarks)


def test_of_equal_scores_the_earlier_part_comes_first():
    one, other = detections(("vest", (0, 0, 9, 9), 0.5)), detections(("skirt", (0, 0, 9, 9), 0.5))

    joined = Detections.concatenate([one, other])

    assert joined.categories.tolist() == [*one.categories, *other.categories]


def test_they_print_as_a_table():
    assert str(FOUND[:2]).splitlines() == [
        "Detections of 2 garments:",
        "category              score      x0      y0      x1      y1  landmarks",
        "vest                   0.90     0.0     0.0     9.0     9.0         15",
        "skirt                  0.60     5.0     0.0    30.0    60.0          8",
    ]
    assert repr(NONE) == "Detections of 0 garments"


def test_of_many_the_best_ten_are_printed():
    many = detections(*(("vest", (0, 0, 9, 9), score / 20) for score in range(12)))

    lines = str(many).splitlines()

    assert (lines[0], len(lines), lines[-1]) == ("Detections of 12 garments:", 13, "and 2 more of lower scores")


def test_they_draw_themselves_on_the_image_that_is_given():
    drawn = FOUND.draw(IMAGE, min_score=0.5)

    assert isinstance(drawn, PIL.Image.Image)
    np.testing.assert_array_equal(np.asarray(drawn), draw_detections(IMAGE, FOUND, min_score=0.5))


def test_without_an_image_to_draw_on_they_say_so():
    with pytest.raises(DeepmarkError, match="draw: give the image"):
        FOUND.draw()


@pytest.mark.parametrize("rows", [[0, 2], np.array([0, 2]), np.array([True, False, True, False])])
def test_rows_are_taken_by_list_by_numbers_and_by_mask(rows):
    assert FOUND[rows].scores.tolist() == [FOUND.scores[0], FOUND.scores[2]]


def test_no_rows_are_no_detections():
    assert len(FOUND[[]]) == 0


def test_detections_are_equal_to_themselves_alone():
    assert FOUND == FOUND
    assert FOUND[:] != FOUND


WRONG_ARRAYS = """
import numpy as np
from deepmark.errors import DeepmarkError
from deepmark.types import Detections
one = {"boxes": np.zeros((1, 4), "f4"), "scores": np.zeros(1, "f4"), "categories": np.zeros(1, int)}
one |= {"landmarks": np.zeros((1, 39, 2), "f4"), "landmark_scores": np.zeros((1, 39), "f4")}
print(len(Detections(**one)))
for name, value in (
    ("boxes", np.zeros((2, 4), "f4")),
    ("boxes", [[0, 0, 1, 1]]),
    ("scores", np.zeros(1)),
    ("scores", np.float32(0)),
    ("categories", np.zeros(1, "i4")),
    ("landmarks", np.zeros((1, 38, 2), "f4")),
    ("landmark_scores", np.zeros(39, "f4")),
):
    try:
        Detections(**{**one, name: value})
    except DeepmarkError as error:
        print(error)
"""


def test_arrays_of_other_shapes_or_types_are_refused_by_name():
    # in a separate process, because the tests' type checks would come first here
    done = subprocess.run([sys.executable, "-c", WRONG_ARRAYS], capture_output=True, text=True, check=True)

    assert done.stdout.splitlines() == [
        "1",
        "Detections: boxes is float32 (2, 4), and must be a NumPy array of float32 (1, 4) for 1 scores.",
        "Detections: boxes is list, and must be a NumPy array of float32 (1, 4) for 1 scores.",
        "Detections: scores is float64 (1,), and must be a NumPy array of float32 (1,) for 1 scores.",
        "Detections: scores is float32, and must be a NumPy array of float32 (0,) for 0 scores.",
        "Detections: categories is int32 (1,), and must be a NumPy array of int64 (1,) for 1 scores.",
        "Detections: landmarks is float32 (1, 38, 2), and must be a NumPy array of float32 (1, 39, 2) for 1 scores.",
        "Detections: landmark_scores is float32 (39,), and must be a NumPy array of float32 (1, 39) for 1 scores.",
    ]
