"""The page in a real browser: no errors, tables sort, images open by mouse and keyboard, axe finds no barrier."""

from collections.abc import Iterator
from dataclasses import replace
from functools import partial
from pathlib import Path

import pytest
from browser import LAPTOP, NEEDS_BROWSER, PHONE, barriers, page_opener, started_browser
from measurements import content, landmarks, measured, picture

from deepmark.report.page import write_report
from deepmark.schema import STRATEGIES
from deepmark.vocabulary import DEEPFASHION2

pytestmark = [pytest.mark.system, NEEDS_BROWSER]


@pytest.fixture(scope="module")
def browser() -> Iterator:
    with started_browser() as chromium:
        yield chromium


@pytest.fixture(scope="module")
def file(tmp_path_factory) -> Path:
    few = landmarks().head(30)  # axe looks at every cell
    shown = content(measured={name: replace(measured(i / 8), landmarks=few) for i, name in enumerate(STRATEGIES)})
    return write_report(tmp_path_factory.mktemp("page") / "report", shown)


@pytest.fixture
def opened(browser, file):
    with page_opener(browser) as open_page:
        yield partial(open_page, file)


def table(page, title: str):
    return page.locator("table", has=page.locator("caption", has_text=title))


def column(page, title: str, place: int) -> list[str]:
    cells = table(page, title).locator(f"tbody tr > :nth-child({place})")
    return [text.split("\n")[0] for text in cells.all_inner_texts()]


def test_a_click_on_a_heading_sorts_by_number_and_a_second_one_the_other_way(opened):
    page = opened()
    title = "Inference strategies"
    head = table(page, title).locator("thead th").nth(1)
    before = column(page, title, 2)
    head.get_by_role("button").click()
    falling = [float(value) for value in column(page, title, 2)]

    assert head.get_attribute("aria-sort") == "descending"
    assert falling == sorted(map(float, before), reverse=True) != list(map(float, before))
    head.get_by_role("button").click()
    assert head.get_attribute("aria-sort") == "ascending"
    assert [float(value) for value in column(page, title, 2)] == sorted(falling)


def test_what_is_unknown_comes_last_either_way(opened):
    page = opened()
    title = "What is taken for what"
    page.evaluate("document.querySelectorAll('details').forEach(one => { one.open = true; })")
    heads = table(page, title).locator("thead th")
    vest = 1 + [category.name for category in DEEPFASHION2.categories].index("vest")
    for _ in range(2):
        heads.nth(vest).get_by_role("button").press("Enter")
        values = column(page, title, vest + 1)
        assert "–" in values
        assert "–" not in values[: values.index("–")]
        assert set(values[values.index("–") :]) == {"–"}


def test_every_image_loads_and_the_filter_shows_those_that_fit(opened):
    page = opened()
    page.evaluate("Promise.all([...document.querySelectorAll('.gallery img')].map(image => image.decode()))")
    widths = page.eval_on_selector_all(".gallery img", "images => images.map(image => image.naturalWidth)")
    assert widths == [100] * 6

    shown = page.locator(".gallery li:visible")
    page.get_by_label("Category or subset").select_option("vest")
    assert shown.count() == 2
    page.get_by_label("Best, typical or worst").select_option("best")
    assert shown.count() == 1
    assert page.locator("output").inner_text() == "1 image"


def test_an_image_opens_large_by_keyboard_and_the_focus_comes_back(opened):
    page = opened()
    dialog = page.get_by_role("dialog")
    page.locator(".open").first.focus()
    page.keyboard.press("Enter")
    assert dialog.is_visible()
    assert "000001" in dialog.inner_text()
    page.keyboard.press("ArrowRight")
    assert "000002" in dialog.inner_text()
    page.keyboard.press("ArrowLeft")
    page.keyboard.press("ArrowLeft")
    assert "000003" in dialog.inner_text()
    page.keyboard.press("Escape")
    assert dialog.is_hidden()
    page.wait_for_function("document.activeElement.querySelector('img')?.alt.startsWith('Image 000003.')", timeout=5000)


