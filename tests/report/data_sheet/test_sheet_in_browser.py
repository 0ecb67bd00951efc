"""The data sheet in a real browser: no errors, nothing wider than the screen, axe finds no barrier, tables sort."""

from collections.abc import Iterator
from functools import partial
from pathlib import Path

import numpy as np
import pytest
from browser import LAPTOP, NEEDS_BROWSER, PHONE, barriers, page_opener, started_browser
from vocabularies import MANY, SMALL
from vocabulary_samples import random_case

from deepmark.report.data_sheet.changes import changes_between
from deepmark.report.data_sheet.counts import count_split
from deepmark.report.data_sheet.page import DataSheet, render_sheet
from deepmark.report.data_sheet.samples import SampleImage
from deepmark.vocabulary import Vocabulary

pytestmark = [pytest.mark.system, NEEDS_BROWSER]


def sheet_of(vocabulary: Vocabulary) -> DataSheet:
    images = [sorted(random_case(vocabulary, seed, images=60)[0], key=lambda image: image.id) for seed in (1, 2)]
    grey = SampleImage(file="train/image/000001.jpg", item="item1", image=np.full((180, 150, 3), 90, np.uint8))
    return DataSheet(
        counts={"train": count_split(images[0], vocabulary), "validation": count_split(images[1], vocabulary)},
        samples=[[grey] * 12 for _ in vocabulary.categories],
        suspected={"duplicate across splits": 2, "duplicate in a split": 0},
        changes={"train": changes_between(images[0][5:], images[0][:-5], vocabulary)},
        since="Since the version before: train of 2026-11-30 (commit 0123456).",
        data_version="0" * 32,
    )


@pytest.fixture(scope="module")
def browser() -> Iterator:
    with started_browser() as chromium:
        yield chromium


@pytest.fixture(scope="module", params=[SMALL, MANY], ids=lambda one: one.name)
def file(tmp_path_factory, request) -> Path:
    path = tmp_path_factory.mktemp("sheet") / "data.html"
    path.write_text(render_sheet(sheet_of(request.param)), "utf-8")
    return path


@pytest.fixture
def opened(browser, file):
    with page_opener(browser) as open_page:
        yield partial(open_page, file)


@pytest.mark.parametrize("viewport", [LAPTOP, PHONE], ids=["laptop", "phone"])
def test_nothing_is_wider_than_the_screen(opened, viewport):
    page = opened(viewport=viewport)
    page.evaluate("document.querySelectorAll('details').forEach(one => { one.open = true; })")

    assert page.evaluate("document.documentElement.scrollWidth") <= viewport["width"]


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_axe_finds_no_barrier_in_the_data_sheet(opened, scheme):
    assert barriers(opened(color_scheme=scheme)) == []


def test_a_click_on_a_heading_sorts_the_categories(opened):
    page = opened()
    table = page.locator("table", has=page.locator("caption", has_text="Items by category")).first
    table.locator("thead th").nth(1).get_by_role("button").click()
    counts = [int(text) for text in table.locator("tbody td:nth-child(2)").all_inner_texts()]

    assert counts == sorted(counts, reverse=True)
