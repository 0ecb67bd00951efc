"""Metadata as people read it: few digits, and tables that fit a page."""

import math

import dagster as dg

from deepmark.report.table import Row, Table
from pipelines.readable import link, rounded, shown, turned

TABLE = Table(
    title="By size",
    columns=("", "small", "large"),
    rows=(Row(cells=("box AP", "0.1", "0.2")), Row(cells=("theirs", "0.3", "0.4"), ours=False)),
)


def test_fractions_have_four_digits_and_whole_numbers_all_of_theirs():
    values = {
        "AP": 0.027594601450872322,
        "ms": 34.94747863335557,
        "bytes": 123456.789,
        "pictures": 123456,
        "low": -1e-7,
    }

    assert rounded(values) == {"AP": 0.02759, "ms": 34.95, "bytes": 123457.0, "pictures": 123456, "low": -1e-7}


def test_what_is_no_number_stays_as_it_is():
    values = {"loss": math.inf, "none": 0.0, "command": "deepmark train", "passed": True}

    assert rounded(values) == values
    assert math.isnan(rounded({"loss": math.nan})["loss"])


def test_the_numbers_of_a_check_are_rounded_too():
    result = dg.AssetCheckResult(passed=True, metadata={"share": 1 / 3, "files": 3})

    assert rounded(result.metadata) == {"share": dg.MetadataValue.float(0.3333), "files": dg.MetadataValue.int(3)}


def test_a_table_keeps_its_cells_and_a_nameless_column_a_place():
    table = shown(TABLE)

    assert [column.name.strip() for column in table.schema.columns] == ["", "small", "large"]
    assert [list(row.data.values()) for row in table.records] == [["box AP", "0.1", "0.2"], ["theirs", "0.3", "0.4"]]


def test_a_turned_table_has_our_rows_as_columns():
    table = turned(TABLE, "size")

    assert table.columns == ("size", "box AP")
    assert [row.cells for row in table.rows] == [("small", "0.1"), ("large", "0.2")]


def test_an_address_is_shown_as_a_few_words():
    assert link("ab12", "http://127.0.0.1:5000/#/ab12").value == "[ab12](http://127.0.0.1:5000/#/ab12)"
