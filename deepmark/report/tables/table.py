"""A table as a value, shown as Markdown, in the terminal, or on the page."""

import math
from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import rich.table

UNKNOWN = "–"
"""The cell of a figure that does not exist or was not published."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Row:
    cells: tuple[str, ...]
    intervals: tuple[str, ...] = ()
    """A 95% interval for each cell, "" where there is none; only the page shows them."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Table:
    """Formatted cells; the first one names the row."""

    title: str
    columns: tuple[str, ...]
    rows: tuple[Row, ...]
    note: str = ""


def number(value: float | None, places: int, *, sign: bool = False) -> str:
    """A cell with so many decimal places; `UNKNOWN` for None and NaN."""
    if value is None or math.isnan(value):
        return UNKNOWN
    return f"{value:{'+' if sign else ''}.{places}f}"


def to_markdown(table: Table) -> str:
    """A Markdown table without title and note, numbers aligned right."""
    lines = ["| " + " | ".join(table.columns) + " |", "|---|" + "---:|" * (len(table.columns) - 1)]
    lines += ["| " + " | ".join(row.cells) + " |" for row in table.rows]
    return "\n".join(lines) + "\n"


def to_rich(table: Table) -> "rich.table.Table":
    """The table for a terminal."""
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
    for row in table.rows:
        shown.add_row(*row.cells)
    return shown


def print_table(table: Table) -> None:
    """The table on standard output."""
    from rich.console import Console

    Console(soft_wrap=True).print(to_rich(table))
