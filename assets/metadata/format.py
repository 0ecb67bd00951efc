"""Metadata in the form in which Dagster's pages show it best: numbers of few digits, tables that fit a page."""

import math
import re
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

import dagster as dg

from deepmark.report.tables.table import Table, to_markdown

DIGITS = 4
"""Enough to compare APs or milliseconds by eye; the files have all digits."""


def rounded(metadata: Mapping[str, Any]) -> dict[str, Any]:
    """The same with fractions of `DIGITS` significant digits; integers and digits before the point stay."""
    return {name: _rounded(value) for name, value in metadata.items()}


def markdown_table(table: Table) -> dg.MarkdownMetadataValue:
    """A table for an asset's page, which shows up to 1,000 characters at once and a longer text behind a link.

    Spaces count, so there are none around the cells.
    """
    return dg.MetadataValue.md(re.sub(r" ?\| ?", "|", to_markdown(table)))


def metadata_table(columns: Sequence[str], rows: Iterable[Sequence[Any]]) -> dg.TableMetadataValue:
    """A table for a check's page, where markdown is always behind a link, or one whose cells are read again."""
    names = [name or "\N{NO-BREAK SPACE}" for name in columns]
    records = [dg.TableRecord(dict(zip(names, row, strict=True))) for row in rows]
    return dg.MetadataValue.table(records, schema=dg.TableSchema(columns=[dg.TableColumn(name) for name in names]))


def link(text: str, address: str) -> dg.MarkdownMetadataValue:
    """A few words to click, because an address is wider than the page."""
    return dg.MetadataValue.md(f"[{text}]({address})")


def _rounded(value: Any) -> Any:
    if isinstance(value, dg.FloatMetadataValue):
        return dg.MetadataValue.float(_rounded(value.value))
    if not isinstance(value, float) or not math.isfinite(value) or value == 0:
        return value
    return round(value, max(0, DIGITS - 1 - math.floor(math.log10(abs(value)))))
