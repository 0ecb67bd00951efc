"""The rules that benchmarks/label_next.py compares: which of many unlabelled images to label next."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np

from deepmark.infer.embed import Embedded
from deepmark.labels.rank import rank, rank_garments


@dataclass(frozen=True, kw_only=True)
class Known:
    """What a rule may know."""

    pool: Sequence[Embedded]
    """The unlabelled images, as the network of this round sees them."""

    labelled: Sequence[Embedded]
    counts: np.ndarray
    """Labelled garments by category."""


def expected_mistakes(image: Embedded) -> float:
    """The sum over peaks of min(score, 1 - score), as `deepmark label export --from uncertain` ranks."""
    return float(np.minimum(image.scores, 1 - image.scores).sum())


def expected_garments(image: Embedded, categories: int) -> np.ndarray:
    """How many garments of each category the scores let expect."""
    return np.bincount(image.categories, image.scores, minlength=categories)


def at_random(known: Known, count: int) -> list[int]:
    """The pool is in random order."""
    return list(range(count))


def most_uncertain(known: Known, count: int) -> list[int]:
    return np.argsort([-expected_mistakes(one) for one in known.pool], kind="stable")[:count].tolist()


def k_centre(known: Known, count: int, weights: np.ndarray | None = None) -> list[int]:
    """Greedy: each time the image that lies farthest from all labelled and chosen ones, its distance by its weight."""
    every = np.stack([one.embedding for one in (*known.labelled, *known.pool)]).astype(np.float64)
    every /= every.std(axis=0) + 1e-6
    mine = every[len(known.labelled) :]
    distances = np.full(len(mine), np.inf)
    for centre in every[: len(known.labelled)]:
        distances = np.minimum(distances, np.linalg.norm(mine - centre, axis=1))
    chosen: list[int] = []
    for _ in range(count):
        best = int(np.argmax(distances * (1 if weights is None else weights)))
        chosen.append(best)
        distances = np.minimum(distances, np.linalg.norm(mine - mine[best], axis=1))
    return chosen


def both(known: Known, count: int) -> list[int]:
    return k_centre(known, count, np.array([expected_mistakes(one) for one in known.pool]))


def balanced(known: Known, count: int) -> list[int]:
    """Greedy: the image that adds most to the sum over categories of the root of their garments.

    Garments of the chosen images are those that scores let expect: a rare category is worth more, until it is not rare.
    """
    expected = np.stack([expected_garments(one, len(known.counts)) for one in known.pool])
    return [place for place, _ in rank_garments(expected, known.counts, count)]


def fewest_first(known: Known, count: int) -> list[int]:
    """Greedy: it is the turn of the category with the fewest garments, and the image comes whose strongest peak of it
    is the largest share of all its categories' strongest peaks."""
    categories = len(known.counts)
    peaks = np.zeros((len(known.pool), categories))
    for row, image in zip(peaks, known.pool, strict=True):
        np.maximum.at(row, image.categories, image.scores)
    shares = peaks / np.maximum(peaks.sum(axis=1, keepdims=True), 1e-9)
    level, chosen = known.counts.copy(), []
    for _ in range(count):
        category = int(np.argmin(level))
        chosen.append(int(np.argmax(shares[:, category])))
        shares[chosen[-1]] = -1.0
        level[category] += 1
    return chosen


def balanced_uncertain(known: Known, count: int) -> list[int]:
    """The rule of `deepmark label export --from new`."""
    return [place for place, _ in rank(known.pool, known.counts, count)]


RULES: dict[str, Callable[[Known, int], list[int]]] = {
    "random": at_random,
    "uncertainty": most_uncertain,
    "k-centre": k_centre,
    "both": both,
    "balanced": balanced,
    "balanced uncertainty": balanced_uncertain,
    "fewest first": fewest_first,
}
