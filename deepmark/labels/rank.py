"""In which order unlabelled images are to be labelled: rare categories first, of them what the model is unsure of."""

from collections.abc import Sequence

import numpy as np

from deepmark.infer.embed import Embedded
from deepmark.shapes import Int64


def rank(images: Sequence[Embedded], counts: Int64[np.ndarray, " c"], limit: int) -> list[tuple[int, float]]:
    """The places of at most `limit` images, the best to label first, each with the mistakes that its scores let expect.

    `counts` are the labelled garments by category.
    """
    mistakes = [np.minimum(one.scores, 1 - one.scores).astype(np.float64) for one in images]
    expected = np.stack(
        [np.bincount(one.categories, each, len(counts)) for one, each in zip(images, mistakes, strict=True)]
    )
    chosen: list[tuple[int, float]] = []
    taken, known = np.zeros(len(images), bool), counts.astype(np.float64)
    for _ in range(min(limit, len(images))):
        gains = (np.sqrt(known + expected) - np.sqrt(known)).sum(axis=1)
        best = int(np.argmax(np.where(taken, -np.inf, gains)))
        chosen.append((best, float(mistakes[best].sum())))
        taken[best] = True
        known += expected[best]
    return chosen
