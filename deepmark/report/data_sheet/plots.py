"""The plots of the data sheet."""

from collections.abc import Mapping
from typing import TYPE_CHECKING

import numpy as np

from deepmark.report.data_sheet.counts import SplitCounts
from deepmark.report.plots.landmark_plots import NAMED, shape_drawing
from deepmark.report.plots.plots import matrix_drawing
from deepmark.report.plots.svg import ACCENT, SECOND, Drawing, page_style, to_drawing
from deepmark.shapes import Int64

if TYPE_CHECKING:
    import pandas as pd

VISIBLE: tuple[float, ...] = (0.2, 0.4, 0.6, 0.8)
"""Limits between the steps of colour: shares of items in which a landmark is visible."""

_COLORS = (ACCENT, SECOND)


def size_drawing(items: Mapping[str, "pd.DataFrame"], names: list[str]) -> Drawing:
    """By category and split the sizes of boxes: a line from 5% to 95% of the items, a dot at the median."""
    from matplotlib.figure import Figure

    with page_style():
        axes = Figure(figsize=(4.8, max(1.9, 0.8 + 0.28 * len(names)))).add_subplot()
        for number, (split, frame) in enumerate(items.items()):
            sides = frame.groupby("category", observed=True).side.quantile(np.array([0.05, 0.5, 0.95])).unstack()
            own = sides.reindex(names).to_numpy(float).reshape(len(names), -1)
            places = np.arange(len(names)) + 0.3 * (number - (len(items) - 1) / 2)
            color = _COLORS[number % len(_COLORS)]
            if own.shape[1] == 3:
                axes.hlines(places, own[:, 0], own[:, 2], color=color, linewidth=1.6, alpha=0.7)
                axes.plot(own[:, 1], places, "oD"[number % 2], color=color, markersize=5, label=split)
        axes.set(xlim=(0, 1), yticks=range(len(names)), yticklabels=names, ylim=(len(names) - 0.4, -0.6))
        axes.set_xlabel("side of the box as a share of the image’s")
        axes.legend(loc="lower right", bbox_to_anchor=(1.0, 1.0), ncols=len(items))
        figure = axes.get_figure(root=True)
        assert figure is not None
        text = "By category and split the median size of boxes, and the range of nine tenths of them, as in the table."
        return to_drawing(figure, "sizes", title="Sizes of boxes", description=text)


def together_drawing(
    together: Int64[np.ndarray, "c c"], of_category: Int64[np.ndarray, " c"], names: list[str]
) -> Drawing:
    """Of the images with a row's category, the percentage that has the column's too; on the diagonal a second item."""
    shares = together / np.maximum(1, of_category)[:, None]
    return matrix_drawing(
        shares,
        (names, names),
        axes_words=("images with", "also have"),
        name="together",
        title="What is seen together",
        description="Rows are the images with an item of a category, columns what else is in them, in percent.",
    )


def visibility_drawings(counts: Mapping[str, SplitCounts]) -> list[Drawing]:
    """How often each landmark is visible, over all splits, on the shapes of categories that have one."""
    first, *others = counts.values()
    drawings = []
    for category in first.vocabulary.categories:
        visibility = first.visibility + sum(one.visibility for one in others)
        own = visibility[category.index, : category.landmarks].astype(float)
        if category.drawing is None or not own.sum():
            continue
        shares = {number: float(part) for number, part in enumerate(own[:, 2] / own.sum(axis=1), 1)}
        rarest = sorted(shares, key=lambda number: (shares[number], number))[:NAMED]
        said = ", ".join(f"{number} ({category.parts[number - 1]}) {shares[number]:.2f}" for number in rarest)
        text = f"Visible on the mean of {np.mean(list(shares.values())):.2f} of the items. Rarest: {said}."
        drawings.append(shape_drawing(category, shares, bounds=VISIBLE, named=rarest, name="visible", description=text))
    return drawings
