"""In which order unlabelled images are to be labelled: for the categories with the fewest garments first, in turn."""

from collections.abc import Sequence

import numpy as np

from deepmark.infer.embed import Embedded
from deepmark.shapes import Float64, Int64


def rank(images: Sequence[Embedded], counts: Int64[np.ndarray, " c"], limit: int) -> list[tuple[int, int]]:
    """The places of at most `limit` images, the first to label first, each with the category that it is chosen for.

    `counts` are the labelled garments by category. Each time it is the turn of the category with the fewest, chosen
    ones included, and the image is taken whose strongest peak of this category is the largest share of all its
    categories' strongest peaks. Scores themselves would not do: those of a category of few labels are low everywhere.
    """
    shares, open_images = peak_shares(images, len(counts)), np.ones(len(images), bool)
    level, chosen = counts.copy(), []
    for _ in range(min(limit, len(images))):
        category = int(np.argmin(level))
        best = int(np.argmax(np.where(open_images, shares[:, category], -1.0)))
        chosen.append((best, category))
        open_images[best] = False
        level[category] += 1
    return chosen


def peak_shares(images: Sequence[Embedded], categories: int) -> Float64[np.ndarray, "n c"]:
    """The strongest peak of each category in each image, as a share of the sum over its categories."""
    peaks = np.zeros((len(images), categories))
    for row, image in zip(peaks, images, strict=True):
        np.maximum.at(row, image.categories, image.scores)
    return peaks / np.maximum(peaks.sum(axis=1, keepdims=True), 1e-9)
