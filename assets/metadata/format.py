"""Metadata as Dagster's pages show it best: numbers of a few digits, tables without a click where that can be."""

import math
import re
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

import dagster as dg

from deepmark.report.tables.table import Row, Table, to_markdown

DIGITS = 4
"""Of an AP or milliseconds, a person compares no more; the files have all of them."""


def rounded(metadata: Mapping[str, Any]) -> dict[str, Any]:
    """The same, its fractions to `DIGITS` digits; whole numbers, and what stands before the point, stay as they are."""
    return {name: _rounded(value) for name, value in metadata.items()}


def written(table: Table) -> dg.MarkdownMetadataValue:
    """A table for an asset's page, as narrow as can be; without spaces, which count in the 1,000 characters that the
    page shows at once. A longer one is behind a link."""
    return dg.MetadataValue.md(re.sub(r" ?\| ?", "|", to_markdown(table)))


def gridded(columns: Sequence[str], rows: Iterable[Sequence[Any]]) -> dg.TableMetadataValue:
    """A table for a check's page, where markdown is always behind a link; and one whose cells are read again."""
    names = [name or "\N{NO-BREAK SPACE}" for name in columns]
    records = [dg.TableRecord(dict(zip(names, row, strict=True))) for row in rows]
    return dg.MetadataValue.table(records, schema=dg.TableSchema(columns=[dg.TableColumn(name) for name in names]))


def turned(table: Table, what: str) -> Table:
    """Our rows as columns, for a table that is wider than a page; `what` names the first column."""
    ours = [row.cells for row in table.rows if row.ours]
    rows = (Row(cells=cells) for cells in zip(table.columns[1:], *(cells[1:] for cells in ours), strict=True))
    return Table(title=table.title, columns=(what, *(cells[0] for cells in ours)), rows=tuple(rows))


def link(text: str, address: str) -> dg.MarkdownMetadataValue:
    """A few words to click; an address is wider than the page."""
    return dg.MetadataValue.md(f"[{text}]({address})")


def _rounded(value: Any) -> Any:
    if isinstance(value, dg.FloatMetadataValue):
        return dg.MetadataValue.float(_rounded(value.value))
    if not isinstance(value, float) or not math.isfinite(value) or value == 0:
        return value
    return round(value, max(0, DIGITS - 1 - math.floor(math.log10(abs(value)))))
