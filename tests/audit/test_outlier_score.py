import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from deepmark.audit.outlier_score import isotonic_regression, log_evidence, outlier_score, typical_range


def test_a_typical_range_is_not_moved_by_a_few_gross_errors():
    rng = np.random.default_rng(0)
    right = rng.normal(3.0, 0.5, (1000, 1))
    wrong = np.concatenate([right, np.full((50, 1), 1000.0)])
    one, other = (typical_range(values, assumed_spread=1.0, min_spread=0.01) for values in (right, wrong))

    assert other.middle == pytest.approx(one.middle, abs=0.1)
    assert other.above == pytest.approx(0.5, rel=0.2)


def test_a_typical_range_has_its_own_spread_on_each_side():
    rng = np.random.default_rng(0)
    typical = typical_range(rng.exponential(1.0, (5000, 1)), assumed_spread=1.0, min_spread=0.01)
    far = typical.deviations(np.array([[typical.middle[0] - 0.6], [typical.middle[0] + 0.6]]))

    assert far[0] > far[1]


def test_without_values_the_assumed_spread_stands_and_nothing_deviates():
    typical = typical_range(np.full((3, 2), np.nan), assumed_spread=0.3, min_spread=0.01)

    assert typical.above.tolist() == typical.below.tolist() == [0.3, 0.3]
    assert typical.deviations(np.full((1, 2), np.nan)).tolist() == [[0.0, 0.0]]


def test_no_spread_is_below_the_minimum():
    assert typical_range(np.zeros((10_000, 1)), assumed_spread=0.1, min_spread=0.05).below[0] == 0.05


def test_without_evidence_the_score_is_the_share_of_faults_assumed():
    assert outlier_score(np.zeros(1), faulty_share=0.02)[0] == pytest.approx(0.02)
    assert outlier_score(log_evidence(np.array([7.0])), faulty_share=0.02)[0] == pytest.approx(50 / 99)


@given(arrays(np.float64, 30, elements=st.floats(0, 1)), arrays(bool, 30))
def test_isotonic_shares_rise_with_the_score_and_keep_their_mean(values, hits):
    shares = isotonic_regression(values, hits)

    assert (np.diff(shares[np.argsort(values, kind="stable")]) >= 0).all()
    assert shares.mean() == pytest.approx(hits.mean())


def test_scores_that_separate_right_from_wrong_are_believed():
    values = np.array([0.1, 0.9, 0.2, 0.8])

    assert isotonic_regression(values, values > 0.5).tolist() == [0.0, 1.0, 0.0, 1.0]


def test_detections_of_one_score_have_one_confidence():
    assert (
        isotonic_regression(np.array([0.5, 0.5, 0.5, 0.5]), np.array([False, True, False, True])).tolist() == [0.5] * 4
    )
