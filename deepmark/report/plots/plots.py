"""The plots of the report: precision over recall, calibration, AP with intervals, errors, confusion, losses."""

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

from deepmark.eval.analysis.confusion import BACKGROUND
from deepmark.eval.metric.names import KIND_WORDS, MAIN, METRICS
from deepmark.report.plots.svg import ACCENT, INK, LINE, PAPER, SECOND, Drawing, page_style, to_drawing
from deepmark.report.tables.analysis_tables import confusion_counts
from deepmark.report.tables.metric_tables import category_names
from deepmark.shapes import Float64

if TYPE_CHECKING:
    import pandas as pd
    from matplotlib.axes import Axes

_OVERLAPS: dict[float, tuple[str, str]] = {0.5: (ACCENT, "-"), 0.75: (SECOND, "--")}
"""Colour and stroke, so that lines can be told apart without colours."""

_ROW, _CELL = 0.28, 0.36
"""Inches that a category takes in a plot, and in a matrix."""


def _axes(width: float, height: float) -> "Axes":
    from matplotlib.figure import Figure

    return Figure(figsize=(width, height)).add_subplot()


def _unit(axes: "Axes") -> None:
    ticks = (0.0, 0.25, 0.5, 0.75, 1.0)
    axes.set(xlim=(0, 1), ylim=(0, 1.02), xticks=ticks, yticks=ticks, xlabel="recall", ylabel="precision")
    for axis in (axes.xaxis, axes.yaxis):
        axis.set_major_formatter(lambda value, _: f"{value:g}")


def _figure(axes: "Axes", name: str, *, title: str, description: str) -> Drawing:
    figure = axes.get_figure(root=True)
    assert figure is not None
    return to_drawing(figure, name, title=title, description=description)


def curve_drawings(curves: "pd.DataFrame") -> list[Drawing]:
    """Precision over recall, the mean of the categories, at two overlaps; from the content of curves.csv."""
    drawings = []
    for kind, words in KIND_WORDS.items():
        own = curves[curves.kind == kind]
        with page_style():
            axes, said = _axes(3.6, 2.9), []
            _unit(axes)
            for overlap, (color, stroke) in _OVERLAPS.items():
                mean = own[np.isclose(own.overlap, overlap)].groupby("recall").precision.mean()
                axes.plot(mean.index, mean, color=color, linestyle=stroke, label=f"at overlap {overlap:g}")
                said.append(f"at overlap {overlap:g} the area below is {mean.mean():.3f}")
            axes.legend(loc="lower left")
            text = f"Precision over recall, mean of the categories: {'; '.join(said)}."
            drawings.append(_figure(axes, f"curve-{kind}", title=words.capitalize(), description=text))
    return drawings


def calibration_drawing(calibration: "pd.DataFrame") -> Drawing:
    """The share of correct detections over their score, from the content of calibration.csv."""
    known = calibration.dropna(subset="right")
    with page_style():
        axes = _axes(3.6, 2.9)
        _unit(axes)
        axes.plot([0, 1], [0, 1], color=LINE, linewidth=1)
        axes.plot(known.score_mean, known.right, "o-", color=ACCENT, markersize=4)
        axes.set(xlabel="score", ylabel="share that is right")
        bins = zip(known.score_mean, known.right, known.detections, strict=True)
        said = "; ".join(f"score {score:.2f}: {right:.2f} of {count:,}" for score, right, count in bins)
        text = f"The share of detections that are right by their score; on the line, a score is that share. {said}."
        return _figure(axes, "calibration", title="What a score is worth", description=text)


def category_curve_drawings(curves: "pd.DataFrame", names: Sequence[str]) -> list[Drawing]:
    """A small figure for each of these categories that occurs: box and landmarks, at overlap .5."""
    half = curves[np.isclose(curves.overlap, 0.5)].dropna(subset="precision")
    lines = {"box": (ACCENT, "-", "box"), "landmark": (SECOND, "--", "landmarks")}
    drawings = []
    for number, name in enumerate(names):
        own = half[half.category == name]
        if own.empty:
            continue
        with page_style():
            axes, said = _axes(2.3, 2.0), []
            _unit(axes)
            for kind, (color, stroke, words) in lines.items():
                curve = own[own.kind == kind].sort_values("recall")
                if curve.empty:  # no landmarks
                    continue
                axes.plot(curve.recall, curve.precision, color=color, linestyle=stroke, label=words)
                said.append(f"{words} {curve.precision.mean():.3f}")
            axes.legend(loc="lower left", fontsize=7)
            text = f"Precision over recall of {name} at overlap 0.5; the areas below are {', '.join(said)}."
            drawings.append(_figure(axes, f"curve-category-{number}", title=name, description=text))
    return drawings


