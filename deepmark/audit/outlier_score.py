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

_AT_ZERO = 3
"""Values of 0 that are added to find the middle: one label, or two, are no habit."""


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

    Before any value was seen, 0 is usual, and `assumed` the spread: the middle is as if a few values were 0, and `FEW`
    values weigh as much as the assumption. No spread is below `least`, the precision of the labels themselves.
    """
    columns = [_habit(column[~np.isnan(column)], assumed, least) for column in values.T]
    middle, below, above = np.array(columns).reshape(-1, 3).T
    return Habit(middle=middle, below=below, above=above)


def _habit(known: Float[np.ndarray, " n"], assumed: float, least: float) -> tuple[float, float, float]:
    if not len(known):
        return 0.0, assumed, assumed
    middle, trust = float(np.median(np.append(known, np.zeros(_AT_ZERO)))), len(known) / (len(known) + FEW)
    halves = middle - known[known <= middle], known[known >= middle] - middle
    measured = [_TO_SIGMA * float(np.median(half)) if len(half) else 0.0 for half in halves]
    below, above = (max(least, trust * each + (1 - trust) * assumed) for each in measured)
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
    _, group, sizes = np.unique(values, return_inverse=True, return_counts=True)
    blocks: list[tuple[float, int, int]] = []  # mean, values, groups
    for hit, size in zip((np.bincount(group, hits, len(sizes)) / sizes).tolist(), sizes.tolist(), strict=True):
        blocks.append((hit, size, 1))
        while len(blocks) > 1 and blocks[-2][0] >= blocks[-1][0]:
            (mean, count, width), (below, others, more) = blocks.pop(), blocks.pop()
            total = count + others
            blocks.append(((mean * count + below * others) / total, total, width + more))
    means = np.repeat([mean for mean, _, _ in blocks], [width for _, _, width in blocks])
    return means[group] if len(values) else np.empty(0)
