"""The page of suspected labels in a real browser, on a laptop and on a phone."""

import json
from datetime import datetime
from functools import partial

import numpy as np
import pytest
from browser import LAPTOP, NEEDS_BROWSER, PHONE, barriers, page_opener, started_browser
from test_issue_images import make_issue

from deepmark.audit.issue_images import IllustratedIssue, Panel
from deepmark.audit.page import write_page
from deepmark.labels.page_decisions import decisions_of

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


def test_keys_decide_and_the_file_that_the_page_makes_is_taken(opened, tmp_path):
    page = opened()
    assert page.locator("#save").is_disabled()
    page.locator("#by").fill("Ada")
    page.locator("#by").blur()
    for key in ("j", "w", "u", "k", "f"):  # the first is wrong, the second unsure; then back to the first: fine
        page.keyboard.press(key)
    assert page.locator("#count").inner_text() == "2 of 2 decided"
    with page.expect_download() as waited:
        page.locator("#save").click()
    file = tmp_path / "decisions.json"
    waited.value.save_as(file)

    made = list(decisions_of(json.loads(file.read_bytes()), file))
    assert [(each.decision, each.by, each.split, each.image_id) for each in made] == [
        ("fine", "Ada", "validation", 1),
        ("unsure", "Ada", "validation", 1),
    ]
    assert made[0].reason.startswith("elsewhere: ")
    assert datetime.fromisoformat(made[0].at).tzinfo is not None
