"""The table of `deepmark export`: the exported files beside torch."""

from collections.abc import Mapping
from typing import Any

from deepmark.report.tables.table import UNKNOWN, Row, Table, number

_FIGURES = ("box_ap", "landmark_ap")


def export_table(figures: Mapping[str, Any]) -> Table:
    """The figures of metrics/export.json: size and time of each file, and its APs beside torch's."""
    rows, flips = [], {name: name.endswith(" flip") for name in figures["files"]}
    for flip in sorted(set(flips.values())):
        files = [of for name, of in figures["files"].items() if flips[name] == flip]
        aps = [cell for name in _FIGURES for cell in (number(files[0][name]["torch"], 4), UNKNOWN)]
        ms = number(figures["torch_flip_ms" if flip else "torch_ms"], 1)
        rows += [Row(cells=("torch, flip" if flip else "torch", UNKNOWN, ms, *aps)), *map(_row, files)]
    return Table(
        title="Exported files",
        columns=("", "MB", "ms", "box AP", "- torch", "landmark AP", "- torch"),
        rows=tuple(rows),
        note="Milliseconds from canvas to detections: of an image alone, torch's of one in a batch. 95% intervals of "
        "the differences, by the paired bootstrap over images, are in metrics/export.json.",
    )


def _row(of: Mapping[str, Any]) -> Row:
    aps = [
        cell
        for name in _FIGURES
        for cell in (number(of[name]["value"], 4), number(of[name]["difference"], 4, sign=True))
    ]
    return Row(cells=(str(of["file"]), number(of["bytes"] / 1e6, 2), number(of["ms"], 1), *aps))
