"""The tables hold our figures, published ones stand apart, and a dash is where there is none."""

import io
import math

import pandas as pd
import pytest
from rich.console import Console

from deepmark.eval.metric.names import HEADLINE, STRATEGY_WORDS
from deepmark.eval.metric.subsets import SCOPES
from deepmark.report.tables.metric_tables import (
    category_table,
    headline_table,
    published_subset_table,
    published_table,
    strategy_table,
    subset_table,
    timing_table,
)
from deepmark.report.tables.published import MATCH_RCNN_BY_SUBSET, PUBLISHED
from deepmark.report.tables.table import to_markdown, to_rich
from deepmark.schema import STRATEGIES
from deepmark.vocabulary import DEEPFASHION2


def figures(ap: float | None, *, total: float = 12.34) -> dict:
    part = {"AP": ap, "AP50": 0.9, "AP75": None}
    ms = {"read": 1.0, "network": 9.0, "decode": 2.34, "total": total}
    return {"box": part, "landmark_visible": part, "landmark": part, "ms": ms, "images": 300}


def frame(values: dict[tuple[str, str], float]) -> pd.DataFrame:
    rows = [(metric, scope, value) for (metric, scope), value in values.items()]
    return pd.DataFrame(rows, columns=["metric", "scope", "value"])


def cells(table, name: str) -> list[str]:
    (row,) = [row for row in table.rows if row.cells[0] == name]
    return list(row.cells[1:])


def printed(table, width: int = 80) -> str:
    stream = io.StringIO()
    Console(file=stream, width=width, color_system=None).print(to_rich(table))
    return stream.getvalue()


def test_strategies_stand_in_the_papers_order_whatever_order_they_come_in():
    table = strategy_table({name: figures(0.5) for name in reversed(STRATEGIES)}, measured_on="x")

    assert [row.cells[0] for row in table.rows] == list(STRATEGY_WORDS.values())
    assert tuple(STRATEGY_WORDS) == STRATEGIES


def test_our_row_holds_our_figures():
    table = strategy_table({"nms": figures(0.12345)}, measured_on="300 drawn images")

    assert cells(table, "NMS") == ["0.123", "0.900", "0.123", "0.123", "0.900", "12.3"]
    assert "300 drawn images" in table.note


def test_the_strategy_that_serves_is_marked():
    table = strategy_table({name: figures(0.5) for name in STRATEGIES}, measured_on="x", serving="nms")

    assert [row.cells[0] for row in table.rows if "serves" in row.cells[0]] == ["NMS (serves)"]


def test_what_deepmark_and_match_rcnn_published_stands_in_tables_of_its_own():
    table = published_table()

    assert len(table.rows) == len(PUBLISHED)
    assert cells(table, "DeepMark DLA-34, NMS") == [
        *("0.667", "0.788", "0.750", "0.469", "0.730", "0.547", "0.432", "0.716", "0.455", "35")
    ]
    assert cells(table, "DeepMark hourglass, none") == ["0.707", *["–"] * 5, "0.511", "–", "–", "73"]
    assert cells(table, "Match R-CNN, released data")[-1] == "–"
    for ours in (strategy_table({"nms": figures(0.5)}, measured_on="x"), subset_table(frame({}))):
        assert not any("DeepMark" in row.cells[0] or "Match" in row.cells[0] for row in ours.rows)


@pytest.mark.parametrize("missing", [None, math.nan])
def test_what_cannot_be_found_is_a_dash_not_a_number(missing):
    assert cells(strategy_table({"none": figures(missing)}, measured_on="x"), "none")[0] == "–"
    assert cells(category_table(frame({("box_ap", "category:bag"): missing})), "bag")[0] == "–"


def test_times_are_split_in_network_and_rest_where_they_were_taken():
    metrics = {"none": figures(0.5, total=9.96), "flip": figures(0.5, total=123.4), "nms": {"box": {}}}
    table = timing_table(metrics)

    assert [row.cells for row in table.rows] == [
        ("none", "9.0", "1.0", "10.0", "1.0", "2.3"),
        ("NMS + flip", "9.0", "114", "123", "1.0", "2.3"),
    ]


