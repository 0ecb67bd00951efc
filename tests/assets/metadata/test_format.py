"""Metadata is readable: numbers of few digits, and tables that fit a page."""

import math

import dagster as dg
import pandas as pd

from assets.metadata.format import link, markdown_table, metadata_table, rounded
from deepmark.eval.metric.subsets import SCOPES
from deepmark.report.tables.metric_tables import category_table, subset_table
from deepmark.report.tables.table import Row, Table
from deepmark.vocabulary import DEEPFASHION2

TABLE = Table(
    title="By size",
    columns=("", "small", "large"),
    rows=(Row(cells=("box AP", "0.1", "0.2")), Row(cells=("landmark AP", "0.3", "0.4"))),
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


def test_other_values_than_numbers_stay_as_they_are():
    values = {"loss": math.inf, "none": 0.0, "command": "deepmark train", "passed": True}

    assert rounded(values) == values
    assert math.isnan(rounded({"loss": math.nan})["loss"])


def test_the_numbers_of_a_check_are_rounded_too():
    result = dg.AssetCheckResult(passed=True, metadata={"share": 1 / 3, "files": 3})

    assert rounded(result.metadata) == {"share": dg.MetadataValue.float(0.3333), "files": dg.MetadataValue.int(3)}


def test_a_markdown_table_wastes_no_characters():
    assert markdown_table(TABLE).value == "||small|large|\n|---|---:|---:|\n|box AP|0.1|0.2|\n|landmark AP|0.3|0.4|\n"


def test_tables_of_metrics_are_shown_without_a_click():
    scopes = ["all", *SCOPES, *(f"category:{category.name}" for category in DEEPFASHION2.categories)]
    metrics = ["box_ap", "box_ap50", "box_ap75", "landmark_visible_ap", "landmark_ap", "landmark_ap50"]
    frame = pd.DataFrame({"metric": metric, "scope": scope, "value": 0.5} for metric in metrics for scope in scopes)

    for table in (category_table(frame), subset_table(frame)):
        text = markdown_table(table).value or ""
        assert text.count("0.500") == len(table.rows) * (len(table.columns) - 1)
        assert len(text) < 1000


def test_a_metadata_table_keeps_its_cells_and_a_column_without_a_name():
    table = metadata_table(("", "items"), [("vest", 3), ("sling", 4)])

    assert [column.name.strip() for column in table.schema.columns] == ["", "items"]
    assert [list(row.data.values()) for row in table.records] == [["vest", 3], ["sling", 4]]


def test_an_address_is_shown_as_a_few_words():
    assert link("ab12", "http://127.0.0.1:5000/#/ab12").value == "[ab12](http://127.0.0.1:5000/#/ab12)"
