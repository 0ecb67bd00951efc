"""Pages in a real browser, without a network; whatever the browser complains of or asks for fails the test."""

import shutil
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest

playwright = pytest.importorskip("playwright.sync_api", reason="playwright is not installed: make setup")

BROWSER = next(filter(None, map(shutil.which, ("chromium", "chromium-browser", "google-chrome"))), None)
NEEDS_BROWSER = pytest.mark.skipif(BROWSER is None, reason="neither Chromium nor Chrome is installed")

LAPTOP, PHONE = {"width": 1280, "height": 800}, {"width": 390, "height": 844}


@contextmanager
def started_browser() -> Iterator[Any]:
    with playwright.sync_playwright() as driver:
        chromium = driver.chromium.launch(executable_path=BROWSER, args=["--no-sandbox"])
        yield chromium
        chromium.close()


@contextmanager
def page_opener(browser: Any) -> Iterator[Callable[..., Any]]:
    """A function that opens a file, on a laptop in light colours unless options say otherwise."""
    complaints: list[str] = []
    contexts = []

    def open_page(file: Path, **options: Any) -> Any:
        context = browser.new_context(offline=True, **{"viewport": LAPTOP, "color_scheme": "light"} | options)
        contexts.append(context)
        page = context.new_page()
        page.on("console", lambda message: complaints.append(message.text))
        page.on("pageerror", lambda error: complaints.append(str(error)))
        page.on("request", lambda one: one.url.startswith(("file:", "data:")) or complaints.append(one.url))
        page.goto(file.as_uri())
        return page

    yield open_page
    for context in contexts:
        context.close()
    assert complaints == []


def barriers(page: Any) -> list[tuple[str, list[str]]]:
    """What axe finds on the page: the names of broken rules, with the elements that break them."""
    axe = pytest.importorskip("axe_playwright_python.sync_playwright", reason="axe is not installed: make setup")
    page.evaluate("document.querySelectorAll('details').forEach(one => { one.open = true; })")
    found = axe.Axe().run(page).response["violations"]
    return [(one["id"], [node["html"] for node in one["nodes"]]) for one in found]
