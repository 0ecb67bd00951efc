"""Landmark precision drawn on the shape of every category."""

from collections.abc import Mapping, Sequence
from itertools import pairwise
from typing import TYPE_CHECKING

import numpy as np

from deepmark.report.plots.svg import INK, MUTED, STEPS, Drawing, page_style, to_drawing
from deepmark.vocabulary import Category, Vocabulary

if TYPE_CHECKING:
    import pandas as pd

BOUNDS: tuple[float, ...] = (0.5, 0.7, 0.85, 0.95)
"""Limits between the steps of colour: shares of landmarks with an error below .05 of the longer side of the box."""

NAMED = 3
"""How many of the hardest landmarks of a category are numbered."""


def step_words(bounds: Sequence[float] = BOUNDS) -> list[str]:
    """The meaning of each step of colour, from bad to good."""
    edges = [f"{bound:g}" for bound in bounds]
    return [f"below {edges[0]}", *(f"{low} to {high}" for low, high in pairwise(edges)), f"{edges[-1]} and more"]


def garment_drawings(landmarks: "pd.DataFrame", vocabulary: Vocabulary) -> list[Drawing]:
    """A drawing for each category with landmarks that were measured, from the content of landmarks.csv.

    A category of which nothing says what it looks like has none.
    """
    measured = landmarks[landmarks.labelled > 0].dropna(subset="pck05")
    parts = [(category, measured[measured.category == category.name]) for category in vocabulary.categories]
    return [_garment(category, own) for category, own in parts if len(own) and category.drawing]


def _garment(category: Category, own: "pd.DataFrame") -> Drawing:
    hardest = own.sort_values("pck05", kind="stable").head(NAMED)
    said = ", ".join(f"{one.landmark} ({one.part}) {one.pck05:.3f}" for one in hardest.itertuples())
    text = f"Mean PCK .05 of {len(own)} landmarks: {own.pck05.mean():.3f}. The hardest: {said}."
    shares = dict(zip(own.landmark.tolist(), own.pck05.tolist(), strict=True))
    return shape_drawing(
        category, shares, bounds=BOUNDS, named=hardest.landmark.tolist(), name="garment", description=text
    )


def shape_drawing(
    category: Category,
    shares: Mapping[int, float],
    *,
    bounds: Sequence[float],
    named: Sequence[int],
    name: str,
    description: str,
) -> Drawing:
    """A share of each landmark, by its number from 1, as a dot on the category's shape; the lower, the larger."""
    from matplotlib.collections import LineCollection
    from matplotlib.figure import Figure

    shape = category.shape
    points = np.array(shape.points) * [shape.aspect, 1.0]
    closed = (*shape.outline, shape.outline[0])
    lines = [points[list(line)] for line in (closed, *shape.inner_lines, *shape.straps)]
    values = np.array(list(shares.values()))
    with page_style():
        axes = Figure(figsize=(2.3, 2.5)).add_subplot()
        axes.add_collection(LineCollection(lines, colors=MUTED, linewidths=1))
        places = points[np.array(list(shares)) - 1]
        axes.scatter(
            places[:, 0],
            places[:, 1],
            s=26 + 60 * (1 - values),
            c=[STEPS[step] for step in np.digitize(values, bounds)],
            edgecolors=INK,
            linewidths=0.6,
            zorder=3,
        )
        for number in named:
            x, y = points[number - 1]
            axes.annotate(str(number), (x, y), xytext=(5, 4), textcoords="offset points", size=8, weight="bold")
        axes.set(xlim=(-0.12, shape.aspect + 0.12), ylim=(1.08, -0.08), aspect="equal")
        axes.set_axis_off()
        figure = axes.get_figure(root=True)
        assert figure is not None
        return to_drawing(figure, f"{name}-{category.index}", title=category.name, description=description)