def test_the_headline_is_every_figure_of_one_strategy():
    table = headline_table(figures(0.25))

    assert table.columns == ("what", "AP", "AP50", "AP75")
    assert cells(table, "box") == ["0.250", "0.900", "–"]
    assert len(table.rows) == 3


def test_intervals_stand_beside_their_figures_and_nothing_beside_the_rest():
    bounds = {"AP": {"low": 0.2, "high": 0.3}, "AP50": None}
    metrics = figures(0.25) | {"interval": {"box": bounds}}
    row = strategy_table({"nms": metrics}, measured_on="x").rows[0]

    assert row.intervals == ("", "0.200–0.300", "", "", "", "", "")
    assert len(row.intervals) == len(row.cells)
    assert headline_table(metrics).rows[0].intervals == ("", "0.200–0.300", "", "")
    ap = frame({("box_ap", "scale:small"): 0.25, ("box_ap", "all"): 0.5}).assign(
        low=[0.2, math.nan], high=[0.3, math.nan]
    )
    subsets = subset_table(ap)
    assert subsets.rows[0].intervals == ("", "0.200–0.300", "", "")
    assert subsets.rows[-1].intervals[1] == ""
    assert category_table(ap).rows[-1].intervals[1] == ""


def test_markdown_and_the_terminal_leave_intervals_out():
    table = headline_table(figures(0.25) | {"interval": {"box": {"AP": {"low": 0.2, "high": 0.3}}}})

    assert "0.200" not in to_markdown(table)
    assert "0.200" not in printed(table)


def test_the_subset_table_has_the_dataset_papers_subsets_and_so_has_what_was_published():
    ours = {(metric, scope): 0.25 for metric in HEADLINE for scope in (*SCOPES, "all")}
    table, published = subset_table(frame(ours | {("box_ap", "occlusion:heavy"): 0.4})), published_subset_table()

    for shown in (table, published):
        assert [row.cells[0] for row in shown.rows][:3] == ["scale: small", "scale: moderate", "scale: large"]
        assert shown.rows[-1].cells[0] == "all"
        assert len(shown.rows) == len(SCOPES) + 1
    assert cells(table, "occlusion: heavy") == ["0.400", "0.250", "0.250"]
    assert cells(published, "occlusion: heavy") == ["0.372", "0.398", "0.248"]
    assert cells(published, "source: shop") == ["–", "–", "–"]
    assert "ignored" in table.note


def test_published_subsets_are_scopes_of_ours():
    for metric, values in MATCH_RCNN_BY_SUBSET.items():
        assert metric in HEADLINE
        assert set(values) == {scope for scope in SCOPES if not scope.startswith("source")} | {"all"}


def test_published_subsets_surround_the_published_total():
    for values in MATCH_RCNN_BY_SUBSET.values():
        for field in ("scale", "occlusion", "zoom_in", "viewpoint"):
            parts = [value for scope, value in values.items() if scope.startswith(field)]
            assert min(parts) < values["all"] < max(parts)


def test_the_category_table_has_every_category_and_their_mean():
    scopes = {("box_ap", f"category:{name}"): 0.4 for name in DEEPFASHION2.by_name}
    table = category_table(frame({**scopes, ("box_ap", "category:vest"): 0.5, ("landmark_ap50", "all"): 0.75}))

    assert [row.cells[0] for row in table.rows] == [*DEEPFASHION2.by_name, "all 13"]
    assert cells(table, "vest")[0] == "0.500"
    assert cells(table, "all 13")[-1] == "0.750"


def test_markdown_has_as_many_cells_in_every_line():
    lines = to_markdown(strategy_table({"nms": figures(0.5)}, measured_on="x")).splitlines()

    assert {line.count("|") for line in lines} == {8}
    assert lines[2].startswith("| NMS | 0.500 |")


def test_the_terminal_shows_the_strategies_whole_in_80_columns():
    text = printed(strategy_table({name: figures(0.5) for name in STRATEGIES}, measured_on="300 drawn images"))

    assert max(len(line) for line in text.splitlines()) <= 80
    for name in STRATEGY_WORDS.values():
        assert any(line.split("  ")[0].strip() == name and "12.3" in line for line in text.splitlines())
    assert "300 drawn images" in text
    assert "…" not in text
