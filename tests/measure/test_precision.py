"""The precision of landmarks, from the sigmas of the metric or from an evaluation."""

import math

import numpy as np
import pytest

from deepmark.errors import DeepmarkError
from deepmark.measure.precision import by_evaluation, by_oks
from deepmark.vocabulary import DEEPFASHION2

SKIRT = DEEPFASHION2.by_name["skirt"]
BOX = np.array([100.0, 100.0, 300.0, 200.0])


def spread(precision, *, box=BOX, score=0.8, category=SKIRT):
    return precision.spread(category, box, np.full(category.landmarks, score))


def written(tmp_path, rows, header="category,landmark,part,labelled,error_mean,error_median"):
    file = tmp_path / "landmarks.csv"
    file.write_text("\n".join([header, *rows]) + "\n", "utf-8")
    return file


def test_the_spread_grows_with_the_garment_and_with_the_sigma_of_the_landmark():
    precision = by_oks(DEEPFASHION2)

    np.testing.assert_allclose(spread(precision, box=2 * BOX), 2 * spread(precision))
    for category in DEEPFASHION2.categories:
        own = spread(precision, category=category)
        np.testing.assert_allclose(own / own[0], np.array(category.sigmas) / category.sigmas[0])


def test_a_low_peak_is_less_precise_than_a_high_one_and_a_hidden_landmark_than_most():
    precision = by_oks(DEEPFASHION2)
    by_score = [spread(precision, score=score)[0] for score in (1.0, 0.8, 0.6, 0.4)]

    assert by_score == sorted(by_score)
    assert spread(precision, score=0.0)[0] > by_score[1]
    assert spread(precision, score=0.001)[0] == spread(precision, score=0.01)[0]


def test_an_evaluation_gives_the_errors_that_it_measured(tmp_path):
    rows = [f"skirt,{number},part,40,{0.01 * number},0.01" for number in range(1, 8)]
    precision = by_evaluation(written(tmp_path, [*rows, "skirt,8,part,0,,"]), DEEPFASHION2)

    expected = np.arange(1, 8) * 0.01 / math.sqrt(math.pi / 2)
    np.testing.assert_allclose(precision.errors["skirt"][:7], expected)
    assert precision.errors["skirt"][7] == by_oks(DEEPFASHION2).errors["skirt"][7]
    np.testing.assert_array_equal(precision.errors["vest"], by_oks(DEEPFASHION2).errors["vest"])


@pytest.mark.parametrize(
    "row", ["kilt,1,part,4,0.1,0.1", "skirt,9,part,4,0.1,0.1", "skirt,x,p,4,0.1,1", "skirt,1,p,4,-1,1"]
)
def test_a_row_that_cannot_be_is_told_with_its_line(tmp_path, row):
    file = written(tmp_path, ["skirt,1,left waistband,40,0.02,0.01", row])

    with pytest.raises(DeepmarkError, match=r"landmarks\.csv, line 3: no landmark with its error\. Run `deepmark eval"):
        by_evaluation(file, DEEPFASHION2)


def test_another_file_is_told(tmp_path):
    for file in (written(tmp_path, ["1,2"], header="a,b"), written(tmp_path, [])):
        with pytest.raises(DeepmarkError, match=r"landmarks\.csv: no table of landmarks\. Give landmarks\.csv of"):
            by_evaluation(file, DEEPFASHION2)
    file.write_bytes(b"\xff\x00\xfe")
    with pytest.raises(DeepmarkError, match="no table of landmarks"):
        by_evaluation(file, DEEPFASHION2)
