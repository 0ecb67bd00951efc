"""Tables of the metric by strategy, by subset and by category, and the published figures, which stand apart."""

import math
from collections.abc import Iterable, Mapping, Sequence
from typing import TYPE_CHECKING, Any

from deepmark.eval.metric.names import HEADLINE, KIND_WORDS, METRICS, STRATEGY_WORDS, THRESHOLDS, Metric
from deepmark.eval.metric.subsets import SCOPES
from deepmark.report.tables.published import MATCH_RCNN_BY_SUBSET, PUBLISHED
from deepmark.report.tables.table import UNKNOWN, Row, Table, number
from deepmark.schema import STRATEGIES

if TYPE_CHECKING:
    import pandas as pd

_CATEGORY = "category:"
"""Before the name of a category, its scope in ap.csv."""

_STRATEGY_METRICS = ("box_ap", "box_ap50", "landmark_visible_ap", "landmark_ap", "landmark_ap50")
_CATEGORY_METRICS = ("box_ap", "box_ap50", "box_ap75", "landmark_visible_ap", "landmark_ap", "landmark_ap50")


def _ap(value: float | None) -> str:
    return number(value, 3)


def _ms(value: float | int | None) -> str:
    if value is None:
        return UNKNOWN
    return f"{value:.1f}" if isinstance(value, float) and value < 100 else f"{value:.0f}"


def _interval(low: float, high: float) -> str:
    return "" if math.isnan(low) or math.isnan(high) else f"{low:.3f}–{high:.3f}"


def headline_interval(metrics: Mapping[str, Any], metric: Metric) -> str:
    """The 95% interval of a figure in metrics/{strategy}.json; "" where it has none."""
    bounds = metrics.get("interval", {}).get(metric.kind, {}).get(metric.threshold)
    return _interval(bounds["low"], bounds["high"]) if bounds else ""


def _measured(name: str, metrics: Mapping[str, Any], columns: Iterable[Metric]) -> Row:
    return Row(
        cells=(
            name,
            *(_ap(metric.value_in(metrics)) for metric in columns),
            _ms(metrics.get("ms", {}).get("total")),
        ),
        intervals=("", *(headline_interval(metrics, metric) for metric in columns), ""),
    )


def strategy_table(metrics: Mapping[str, Mapping[str, Any]], *, measured_on: str, serving: str | None = None) -> Table:
    """The paper's table of inference strategies.

    `metrics` holds the content of metrics/{strategy}.json by strategy; `measured_on` says what the figures are of, such
    as "300 drawn images". The strategy that is `serving` is marked.
    """
    columns = [METRICS[name] for name in _STRATEGY_METRICS]
    rows = [
        _measured(STRATEGY_WORDS[name] + " (serves)" * (name == serving), metrics[name], columns)
        for name in STRATEGIES
        if name in metrics
    ]
    return Table(
        title="Inference strategies",
        columns=("strategy", *(metric.words for metric in columns), "ms an image"),
        rows=tuple(rows),
        note=f"Measured on {measured_on}.",
    )


def nms_table(kinds: Mapping[str, Mapping[str, Any]], *, used: str) -> Table:
    """Every AP of the strategy nms by hard and by soft NMS, as `nms_kinds` of metrics/none.json; `used` is marked."""
    rows = (
        Row(cells=(kind + " (used)" * (kind == used), *(_ap(metric.value_in(one)) for metric in METRICS.values())))
        for kind, one in kinds.items()
    )
    columns = ("NMS", *(metric.words for metric in METRICS.values()))
    return Table(title="By kind of NMS", columns=columns, rows=tuple(rows))


def published_table() -> Table:
    """What DeepMark, Match R-CNN and those after them reported, every AP."""
    rows = (
        Row(cells=(row.method, *(_ap(row.figure(metric)) for metric in METRICS.values()), _ms(row.ms)))
        for row in PUBLISHED
    )
    return Table(
        title="By method",
        columns=("method", *(metric.words for metric in METRICS.values()), "ms an image"),
        rows=tuple(rows),
        note="Milliseconds of one RTX 2080 Ti.",
    )


