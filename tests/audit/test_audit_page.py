"""The page of suspected labels in a real browser, on a laptop and on a phone."""

from functools import partial

import numpy as np
import pytest
from browser import LAPTOP, NEEDS_BROWSER, PHONE, barriers, page_opener, started_browser
from test_issue_images import make_issue

from deepmark.audit.issue_images import IllustratedIssue, Panel
from deepmark.audit.page import write_page

pytestmark = [pytest.mark.system, NEEDS_BROWSER]


@pytest.fixture(scope="module")
def file(tmp_path_factory):
    file = tmp_path_factory.mktemp("audit") / "index.html"
    grey = np.full((600, 400, 3), 128, np.uint8)
    panels = Panel(caption="labelled", image=grey), Panel(caption="found by the model", image=grey)
    issues = [make_issue(kind=kind) for kind in ("elsewhere", "wrong category")]
    shown = [IllustratedIssue(issue=issue, file="validation/image/000001.jpg", panels=panels) for issue in issues]
    write_page(file, issues, shown, looked_at="2 images", faulty_share=0.01)
    return file


@pytest.fixture(scope="module")
def browser():
    with started_browser() as chromium:
        yield chromium


@pytest.fixture
def opened(browser, file):
    with page_opener(browser) as open_page:
        yield partial(open_page, file)


@pytest.mark.parametrize("viewport", [LAPTOP, PHONE], ids=["laptop", "phone"])
def test_the_first_screen_shows_an_image(opened, viewport):
    image = opened(viewport=viewport).locator(".open img").first

    assert image.bounding_box()["y"] < 0.7 * viewport["height"]


@pytest.mark.parametrize("viewport", [LAPTOP, PHONE], ids=["laptop", "phone"])
def test_nothing_is_wider_than_the_screen(opened, viewport):
    page = opened(viewport=viewport)

    assert page.evaluate("document.documentElement.scrollWidth") <= viewport["width"]


def test_on_a_phone_the_kinds_are_cards_and_an_image_opens_as_wide_as_the_screen(opened):
    page = opened(viewport=PHONE)
    page.locator("summary").click()

    assert page.locator("thead").is_hidden()
    assert page.locator("tbody td.prose").first.bounding_box()["width"] > 0.7 * PHONE["width"]
    page.locator(".open").first.click()
    assert page.locator(".large img").first.bounding_box()["width"] > 0.9 * PHONE["width"]
    page.get_by_role("button", name="Image after").click()
    assert page.get_by_role("dialog").is_visible()


def test_a_kind_that_is_unticked_is_hidden_and_left_out_of_the_large_images(opened):
    page = opened()
    page.locator("summary").click()
    page.get_by_label("elsewhere").uncheck()

    assert page.locator(".entry:visible").count() == 1


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_axe_finds_no_barrier(opened, scheme):
    assert barriers(opened(color_scheme=scheme)) == []
