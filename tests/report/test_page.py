"""The report folder: whole or not at all, with every link leading somewhere."""

import csv
import re

import numpy as np
import pandas as pd
import pytest
import simplejpeg

from deepmark.report.page import Picture, write_report
from deepmark.schema import STRATEGIES


def figures(ap: float) -> dict:
    part = {"AP": ap, "AP50": 0.9, "AP75": None}
    return {
        "box": part,
        "landmarks_visible": part,
        "landmarks": part,
        "ms": {"read": 1.5, "network": 9.0, "decode": 2.0, "total": 12.5},
        "images": 300,
    }


def frame(value: float) -> pd.DataFrame:
    rows = [("box_ap", "category:vest", value, True), ("box_ap", "scale:small", value, True)]
    return pd.DataFrame(rows, columns=["metric", "scope", "value", "higher_is_better"])


def report(folder, **changes):
    values = {
        "metrics": {name: figures(0.1 + i / 3) for i, name in enumerate(STRATEGIES)},
        "frames": {"nms": frame(0.111), "multiscale": frame(0.222)},
        "pictures": [Picture(name="000017", caption="17: truth | found", image=np.full((40, 30, 3), 200, np.uint8))],
        "facts": {"parameters": "4.1 million", "commit": "abc1234", "data": "md5 00ff", "seed": "317"},
        "measured_on": "300 drawn pictures",
    }
    return write_report(folder, **(values | changes))


def test_the_page_holds_strategies_categories_subsets_pictures_and_facts(tmp_path):
    page = report(tmp_path / "report")
    text = page.read_text("utf-8")

    assert page == tmp_path / "report" / "report.md"
    headings = re.findall(r"^## (.*)$", text, re.MULTILINE)
    assert headings == [
        "Inference strategies",
        "By category (NMS + flip + multi-scale)",
        "By subset (NMS + flip + multi-scale)",
        "Milliseconds an image",
        "Pictures",
        "How to read this",
        "The run",
    ]
    for words in ("300 drawn pictures", "Match R-CNN", "| commit | abc1234 |", "| seed | 317 |", "12.5"):
        assert words in text


def test_categories_and_subsets_are_of_the_last_strategy(tmp_path):
    text = report(tmp_path / "report").read_text("utf-8")

    assert "0.222" in text
    assert "0.111" not in text


def test_every_picture_on_the_page_is_a_jpeg_in_the_folder(tmp_path):
    page = report(tmp_path / "report")
    (link,) = re.findall(r"!\[.*?\]\((.*?)\)", page.read_text("utf-8"))

    pixels = simplejpeg.decode_jpeg((page.parent / link).read_bytes())
    assert pixels.shape == (40, 30, 3)
    assert np.abs(pixels.astype(int) - 200).max() <= 2


def test_a_report_without_pictures_and_facts_has_no_empty_sections(tmp_path):
    text = report(tmp_path / "report", pictures=[], facts={}).read_text("utf-8")

    assert "## Pictures" not in text
    assert "## The run" not in text


def test_a_bar_in_a_fact_does_not_break_the_table(tmp_path):
    text = report(tmp_path / "report", facts={"command": "a | b\nc"}).read_text("utf-8")

    assert "| command | a \\| b c |" in text


def test_the_csv_keeps_every_digit_and_leaves_the_unknown_empty(tmp_path):
    page = report(tmp_path / "report", metrics={"flip": figures(1 / 3)})
    with (page.parent / "strategies.csv").open(encoding="utf-8", newline="") as stream:
        (row,) = csv.DictReader(stream)

    assert row["strategy"] == "flip"
    assert float(row["box_AP"]) == 1 / 3
    assert row["landmarks_visible_AP75"] == ""
    assert (row["ms_network"], row["ms_total"], row["images"]) == ("9.0", "12.5", "300")


def test_a_second_report_takes_the_place_of_the_first(tmp_path):
    first = report(tmp_path / "report")
    (first.parent / "pictures" / "old.jpg").write_bytes(b"")
    report(tmp_path / "report", pictures=[])

    assert sorted(path.name for path in tmp_path.rglob("*")) == ["pictures", "report", "report.md", "strategies.csv"]


def test_a_report_that_fails_leaves_the_old_one(tmp_path):
    page = report(tmp_path / "report")
    before = page.read_bytes()
    broken = Picture(name="no such folder/1", caption="", image=np.zeros((4, 4, 3), np.uint8))
    with pytest.raises(FileNotFoundError, match="no such folder"):
        report(tmp_path / "report", pictures=[broken])

    assert page.read_bytes() == before
    assert [path.name for path in tmp_path.iterdir()] == ["report"]


def test_the_same_values_make_the_same_bytes(tmp_path):
    files = [
        {path.name: path.read_bytes() for path in report(tmp_path / name).parent.rglob("*") if path.is_file()}
        for name in ("a", "b")
    ]

    assert files[0] == files[1]