def published_subset_table() -> Table:
    """What Match R-CNN reported by subset, on the full data."""
    rows = (
        Row(cells=(_scope_words(scope), *(_ap(MATCH_RCNN_BY_SUBSET[metric].get(scope)) for metric in HEADLINE)))
        for scope in (*SCOPES, "all")
    )
    return Table(
        title="Match R-CNN by subset, full data",
        columns=("subset", *(METRICS[metric].words for metric in HEADLINE)),
        rows=tuple(rows),
    )


def _scope_words(scope: str) -> str:
    return scope.replace("zoom_in", "zoom").replace(":", ": ")


def headline_table(metrics: Mapping[str, Any]) -> Table:
    """The nine figures of one strategy, from the content of its metrics/{strategy}.json."""
    rows = []
    for kind, words in KIND_WORDS.items():
        figures = [metric for metric in METRICS.values() if metric.kind == kind]
        cells = (words, *(_ap(metric.value_in(metrics)) for metric in figures))
        rows.append(Row(cells=cells, intervals=("", *(headline_interval(metrics, metric) for metric in figures))))
    return Table(title="Every AP", columns=("what", *THRESHOLDS), rows=tuple(rows))


def timing_table(metrics: Mapping[str, Mapping[str, Any]]) -> Table:
    """The milliseconds per image of each strategy: the network and the rest; empty without timings."""
    timed = {name: metrics[name]["ms"] for name in STRATEGIES if metrics.get(name, {}).get("ms")}
    rows = []
    for name, ms in timed.items():
        known = ms.get("total") is not None and ms.get("network") is not None
        rest = ms["total"] - ms["network"] if known else None
        parts = (ms.get("network"), rest, ms.get("total"), ms.get("read"), ms.get("decode"))
        rows.append(Row(cells=(STRATEGY_WORDS[name], *map(_ms, parts))))
    columns = ("strategy", "network", "rest", "total", "of the rest: reading", "of the rest: decoding")
    return Table(title="Milliseconds an image", columns=columns, rows=tuple(rows))


class _Figures:
    """The content of a strategy's ap.csv, by metric and scope, as cells."""

    def __init__(self, frame: "pd.DataFrame") -> None:
        places = list(zip(frame.metric, frame.scope, strict=True))
        self._values = dict(zip(places, frame.value, strict=True))
        bounds = zip(frame.low, frame.high, strict=True) if "low" in frame else ()
        self._bounds = dict(zip(places, bounds, strict=False))

    def row(self, name: str, places: Sequence[tuple[str, str]]) -> Row:
        return Row(
            cells=(name, *(_ap(self._values.get(place)) for place in places)),
            intervals=("", *(_interval(*self._bounds.get(place, (math.nan, math.nan))) for place in places)),
        )


def subset_table(frame: "pd.DataFrame") -> Table:
    """AP by scale, occlusion, zoom, viewpoint and source, the subsets of the dataset paper.

    `frame` is the content of tables/{strategy}/ap.csv.
    """
    figures = _Figures(frame)
    rows = (figures.row(_scope_words(scope), [(metric, scope) for metric in HEADLINE]) for scope in (*SCOPES, "all"))
    return Table(
        title="By subset",
        columns=("subset", *(METRICS[metric].words for metric in HEADLINE)),
        rows=tuple(rows),
        note="Items outside the subset are ignored the way COCO ignores by area; a result matched to an ignored item "
        "is ignored; a result that matches nothing counts in the images that hold an item of the subset.",
    )


def category_names(frame: "pd.DataFrame") -> list[str]:
    """The categories of a data set in their order, from the content of tables/{strategy}/ap.csv."""
    scopes = dict.fromkeys(scope for scope in frame.scope if scope.startswith(_CATEGORY))
    return [scope.removeprefix(_CATEGORY) for scope in scopes]


def category_table(frame: "pd.DataFrame") -> Table:
    """Every category's APs, and their mean.

    `frame` is the content of tables/{strategy}/ap.csv.
    """
    figures = _Figures(frame)
    names = category_names(frame)
    scopes = {f"{_CATEGORY}{name}": name for name in names} | {"all": f"all {len(names)}"}
    rows = (figures.row(name, [(metric, scope) for metric in _CATEGORY_METRICS]) for scope, name in scopes.items())
    return Table(
        title="By category",
        columns=("category", *(METRICS[metric].words for metric in _CATEGORY_METRICS)),
        rows=tuple(rows),
    )
