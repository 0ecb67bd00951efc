"""The table of `deepmark compare`: two detectors side by side."""

from collections.abc import Iterable

from deepmark.eval.metric.compare import Difference
from deepmark.eval.metric.names import METRICS
from deepmark.report.tables.table import UNKNOWN, Row, Table, number

_OVERALL = tuple(METRICS.keys() - {"landmark_visible_ap50", "landmark_visible_ap75"})
"""Figures over all images that are always shown, significant or not."""


def comparison_table(differences: Iterable[Difference], *, every: bool = False) -> Table:
    """The headline and, of the categories and subsets, the APs that really differ; with `every`, all of them."""
    rows = [
        _row(one)
        for one in differences
        if one.difference is not None
        and (one.metric in _OVERALL if one.scope == "all" else one.metric.endswith("_ap") and (every or one.is_real))
    ]
    return Table(
        title="B against A",
        columns=("", "A", "B", "B - A", "low", "high", "B wins", "better"),
        rows=tuple(rows),
        note="Low and high: 95% of the differences, paired bootstrap over images. A difference is real where zero is "
        "outside; of twenty that are not real, one passes by chance.",
    )


def _row(one: Difference) -> Row:
    assert one.a is not None
    assert one.b is not None
    of = "" if one.scope == "all" else f", {one.scope.rpartition(':')[2] if 'category' in one.scope else one.scope}"
    better = ("B" if one.b > one.a else "A") if one.is_real else "open"
    low, high = (one.interval.low, one.interval.high) if one.interval else (None, None)
    wins = UNKNOWN if one.b_wins is None else f"{one.b_wins:.1%}"
    name = f"{METRICS[one.metric].short_words}{of.replace(':', ' ')}"
    cells = (number(one.a, 4), number(one.b, 4), *(number(value, 4, sign=True) for value in (one.b - one.a, low, high)))
    return Row(cells=(name, *cells, wins, better))
