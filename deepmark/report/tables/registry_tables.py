"""Tables of the registered versions, and of the gate's rules for one of them."""

from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from deepmark.eval.metric.names import HEADLINE, METRICS
from deepmark.report.tables.table import UNKNOWN, Row, Table, number


def models_table(versions: Iterable[Mapping[str, Any]]) -> Table:
    """A row for each version, given as `deepmark models --json` prints them."""
    rows = [
        Row(
            cells=(
                " ".join([str(one["version"]), *one["aliases"]]),
                *(number(one[name], 3) for name in HEADLINE),
                "torch" if one["serves"] == "checkpoint" else one["serves"],  # a terminal of 80 columns
                number(one["megabytes"], 1),
                (one["data_version"] or UNKNOWN)[:6],
                one["created"][:10],
            )
        )
        for one in versions
    ]
    columns = ("version", *(METRICS[name].short_words for name in HEADLINE), "serves", "MB", "data", "registered")
    return Table(title="Versions of the model", columns=columns, rows=tuple(rows))


def gate_table(rules: Sequence[Mapping[str, Any]], *, champion: int, challenger: int, every: bool = False) -> Table:
    """A row for each rule of the gate, given as `deepmark promote --json` prints them.

    Rules of categories and subsets that hold are left out, unless `every` is set.
    """
    shown = [rule for rule in rules if every or not rule["holds"] or " of " not in rule["name"]]
    left = len(rules) - len(shown)
    return Table(
        title=f"Version {challenger} against version {champion}, the champion",
        columns=("", "champion", "challenger", "difference", "low", "high", "needed", "holds"),
        rows=tuple(map(_rule_row, shown)),
        note="Low and high: 95% of the differences, paired bootstrap over images."
        + (f" {left} more rules about categories and subsets hold; --all shows them." if left else ""),
    )


def version_comparison_table(differences: Iterable[Any], *, champion: int, challenger: int) -> Table:
    """The figures of champion and challenger over all images, and their differences."""
    rows = []
    for one in differences:
        if one.scope != "all" or one.metric not in HEADLINE or one.difference is None:
            continue
        low, high = (one.interval.low, one.interval.high) if one.interval else (None, None)
        differences = (number(value, 4, sign=True) for value in (one.difference, low, high))
        rows.append(Row(cells=(METRICS[one.metric].short_words, number(one.a, 4), number(one.b, 4), *differences)))
    columns = ("", f"version {champion}", f"version {challenger}", "difference", "low", "high")
    return Table(title="On the same validation images", columns=columns, rows=tuple(rows))


def _rule_row(rule: Mapping[str, Any]) -> Row:
    interval = rule["interval"] or {"low": None, "high": None}
    places = 4 if rule["interval"] else 2
    cells = (
        rule["name"],
        number(rule["champion"], places),
        number(rule["challenger"], places),
        number(rule["challenger"] - rule["champion"], places, sign=True),
        number(interval["low"], 4, sign=True),
        number(interval["high"], 4, sign=True),
        rule["condition"],
        "yes" if rule["holds"] else "NO",
    )
    return Row(cells=cells)
