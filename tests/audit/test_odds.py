"""The ratio of two densities, learnt from samples of both."""

import numpy as np
import pytest

from deepmark.audit.odds import fit_odds

RNG = np.random.default_rng(5)


def normal(count: int, middle: float) -> np.ndarray:
    return RNG.normal(middle, 1, (count, 1))


def test_the_ratio_of_two_normal_densities_is_found():
    odds = fit_odds(normal(3000, 2.0), normal(3000, 0.0))
    places = np.array([[-0.5], [0.5], [1.0], [1.5], [2.5]])

    assert np.log(odds.ratio(places)) == pytest.approx(2 * places[:, 0] - 2, abs=0.35)


def test_it_does_not_depend_on_how_many_there_are_of_each():
    ones, others = normal(3000, 1.5), normal(3000, 0.0)
    many, few = fit_odds(ones, others), fit_odds(ones, others[:500])

    assert np.log(many.ratio(np.array([[0.5], [1.5]]))) == pytest.approx(
        np.log(few.ratio(np.array([[0.5], [1.5]]))), abs=0.4
    )


def test_what_looks_alike_is_told_apart_by_nothing():
    ratio = fit_odds(normal(2000, 0.0), normal(2000, 0.0)).ratio(normal(2000, 0.0))

    assert np.quantile(ratio, [0.02, 0.98]) == pytest.approx([1, 1], abs=0.35)


def test_far_outside_of_all_samples_the_ratio_is_that_at_their_edge():
    odds = fit_odds(normal(500, 3.0), normal(500, 0.0))

    assert odds.ratio(np.array([[1e9]])) == odds.ratio(np.array([[1e6]]))


@pytest.mark.parametrize(("ones", "others"), [(0, 9), (9, 0), (0, 0)])
def test_without_samples_of_a_sort_the_ratio_is_one(ones, others):
    ratio = fit_odds(normal(ones, 1.0), normal(others, 0.0)).ratio(normal(3, 2.0))

    assert ratio == pytest.approx(1.0)
