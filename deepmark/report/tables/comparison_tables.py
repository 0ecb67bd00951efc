"""Tables that compare: two detectors, a result with published ones and earlier runs, a recipe with the paper's."""

from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from deepmark.eval.metric.compare import Difference
from deepmark.eval.metric.names import METRICS, Metric
from deepmark.params.recipe import Change
from deepmark.report.tables.published import PUBLISHED, VALIDATION_IMAGES, VALIDATION_ITEMS, Published
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


def is_published_set(images: int, items: int) -> bool:
    """Whether these are DeepFashion2's released validation images; ingest may have rejected one in a hundred."""
    counts = ((images, VALIDATION_IMAGES), (items, VALIDATION_ITEMS))
    return all(0.99 * whole <= count <= whole for count, whole in counts)


def papers_row(backbone: str, strategy: str) -> Published:
    """What DeepMark reported with this backbone and strategy; its best figures where it reported none."""
    own = [row for row in PUBLISHED if (row.backbone, row.strategy) == (backbone, strategy)]
    return own[0] if own else papers_row("hourglass104", "multiscale")


def published_comparison(metrics: Mapping[str, Any], *, backbone: str, strategy: str) -> Table:
    """Every AP of one strategy beside the paper's and the highest that was published; `metrics` as in its file."""
    paper = papers_row(backbone, strategy)
    rows = [_beside_published(metric, metric.value_in(metrics), paper) for metric in METRICS.values()]
    return Table(
        title="Beside published figures",
        columns=("", "here", paper.method, "here - paper", "highest", "here - highest", "whose"),
        rows=tuple(rows),
        note="All on DeepFashion2’s validation images. Here, weights may have been chosen by these images "
        "(train.best_by), which is slightly optimistic.",
    )


def _beside_published(metric: Metric, here: float | None, paper: Published) -> Row:
    known = [(value, row.method) for row in PUBLISHED if (value := row.figure(metric)) is not None]
    highest, whose = max(known, key=lambda each: each[0])
    published = paper.figure(metric)
    cells = (number(here, 3), number(published, 3), _difference(here, published))
    return Row(cells=(metric.words, *cells, number(highest, 3), _difference(here, highest), whose))


def _difference(a: float | None, b: float | None) -> str:
    return UNKNOWN if a is None or b is None else number(a - b, 3, sign=True)


def earlier_comparison(
    metrics: Mapping[str, Any], earlier: Sequence[tuple[str, Mapping[str, float]]], *, strategy: str
) -> Table:
    """Every AP of one strategy beside those of earlier runs, each with its name and its figures by metric."""
    rows = []
    for name, metric in METRICS.items():
        here, cells = metric.value_in(metrics), []
        for _, figures in earlier:
            cells += [number(figures.get(name), 3), _difference(here, figures.get(name))]
        rows.append(Row(cells=(metric.words, number(here, 3), *cells)))
    columns = (heading for name, _ in earlier for heading in (name, "here - it"))
    return Table(
        title=f"Beside earlier runs, {strategy}",
        columns=("", "here", *columns),
        rows=tuple(rows),
        note="Whether a difference is real, deepmark compare tells.",
    )


def recipe_table(changes: Iterable[Change]) -> Table:
    """The parameters that differ from the profile `paper`."""
    return Table(
        title="What differs from the profile paper",
        columns=("parameter", "here", "paper", "what it is"),
        rows=tuple(Row(cells=(one.name, _value(one.value), _value(one.other), one.words)) for one in changes),
    )


def _value(value: Any) -> str:
    if value is None:
        return "none"
    if isinstance(value, bool):
        return "on" if value else "off"
    if isinstance(value, tuple):
        return " x ".join(map(str, value)) if all(isinstance(one, int) for one in value) else ", ".join(map(str, value))
    if isinstance(value, dict):
        return ", ".join(f"{key}: {one:g}" for key, one in value.items()) or "none"
    return f"{value:g}" if isinstance(value, float) else str(value)
