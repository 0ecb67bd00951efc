"""Tables of the metric: by strategy as in the DeepMark paper, by subset as in the DeepFashion2 paper, by category."""

import math
from collections.abc import Iterable, Mapping, Sequence
from typing import TYPE_CHECKING, Any

from deepmark.eval.metric.names import HEADLINE, KIND_WORDS, METRICS, STRATEGY_WORDS, THRESHOLDS, Metric
from deepmark.eval.metric.subsets import SCOPES
from deepmark.report.tables.published import MATCH_RCNN_BY_SUBSET, PUBLISHED
from deepmark.report.tables.table import UNKNOWN, Row, Table, number
from deepmark.schema import CATEGORIES, STRATEGIES

if TYPE_CHECKING:
    import pandas as pd

SINGLE, FUSION = "nms", "multiscale"
"""The strategies that DeepMark's table of backbones calls single and fusion."""

_PUBLISHED_NOTE = "Published figures are of DeepFashion2's validation set, times of one RTX 2080 Ti."

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


def _published(columns: Iterable[Metric], *, by_backbone: bool) -> list[Row]:
    """Rows of published figures; with `by_backbone`, those of DeepMark's table of backbones."""
    single, fusion = f", {STRATEGY_WORDS[SINGLE]}", f", {STRATEGY_WORDS[FUSION]}"
    places = list(THRESHOLDS)
    return [
        Row(
            cells=(
                row.method.replace(fusion, ", fusion").replace(single, ", single") if by_backbone else row.method,
                *(_ap(getattr(row, metric.kind)[places.index(metric.threshold)]) for metric in columns),
                _ms(row.ms),
            ),
            ours=False,
        )
        for row in PUBLISHED
        if not by_backbone or row.box[1] is not None
    ]


def strategy_table(metrics: Mapping[str, Mapping[str, Any]], *, measured_on: str, published: bool = True) -> Table:
    """The paper's table of inference strategies, ours first, then what DeepMark and Match R-CNN reported.

    `metrics` holds the content of metrics/{strategy}.json by strategy; `measured_on` says what the figures are of, such
    as "300 drawn pictures", because the published ones are of DeepFashion2's validation set.
    """
    columns = [METRICS[name] for name in _STRATEGY_METRICS]
    rows = [_measured(STRATEGY_WORDS[name], metrics[name], columns) for name in STRATEGIES if name in metrics]
    note = f"Measured on {measured_on}."
    if published:
        rows += _published(columns, by_backbone=False)
        note += f" {_PUBLISHED_NOTE}"
    return Table(
        title="Inference strategies",
        columns=("strategy", *(metric.words for metric in columns), "ms an image"),
        rows=tuple(rows),
        note=note,
    )


def fusion_table(metrics: Mapping[str, Mapping[str, Any]], *, backbone: str) -> Table:
    """One pass against all strategies together, every AP: the paper's table of backbones, with ours first."""
    named = {SINGLE: f"{backbone}, single", FUSION: f"{backbone}, fusion"}
    columns = tuple(METRICS.values())
    rows = [_measured(words, metrics[name], columns) for name, words in named.items() if name in metrics]
    return Table(
        title="Single against fusion",
        columns=("backbone", *(metric.words for metric in columns), "ms an image"),
        rows=(*rows, *_published(columns, by_backbone=True)),
        note=f"Single is {STRATEGY_WORDS[SINGLE]}, fusion {STRATEGY_WORDS[FUSION]}. {_PUBLISHED_NOTE}",
    )


def headline_table(metrics: Mapping[str, Any]) -> Table:
    """The nine figures of one strategy, from the content of its metrics/{strategy}.json."""
    rows = []
    for kind, words in KIND_WORDS.items():
        figures = [metric for metric in METRICS.values() if metric.kind == kind]
        cells = (words, *(_ap(metric.value_in(metrics)) for metric in figures))
        rows.append(Row(cells=cells, intervals=("", *(headline_interval(metrics, metric) for metric in figures))))
    return Table(title="Headline", columns=("what", *THRESHOLDS), rows=tuple(rows))


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
    """AP by scale, occlusion, zoom, viewpoint and source, as the dataset paper has it, Match R-CNN's below ours.

    `frame` is the content of tables/{strategy}/ap.csv.
    """
    figures, scopes = _Figures(frame), (*SCOPES, "all")
    rows: list[Row] = []
    for metric in HEADLINE:
        theirs = MATCH_RCNN_BY_SUBSET[metric]
        rows.append(figures.row(METRICS[metric].words, [(metric, scope) for scope in scopes]))
        rows.append(Row(cells=("Match R-CNN, full data", *(_ap(theirs.get(scope)) for scope in scopes)), ours=False))
    return Table(
        title="By subset",
        columns=("", *(scope.replace("zoom_in", "zoom").replace(":", ": ") for scope in scopes)),
        rows=tuple(rows),
        note="Items outside the subset are ignored the way COCO ignores by area; a result matched to an ignored item "
        "is ignored; a result that matches nothing counts in the pictures that hold an item of the subset.",
    )


def category_table(frame: "pd.DataFrame") -> Table:
    """Every category's APs, and their mean.

    `frame` is the content of tables/{strategy}/ap.csv.
    """
    figures = _Figures(frame)
    scopes = {f"category:{category.name}": category.name for category in CATEGORIES} | {"all": "all 13"}
    rows = (figures.row(name, [(metric, scope) for metric in _CATEGORY_METRICS]) for scope, name in scopes.items())
    return Table(
        title="By category",
        columns=("category", *(METRICS[metric].words for metric in _CATEGORY_METRICS)),
        rows=tuple(rows),
    )
