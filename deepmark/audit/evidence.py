"""How much a label surprises, on one scale for everything that is looked at: nats of evidence, and a score of them.

A deviation is measured against the habit of all labels, most of which are right: median, and median absolute deviation.
Its evidence is log(1 + z²), the log-likelihood ratio of habits with heavy tails (Cauchy's): real labels stray far now
and then, and a bell curve would make each stray a certainty.
"""

from dataclasses import dataclass

import numpy as np
from jaxtyping import Bool, Float

_TO_SIGMA = 1.4826
"""Median absolute deviation to standard deviation, for a bell curve."""

FEW = 20
"""Labels whose own habit weighs as much as what was assumed before any was seen."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Habit:
    """What is usual, and how far below and above it one usually is, each column by itself."""

    middle: Float[np.ndarray, " c"]
    below: Float[np.ndarray, " c"]
    above: Float[np.ndarray, " c"]

    def deviations(self, values: Float[np.ndarray, "n c"]) -> Float[np.ndarray, "n c"]:
        """How many usual deviations each value is away; 0 where there is none (NaN)."""
        off = np.nan_to_num(values - self.middle)
        return np.abs(off) / np.where(off < 0, self.below, self.above)


def habit(values: Float[np.ndarray, "n c"], *, assumed: float, least: float) -> Habit:
    """The habit of the values that are there (not NaN).

    `assumed` is the spread where there are no values; `FEW` of them weigh as much. No spread is below `least`, the
    precision of the labels themselves.
    """
    columns = [_habit(column[~np.isnan(column)], assumed, least) for column in values.T]
    middle, below, above = np.array(columns).reshape(-1, 3).T
    return Habit(middle=middle, below=below, above=above)


def _habit(known: Float[np.ndarray, " n"], assumed: float, least: float) -> tuple[float, float, float]:
    if not len(known):
        return 0.0, assumed, assumed
    middle, trust = float(np.median(known)), len(known) / (len(known) + FEW)
    halves = middle - known[known <= middle], known[known >= middle] - middle
    below, above = (max(least, trust * _TO_SIGMA * float(np.median(half)) + (1 - trust) * assumed) for half in halves)
    return middle, below, above


def surprise(deviations: Float[np.ndarray, "*n"]) -> Float[np.ndarray, "*n"]:
    """Nats of evidence against a label that lies so many usual deviations off."""
    return np.log1p(np.square(deviations))


def score(evidence: Float[np.ndarray, "*n"], *, faulty_share: float) -> Float[np.ndarray, "*n"]:
    """How likely the label is wrong, 0..1, where `faulty_share` of all labels are: the posterior of the evidence."""
    odds = np.log(faulty_share) - np.log1p(-faulty_share)
    return 1 / (1 + np.exp(-np.clip(evidence + odds, -50, 50)))


def isotonic(values: Float[np.ndarray, " n"], hits: Bool[np.ndarray, " n"]) -> Float[np.ndarray, " n"]:
    """For each value, the share of hits among values about as large: rises with the value, wherever it is measured.

    Source: pool adjacent violators (Ayer and others, 1955).
    """
    order = np.argsort(values, kind="stable")
    means: list[float] = []
    counts: list[int] = []
    for hit in hits[order].tolist():
        means.append(float(hit))
        counts.append(1)
        while len(means) > 1 and means[-2] >= means[-1]:
            mean, count = means.pop(), counts.pop()
            means[-1] = (means[-1] * counts[-1] + mean * count) / (counts[-1] + count)
            counts[-1] += count
    shares = np.empty(len(values))
    shares[order] = np.repeat(means, counts)
    return shares
