"""Outlier scores for labels: log-likelihood evidence (nats) of a deviation, and the probability that a label is wrong.

A deviation is measured against the typical range of all labels, most of which are right: the median, and the median
absolute deviation. Its evidence is log(1 + z²), the log-likelihood ratio of a Cauchy distribution. Its heavy tails are
needed because right labels deviate far now and then, and a normal distribution would make each of them a certain error.
"""

from dataclasses import dataclass

import numpy as np

from deepmark.shapes import Bool, Float

_TO_SIGMA = 1.4826
"""Median absolute deviation to standard deviation, for a normal distribution."""

_PRIOR_COUNT = 20
"""Number of labels whose measured spread weighs as much as the spread assumed before any was seen."""

_PRIOR_ZEROS = 3
"""Zeros added to the values before their median is taken: one or two labels do not show what is typical."""


@dataclass(frozen=True, kw_only=True, slots=True)
class TypicalRange:
    """The median of each column, and the typical deviation below and above it."""

    middle: Float[np.ndarray, " c"]
    below: Float[np.ndarray, " c"]
    above: Float[np.ndarray, " c"]

    def deviations(self, values: Float[np.ndarray, "n c"]) -> Float[np.ndarray, "n c"]:
        """How many typical deviations each value is away from the median; 0 where the value is missing (NaN)."""
        off = np.nan_to_num(values - self.middle)
        return np.abs(off) / np.where(off < 0, self.below, self.above)


def typical_range(values: Float[np.ndarray, "n c"], *, assumed_spread: float, min_spread: float) -> TypicalRange:
    """The typical range of each column, of the values that are not NaN.

    The median starts at 0 and the spread at `assumed_spread`: a few zeros are added before the median is taken, and
    `_PRIOR_COUNT` values weigh as much as the assumption. No spread is below `min_spread`, the precision of the labels.
    """
    columns = [_typical_range(column[~np.isnan(column)], assumed_spread, min_spread) for column in values.T]
    middle, below, above = np.array(columns).reshape(-1, 3).T
    return TypicalRange(middle=middle, below=below, above=above)


def _typical_range(
    known: Float[np.ndarray, " n"], assumed_spread: float, min_spread: float
) -> tuple[float, float, float]:
    if not len(known):
        return 0.0, assumed_spread, assumed_spread
    middle, trust = float(np.median(np.append(known, np.zeros(_PRIOR_ZEROS)))), len(known) / (len(known) + _PRIOR_COUNT)
    halves = middle - known[known <= middle], known[known >= middle] - middle
    measured = [_TO_SIGMA * float(np.median(half)) if len(half) else 0.0 for half in halves]
    below, above = (max(min_spread, trust * each + (1 - trust) * assumed_spread) for each in measured)
    return middle, below, above


def log_evidence(deviations: Float[np.ndarray, "*n"]) -> Float[np.ndarray, "*n"]:
    """Nats of evidence against a label that deviates by so many typical deviations."""
    return np.log1p(np.square(deviations))


def outlier_score(evidence: Float[np.ndarray, "*n"], *, faulty_share: float) -> Float[np.ndarray, "*n"]:
    """The posterior probability that the label is wrong, where `faulty_share` of all labels are."""
    odds = np.log(faulty_share) - np.log1p(-faulty_share)
    return 1 / (1 + np.exp(-np.clip(evidence + odds, -50, 50)))


def isotonic_regression(values: Float[np.ndarray, " n"], hits: Bool[np.ndarray, " n"]) -> Float[np.ndarray, " n"]:
    """For each value, the share of hits among values about as large; never falls as the value rises.

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
