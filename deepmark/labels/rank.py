"""In which order unlabelled images are to be labelled: what the network is unsure of, of rare categories above all."""

from collections.abc import Sequence

import numpy as np

from deepmark.infer.embed import Embedded
from deepmark.shapes import Float64, Int64


def rank(images: Sequence[Embedded], counts: Int64[np.ndarray, " c"], limit: int) -> list[tuple[int, int | None]]:
    """The places of at most `limit` images, the first to label first, each with the category that it adds most to,
    or None where it adds to none.

    `counts` are the labelled garments by category. Each time the image is taken that adds most to the sum, over the
    categories, of the square root of their garments, chosen images included: so one more of a rare category is worth
    more than one of a frequent one. A peak of score s counts as min(s, 1 - s) garments, the probability that the
    network is wrong about it.
    """
    return rank_garments(uncertain_garments(images, len(counts)), counts, limit)


def rank_garments(
    garments: Float64[np.ndarray, "n c"], counts: Int64[np.ndarray, " c"], limit: int
) -> list[tuple[int, int | None]]:
    """As `rank`, of images with so many garments of each category, which need not be whole numbers."""
    level, open_images = counts.astype(np.float64), np.ones(len(garments), bool)
    chosen: list[tuple[int, int | None]] = []
    for _ in range(min(limit, len(garments))):
        gains = np.sqrt(level + garments) - np.sqrt(level)
        best = int(np.argmax(np.where(open_images, gains.sum(axis=1), -1.0)))
        chosen.append((best, int(np.argmax(gains[best])) if gains[best].any() else None))
        open_images[best] = False
        level += garments[best]
    return chosen


def uncertain_garments(images: Sequence[Embedded], categories: int) -> Float64[np.ndarray, "n c"]:
    """How many garments of each category the network is expected to be wrong about in each image."""
    return np.stack(
        [np.bincount(one.categories, np.minimum(one.scores, 1 - one.scores), minlength=categories) for one in images]
    )
