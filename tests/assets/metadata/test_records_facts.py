"""The categories that Dagster shows of records stand beside the released set where there is one."""

import pytest

from assets.metadata.stages import CATEGORIES, records_facts
from deepmark.digests import write_json_with_digest
from deepmark.workspace.layout import Workspace


@pytest.mark.parametrize(
    ("counts", "columns"),
    [
        ({"released_items": 5, "released_share_of_items": 0.1}, ["category", "items", "share", "released set"]),
        ({}, ["category", "items", "share"]),
    ],
)
def test_a_data_set_of_ones_own_has_no_column_of_a_released_set(tmp_path, counts, columns):
    workspace = Workspace(tmp_path)
    workspace.records.mkdir(parents=True)
    categories = {"bag": {"items": 3, "share_of_items": 1.0, **counts}}
    write_json_with_digest(workspace.records / "train.statistics.json", {"records": 2, "by": {"category": categories}})
    table = records_facts(tmp_path, "train")[CATEGORIES]

    assert [column.name for column in table.schema.columns] == columns
    assert table.records[0].data["share"] == "100.0%"