def category_drawing(ap: "pd.DataFrame") -> Drawing:
    """Box and landmark AP of every category with their 95% intervals, from the content of ap.csv."""
    rows, names = ap.set_index(["metric", "scope"]), category_names(ap)
    looks = ((ACCENT, "o", -0.16), (SECOND, "D", 0.16))
    with page_style():
        axes = _axes(4.4, max(1.9, round(0.76 + _ROW * len(names), 2)))
        for metric, (color, marker, shift) in zip(MAIN, looks, strict=True):
            own = rows.reindex([(metric, f"category:{name}") for name in names])
            places, values = np.arange(len(names)) + shift, own.value.to_numpy(float)
            if "low" in own:
                axes.hlines(
                    places, own.low.to_numpy(float), own.high.to_numpy(float), color=color, linewidth=1.6, alpha=0.7
                )
            axes.plot(values, places, marker, color=color, markersize=5, label=METRICS[metric].words)
        axes.set(xlim=(0, 1), yticks=range(len(names)), yticklabels=names, ylim=(len(names) - 0.4, -0.6), xlabel="AP")
        axes.legend(loc="lower right", bbox_to_anchor=(1.0, 1.0), ncols=2)
        text = "The same figures as in the table by category, with their 95% intervals as lines."
        return _figure(axes, "by-category", title="AP by category", description=text)


def error_drawing(errors: "pd.DataFrame") -> Drawing:
    """The gain in box AP50 if the errors of each kind were corrected, from the content of errors.csv."""
    with page_style():
        axes = _axes(4.4, 0.5 + 0.32 * len(errors))
        bars = axes.barh(errors.kind, errors.ap_cost.fillna(0.0), color=ACCENT, height=0.62)
        axes.bar_label(bars, [f"{cost:.3f}" for cost in errors.ap_cost.fillna(0.0)], padding=4, color=INK)
        axes.set(xlabel="box AP50 lost", xlim=(0, max(0.01, 1.15 * errors.ap_cost.max())))
        axes.invert_yaxis()
        axes.grid(visible=False, axis="y")
        said = ", ".join(f"{kind} {cost:.3f}" for kind, cost in zip(errors.kind, errors.ap_cost, strict=True))
        return _figure(axes, "errors", title="Box AP50 lost by kind of error", description=f"{said}.")


def confusion_drawing(confusion: "pd.DataFrame", names: Sequence[str]) -> Drawing:
    """What the items of each of these categories were detected as, in percent, from the content of confusion.csv."""
    counts = confusion_counts(confusion, names)
    shares = counts.to_numpy(float) / np.maximum(1, counts.to_numpy().sum(axis=1, keepdims=True))
    text = (
        "Rows are what is labelled, columns what was found, in percent of the row. The row "
        f"“{BACKGROUND}” holds detections without an item. The table below has the counts."
    )
    return matrix_drawing(
        shares,
        (list(counts.index), list(counts.columns)),
        axes_words=("labelled", "found"),
        name="confusion",
        title="What is taken for what",
        description=text,
    )


def matrix_drawing(
    shares: Float64[np.ndarray, "rows columns"],
    labels: tuple[Sequence[str], Sequence[str]],
    *,
    axes_words: tuple[str, str],
    name: str,
    title: str,
    description: str,
) -> Drawing:
    """Shares as a matrix of coloured cells with percentages; the labels and words of rows come before the columns'."""
    from matplotlib.collections import PatchCollection
    from matplotlib.colors import to_rgba_array
    from matplotlib.patches import Rectangle

    rows, columns = shares.shape
    with page_style():
        axes = _axes(max(3.4, round(2.36 + _CELL * columns, 2)), max(2.6, round(1.16 + _CELL * rows, 2)))
        colors = to_rgba_array([ACCENT] * shares.size)
        colors[:, 3] = shares.ravel()
        cells = [Rectangle((x - 0.5, y - 0.5), 1, 1) for y in range(rows) for x in range(columns)]
        axes.add_collection(PatchCollection(cells, facecolors=colors, edgecolors=LINE, linewidths=0.5))
        for (y, x), share in np.ndenumerate(shares):
            if share >= 0.005:
                axes.text(
                    x, y, f"{100 * share:.0f}", ha="center", va="center", size=8, color=PAPER if share > 0.5 else INK
                )
        axes.set(xlim=(-0.5, columns - 0.5), ylim=(rows - 0.5, -0.5), xlabel=axes_words[1], ylabel=axes_words[0])
        axes.set_xticks(range(columns), labels[1], rotation=50, ha="right", rotation_mode="anchor")
        axes.set_yticks(range(rows), labels[0])
        axes.grid(visible=False)
        axes.spines[:].set_visible(False)
        return _figure(axes, name, title=title, description=description)


def loss_drawing(history: Sequence[Mapping[str, Any]]) -> Drawing | None:
    """The total loss by epoch, of training and validation, from the history in training.json; None without epochs."""
    from matplotlib.ticker import MaxNLocator

    lines = {"train": (ACCENT, "-"), "validation": (SECOND, "--")}
    if not history:
        return None
    with page_style():
        axes, said = _axes(5.2, 2.8), []
        for part, (color, stroke) in lines.items():
            points = [
                (epoch, one[part]["total"])
                for epoch, one in enumerate(history, 1)
                if one.get(part, {}).get("total") is not None
            ]
            if points:
                axes.plot(*zip(*points, strict=True), color=color, linestyle=stroke, marker=".", label=part)
                said.append(f"{part} from {points[0][1]:.3g} to {points[-1][1]:.3g}")
        axes.set(xlabel="epoch", ylabel="total loss")
        axes.xaxis.set_major_locator(MaxNLocator(integer=True))
        axes.legend()
        text = f"The total loss over {len(history)} epochs: {'; '.join(said)}."
        return _figure(axes, "losses", title="Loss by epoch", description=text)
