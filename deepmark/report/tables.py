"""The tables people compare: by strategy as DeepMark printed it, by subset as DeepFashion2 did, by category.

A table is a value; markdown and the terminal are two ways to show it.
"""

import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from deepmark.eval.subsets import SCOPES
from deepmark.report.published import MATCH_RCNN_BY_SUBSET, PUBLISHED, Figures
from deepmark.schema import CATEGORIES, STRATEGIES

if TYPE_CHECKING:
    import pandas as pd
    import rich.table

STRATEGY_WORDS: dict[str, str] = {
    "none": "none",
    "nms": "NMS",
    "flip": "NMS + flip",
    "multiscale": "NMS + flip + multi-scale",
}
"""The paper's columns in its words."""

METRIC_WORDS: dict[str, str] = {
    "box_ap": "box AP",
    "landmark_visible_ap": "landmark AP, visible",
    "landmark_ap": "landmark AP, visible + occluded",
}

UNKNOWN = "–"
"""Stands where there is nothing to find, or nothing was published."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Row:
    cells: tuple[str, ...]
    ours: bool = True
    """Others' figures stand beside ours, and are told apart."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Table:
    """Cells as they will be read; the first column names the row."""

    title: str
    columns: tuple[str, ...]
    rows: tuple[Row, ...]
    note: str = ""


def to_markdown(table: Table) -> str:
    """A pipe table, numbers to the right, our rows in bold where others' stand beside them; title and note left out."""
    mixed = len({row.ours for row in table.rows}) == 2
    lines = ["| " + " | ".join(table.columns) + " |", "|---|" + "---:|" * (len(table.columns) - 1)]
    for row in table.rows:
        cells = [f"**{cell}**" if mixed and row.ours and cell != UNKNOWN else cell for cell in row.cells]
        lines.append("| " + " | ".join(cells) + " |")
    return "\n".join(lines) + "\n"


def to_rich(table: Table) -> "rich.table.Table":
    """The same for a terminal."""
    import rich.box
    import rich.table

    shown = rich.table.Table(
        title=table.title,
        caption=table.note or None,
        box=rich.box.SIMPLE_HEAD,
        title_style="bold",
        title_justify="left",
        caption_justify="left",
        padding=0,
        pad_edge=False,
    )
    shown.add_column(table.columns[0], vertical="bottom", min_width=24)
    for name in table.columns[1:]:
        # As wide as the longest word: a heading of four words stands on four lines, and the table in 80 columns.
        width = max(len(word) for word in name.split())
        shown.add_column(name, justify="right", vertical="bottom", min_width=width, width=max(width, 7))
    ours = [i for i, row in enumerate(table.rows) if row.ours]
    for i, row in enumerate(table.rows):
        above_others_only = bool(ours) and i == ours[-1] < len(table.rows) - 2
        shown.add_row(*row.cells, style="bold" if row.ours else "dim", end_section=above_others_only)
    return shown


def print_table(table: Table) -> None:
    """The table on standard output."""
    from rich.console import Console

    Console(soft_wrap=True).print(to_rich(table))


def _ap(value: float | None) -> str:
    return UNKNOWN if value is None or math.isnan(value) else f"{value:.3f}"


def _ms(value: float | int | None) -> str:
    if value is None:
        return UNKNOWN
    return f"{value:.1f}" if isinstance(value, float) and value < 100 else f"{value:.0f}"


def _strategy_row(
    name: str, box: Figures, visible: Figures, both: Figures, ms: float | int | None, *, ours: bool
) -> Row:
    figures = (box[0], box[1], visible[0], both[0], both[1])
    return Row(cells=(name, *map(_ap, figures), _ms(ms)), ours=ours)


def _measured(name: str, metrics: Mapping[str, Any]) -> Row:
    parts = (metrics[part] for part in ("box", "landmarks_visible", "landmarks"))
    box, visible, both = ((part["AP"], part["AP50"], part["AP75"]) for part in parts)
    return _strategy_row(STRATEGY_WORDS[name], box, visible, both, metrics.get("ms", {}).get("total"), ours=True)


def strategy_table(metrics: Mapping[str, Mapping[str, Any]], *, measured_on: str, published: bool = True) -> Table:
    """The paper's table of inference strategies, ours first, then what DeepMark and Match R-CNN reported.

    `metrics` holds the content of metrics/{strategy}.json by strategy; `measured_on` says what the figures are of, such
    as "300 drawn pictures", because the published ones are of DeepFashion2's validation set.
    """
    rows = [_measured(name, metrics[name]) for name in STRATEGIES if name in metrics]
    note = f"Measured on {measured_on}."
    if published:
        rows += [
            _strategy_row(row.method, row.box, row.landmarks_visible, row.landmarks, row.ms, ours=False)
            for row in PUBLISHED
        ]
        note += " Published figures are of DeepFashion2's validation set, times of one RTX 2080 Ti."
    return Table(
        title="Inference strategies",
        columns=(
            "strategy",
            "box AP",
            "box AP50",
            "landmark AP, visible",
            "landmark AP, visible + occluded",
            "landmark AP50, visible + occluded",
            "ms an image",
        ),
        rows=tuple(rows),
        note=note,
    )


def timing_table(metrics: Mapping[str, Mapping[str, Any]]) -> Table:
    """Where an image's milliseconds go, by strategy; empty where nothing was timed."""
    steps = ("read", "network", "decode", "total")
    timed = {name: metrics[name]["ms"] for name in STRATEGIES if metrics.get(name, {}).get("ms")}
    rows = (Row(cells=(STRATEGY_WORDS[name], *(_ms(ms.get(step)) for step in steps))) for name, ms in timed.items())
    return Table(title="Milliseconds an image", columns=("strategy", *steps), rows=tuple(rows))


def _values(frame: "pd.DataFrame") -> dict[tuple[str, str], float | None]:
    return {(metric, scope): value for metric, scope, value in zip(frame.metric, frame.scope, frame.value, strict=True)}


def subset_table(frame: "pd.DataFrame") -> Table:
    """AP by scale, occlusion, zoom, viewpoint and source, as the dataset paper has it, Match R-CNN's below ours.

    `frame` is the content of tables/{strategy}/ap.csv.
    """
    values, scopes = _values(frame), (*SCOPES, "all")
    rows: list[Row] = []
    for metric, words in METRIC_WORDS.items():
        theirs = MATCH_RCNN_BY_SUBSET[metric]
        rows.append(Row(cells=(words, *(_ap(values.get((metric, scope))) for scope in scopes))))
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
    values = _values(frame)
    metrics = {
        "box_ap": "box AP",
        "box_ap50": "box AP50",
        "box_ap75": "box AP75",
        "landmark_visible_ap": "landmark AP, visible",
        "landmark_ap": "landmark AP, visible + occluded",
        "landmark_ap50": "landmark AP50, visible + occluded",
    }
    scopes = {f"category:{category.name}": category.name for category in CATEGORIES} | {"all": "all 13"}
    rows = (
        Row(cells=(name, *(_ap(values.get((metric, scope))) for metric in metrics))) for scope, name in scopes.items()
    )
    return Table(title="By category", columns=("category", *metrics.values()), rows=tuple(rows))
