"""Tables of the analysis: errors by kind, confusion of categories, and the precision of every landmark."""

import math
from collections.abc import Iterable, Mapping, Sequence
from typing import TYPE_CHECKING, Any

from deepmark.eval.analysis.confusion import BACKGROUND, MISSED
from deepmark.eval.metric.names import STRATEGY_WORDS
from deepmark.report.tables.table import UNKNOWN, Row, Table, number
from deepmark.schema import SHOWN_SCORE, STRATEGIES

if TYPE_CHECKING:
    import pandas as pd

_COLUMNS = {
    "labelled": "labelled",
    "error_mean": "mean error",
    "error_median": "median error",
    "pck05": "PCK .05",
    "pck10": "PCK .10",
}


def error_table(errors: Mapping[str, "pd.DataFrame"], *, counted: str) -> Table:
    """The number of errors of each kind with the strategy `counted`, and their cost for every strategy.

    `errors` is the content of tables/{strategy}/errors.csv by strategy.
    """
    names = [name for name in STRATEGIES if name in errors]
    counts = errors[counted].set_index("kind")
    costs = {name: errors[name].set_index("kind").ap_cost for name in names}
    shown = f"of score {SHOWN_SCORE:g} or more".replace("0.", ".")
    rows = (
        Row(
            cells=(
                str(kind),
                *(f"{int(counts.loc[kind, name]):,}" for name in ("count", "shown")),
                *(number(float(costs[name].get(kind, math.nan)), 3) for name in names),
            )
        )
        for kind in counts.index
    )
    return Table(
        title="Errors by kind",
        columns=(
            "kind",
            "count",
            shown,
            *(f"AP50 cost, {STRATEGY_WORDS[n]}" for n in names),
        ),
        rows=tuple(rows),
        note=f"Counts are of {STRATEGY_WORDS[counted]}; missed items have no score, and count in both columns. The "
        "cost is what box AP50 would gain if the errors of this kind alone were mended.",
    )


def confusion_counts(confusion: "pd.DataFrame", names: Sequence[str]) -> "pd.DataFrame":
    """The counts as a square matrix of the categories of these names: truth in rows, prediction in columns."""
    square = confusion.pivot_table(index="truth", columns="predicted", values="count", aggfunc="sum", fill_value=0)
    return square.reindex(index=[*names, BACKGROUND], columns=[*names, MISSED], fill_value=0)


def confusion_table(confusion: "pd.DataFrame", names: Sequence[str]) -> Table:
    """The confusion matrix as a table, from the content of tables/{strategy}/confusion.csv."""
    counts = confusion_counts(confusion, names)
    rows = (
        Row(cells=(str(truth), *(f"{int(n)}" if n else UNKNOWN for n in row)))
        for truth, row in zip(counts.index, counts.to_numpy(), strict=True)
    )
    return Table(title="What is taken for what", columns=("truth", *map(str, counts.columns)), rows=tuple(rows))


def landmark_table(landmarks: "pd.DataFrame") -> Table:
    """Every landmark that was measured, from the content of tables/{strategy}/landmarks.csv."""
    measured: Iterable[Any] = landmarks[landmarks.labelled > 0].itertuples()
    rows = (
        Row(
            cells=(
                f"{one.category} {one.landmark}",
                one.part,
                f"{int(one.labelled):,}",
                *(number(value, 4) for value in (one.error_mean, one.error_median)),
                *(number(value, 3) for value in (one.pck05, one.pck10)),
            )
        )
        for one in measured
    )
    return Table(
        title="Every landmark",
        columns=("landmark", "part", *_COLUMNS.values()),
        rows=tuple(rows),
        note="Errors are distances in units of the square root of the box's area; PCK is the share of landmarks nearer "
        "than .05 or .10 of the longer side of the box. Landmarks of items that were found, visible and occluded.",
    )


def hardest_landmarks(landmarks: "pd.DataFrame", *, most: int = 12, fewest: int = 5) -> Table:
    """The landmarks with the lowest PCK .05, of those labelled at least `fewest` times."""
    often = landmarks[landmarks.labelled >= fewest]
    table = landmark_table(often.sort_values(["pck05", "pck10"], kind="stable").head(most))
    return Table(title="The hardest landmarks", columns=table.columns, rows=table.rows, note=table.note)