def test_a_click_opens_an_image_and_the_button_closes_it(opened):
    page = opened()
    page.locator(".open").nth(1).click()
    page.get_by_role("button", name="Image after").click()
    assert "000003" in page.get_by_role("dialog").inner_text()
    page.get_by_role("button", name="Close").click()
    assert page.get_by_role("dialog").is_hidden()


@pytest.mark.parametrize("viewport", [LAPTOP, PHONE], ids=["laptop", "phone"])
def test_nothing_is_wider_than_the_screen(opened, viewport):
    page = opened(viewport=viewport)
    page.evaluate("document.querySelectorAll('details').forEach(one => { one.open = true; })")

    assert page.evaluate("document.documentElement.scrollWidth") <= viewport["width"]


@pytest.mark.parametrize("viewport", [LAPTOP, PHONE], ids=["laptop", "phone"])
def test_the_first_screen_shows_the_strategy_that_serves_and_an_image(opened, viewport):
    page = opened(viewport=viewport)

    for first in (page.locator(".tile dd").first, page.locator(".gallery img").first):
        box = first.bounding_box()
        assert box["y"] < 0.75 * viewport["height"]
    assert "NMS, the strategy that serves" in page.locator("h2").first.inner_text()


def test_on_a_phone_every_row_is_a_card_with_the_names_of_its_figures(opened):
    page = opened(viewport=PHONE)
    row = page.locator("table").first.locator("tbody tr").nth(1)

    assert page.locator("table thead").first.is_hidden()
    assert row.locator("th").bounding_box()["width"] > 0.7 * PHONE["width"]
    labels = row.locator("td").evaluate_all("cells => cells.map(cell => getComputedStyle(cell, '::before').content)")
    assert labels[:2] == ['"box AP"', '"box AP50"']
    smallest = page.evaluate(
        "Math.min(...[...document.querySelectorAll('td, td small, figcaption, .side, dt, p')]"
        ".filter(one => one.offsetParent).map(one => parseFloat(getComputedStyle(one).fontSize)))"
    )
    assert smallest >= 11


def test_on_a_phone_an_image_opens_as_wide_as_the_screen(opened):
    page = opened(viewport=PHONE)
    page.locator(".open").first.click()
    widths = [
        one["width"]
        for one in page.locator(".large img").evaluate_all(
            "all => all.map(one => one.getBoundingClientRect().toJSON())"
        )
    ]

    assert len(widths) == 2
    assert min(widths) > 0.9 * PHONE["width"]


def test_more_images_than_a_few_are_shown_on_demand_or_by_choice(browser, tmp_path):
    many = content(images=[picture(number, ("worst", "vest" if number == 9 else "sling")) for number in range(1, 10)])
    with page_opener(browser) as open_page:
        page = open_page(write_report(tmp_path / "report", many))
        shown = page.locator(".gallery li:visible")

        assert shown.count() == 6
        page.get_by_label("Category or subset").select_option("vest")
        assert shown.count() == 1
        page.get_by_label("Category or subset").select_option("")
        page.get_by_role("button", name="Show all 9").click()
        assert shown.count() == 9


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_axe_finds_no_barrier(opened, scheme):
    assert barriers(opened(color_scheme=scheme)) == []


def test_it_prints_on_paper(opened):
    paper = {"width": 688, "height": 980}  # A4 without its margins
    page = opened(viewport=paper)
    sheet = page.pdf(format="A4")

    assert sheet.startswith(b"%PDF")
    page.emulate_media(media="print")
    assert page.locator("nav").is_hidden()
    assert page.locator(".gallery img").first.is_visible()
    assert page.evaluate("document.documentElement.scrollWidth") <= paper["width"]


def test_without_scripts_all_is_there_to_read(opened):
    page = opened(java_script_enabled=False)

    assert page.locator(".gallery li:visible").count() == 3
    assert page.locator("h2").count() == 11
