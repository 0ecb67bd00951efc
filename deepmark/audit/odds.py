"""How much likelier one sort of things is than another where they look like this: a ratio of densities.

A logistic regression tells things of two sorts apart; where both weigh as much, its odds are the ratio of densities.
Faults are planted into labels, and told from the labels as they are, which hold faults too: by Bayes' rule, with a
share `p` of labels that are faulty in this way, p times the ratio is the probability that a label is. Where planted
faults look like any other label, because the model is too weak to tell, the ratio is 1 and nothing is suspected.

Source: Elkan and Noto, "Learning Classifiers from Only Positive and Unlabeled Data", 2008.
"""

from dataclasses import dataclass

import numpy as np

from deepmark.shapes import Bool, Float

_KNOTS = (0.05, 0.25, 0.5, 0.75, 0.95)
"""Quantiles at which the slope of a feature's part may change."""

_RIDGE = 2.0
"""What a squared weight costs, in nats, of a feature of variance 1."""

_ROUNDS = 30
"""Newton steps at most."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Odds:
    """A fitted ratio of densities."""

    knots: Float[np.ndarray, "q f"]
    middle: Float[np.ndarray, " b"]
    spread: Float[np.ndarray, " b"]
    weights: Float[np.ndarray, " b+1"]
    """The last is the constant."""

    def ratio(self, features: Float[np.ndarray, "n f"]) -> Float[np.ndarray, " n"]:
        """How much likelier such features are for the one sort than for the other."""
        basis = (_basis(features, self.knots) - self.middle) / self.spread
        return np.exp(np.clip(basis @ self.weights[:-1] + self.weights[-1], -30, 30))


def _basis(features: Float[np.ndarray, "n f"], knots: Float[np.ndarray, "q f"]) -> Float[np.ndarray, "n b"]:
    """Each feature between its outermost knots, and what it has above each inner knot."""
    kept = np.clip(features, knots[0], knots[-1])
    return np.concatenate([kept, *(np.maximum(kept - knot, 0) for knot in knots[1:-1])], axis=1)


def fit_odds(
    ones: Float[np.ndarray, "n f"], others: Float[np.ndarray, "m f"], weights: Float[np.ndarray, " m"] | None = None
) -> Odds:
    """The density of the features of `ones` over that of `others`; 1 everywhere where there are none of either.

    `weights` are of the others; without them all count alike.
    """
    weights = np.ones(len(others)) if weights is None else weights
    every = np.concatenate([ones, others])
    is_one = np.arange(len(every)) < len(ones)
    count = min(len(ones), weights.sum())
    share = count * np.concatenate([np.ones(len(ones)) / max(1, len(ones)), weights / max(1e-9, weights.sum())])
    inner = np.quantile(ones, _KNOTS, axis=0) if len(ones) else np.zeros((len(_KNOTS), ones.shape[1]))
    ends = (every.min(axis=0, initial=0), every.max(axis=0, initial=0))
    knots = np.sort(np.concatenate([inner, *(end[None] for end in ends)]), axis=0)
    basis = _basis(every, knots)
    middle = basis.mean(axis=0) if len(every) else np.zeros(basis.shape[1])
    spread = np.maximum(basis.std(axis=0) if len(every) else middle, 1e-9)
    basis = np.column_stack([(basis - middle) / spread, np.ones(len(every))])
    return Odds(knots=knots, middle=middle, spread=spread, weights=_newton(basis, is_one, share))


def _newton(
    basis: Float[np.ndarray, "n b"], is_one: Bool[np.ndarray, " n"], share: Float[np.ndarray, " n"]
) -> Float[np.ndarray, " b"]:
    """The weights of a logistic regression by Newton's method; the constant, last, costs nothing."""
    weights, ridge = np.zeros(basis.shape[1]), np.full(basis.shape[1], _RIDGE)
    ridge[-1] = 1e-6
    for _ in range(_ROUNDS):
        chance = 1 / (1 + np.exp(-np.clip(basis @ weights, -30, 30)))
        slope = basis.T @ (share * (chance - is_one)) + ridge * weights
        bend = (basis * (share * chance * (1 - chance))[:, None]).T @ basis + np.diag(ridge)
        step = np.linalg.solve(bend, slope)
        weights = weights - step * min(1.0, 4.0 / max(1e-9, float(np.abs(step).max())))
        if np.abs(step).max() < 1e-6:
            break
    return weights
