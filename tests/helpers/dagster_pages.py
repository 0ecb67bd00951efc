"""Dagster's pages in a real browser, and pictures of them: the graph, an asset's plots, a failed check, a run's log.

Shared by the tests and by benchmarks/ui_pictures.py.
"""

import io
import re
import shutil
import time
from collections.abc import Collection, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from PIL import Image
from playwright.sync_api import Locator, Page, sync_playwright

BROWSER = next(filter(None, map(shutil.which, ("chromium", "chromium-browser", "google-chrome"))), None)

WIDE, TALL = {"width": 1500, "height": 900}, {"width": 1200, "height": 1000}

_MENU_OF_SYMBOLS = """
localStorage.setItem("dagster-nav-collapsed", "true")
localStorage.setItem("large-screen-nav-open", "false")
"""
"""Its words take a sixth of the width."""

_LINES = """canvases => Object.fromEntries(canvases.map(canvas => {
    let part = canvas[Object.keys(canvas).find(key => key.startsWith('__reactFiber'))]
    while (!part.memoizedProps?.data?.datasets) part = part.return
    const [line] = part.memoizedProps.data.datasets
    return [line.label, line.data.map(point => point.y)]
}))"""
"""A plot is drawn on a canvas, which does not tell what it shows; the component above it does."""


@dataclass(frozen=True)
class Place:
    """Where something lies on the page, in pixels from its upper left corner."""

    left: float
    right: float
    top: float
    bottom: float

    def contains(self, other: "Place") -> bool:
        return (
            self.left <= other.left < other.right <= self.right and self.top <= other.top < other.bottom <= self.bottom
        )


@contextmanager
def open_browser(url: str) -> Iterator[Page]:
    """An empty page of a browser that is closed afterwards; addresses are below `url`."""
    with sync_playwright() as driver:
        chromium = driver.chromium.launch(executable_path=BROWSER, args=["--no-sandbox", "--hide-scrollbars"])
        context = chromium.new_context(base_url=url, timezone_id="UTC", locale="en-US", color_scheme="light")
        context.add_init_script(_MENU_OF_SYMBOLS)
        yield context.new_page()
        chromium.close()


def open_graph(page: Page, names: Collection[str], made: Collection[str]) -> dict[str, Place]:
    """The graph with every group opened: where each of `names`, assets and groups, lies.

    Waits for all of them, and for the colour of what was `made`.
    """
    page.set_viewport_size(WIDE)
    page.goto("/asset-groups")
    page.locator("foreignObject.group").first.wait_for()
    page.get_by_label("panel_show_right").click()  # the list of groups beside it
    page.keyboard.press("Alt+KeyE")
    nodes = {name: page.locator("foreignObject", has_text=_shown(name)) for name in {*names, *made}}
    for name in made:
        nodes[name].locator("[style*=minimal-border]:not([style*=border-default])").wait_for()
    _await_stillness(page)
    return {name: place(nodes[name]) for name in names}


def _shown(name: str) -> re.Pattern[str]:
    """A name as the graph shows it: whole, or where it is long with an ellipsis for its middle."""
    cuts = range(1, len(name))
    shortened = [f"{name[:first]}…{name[last:]}" for first in cuts for last in cuts if first < last]
    return re.compile(f"^({'|'.join([name, *shortened])})$")


def open_plots(page: Page, asset: str) -> dict[str, list[float]]:
    """The plots of an asset's numbers by materialization: the values of each line."""
    page.set_viewport_size(TALL)
    page.goto(f"/assets/{asset}")
    page.get_by_role("button", name="Plots").click()
    page.locator("canvas").first.wait_for()
    _await_stillness(page)
    return page.locator("canvas").evaluate_all(_LINES)


def open_check(page: Page, asset: str, check: str) -> str:
    """The page of a check with what it said last: its text, as a person reads it."""
    page.set_viewport_size(TALL)
    page.goto(f"/assets/{asset}?view=checks&checkDetail={check}")
    page.get_by_text("Target materialization").wait_for()
    _await_stillness(page)
    return page.locator("body").inner_text()


def open_log(page: Page, run: str, *, epochs: int, seconds: float = 60.0) -> list[str]:
    """A run's log, once so many epochs stand in it: their lines. Other lines are filtered out."""
    page.set_viewport_size(WIDE)
    page.goto(f"/runs/{run}?logs=epoch")
    lines = page.get_by_text(re.compile(r"^epoch \d+: "))
    lines.nth(epochs - 1).wait_for(timeout=1000 * seconds)
    return lines.all_inner_texts()


def place(part: Locator) -> Place:
    box = part.bounding_box()
    assert box is not None
    return Place(box["x"], box["x"] + box["width"], box["y"], box["y"] + box["height"])


def save(page: Page, file: Path) -> None:
    """What is seen now, as a PNG of 256 colours: a third of the bytes, and no colour moves by more than 6 of 255."""
    shot = Image.open(io.BytesIO(_picture(page))).convert("RGB")
    file.parent.mkdir(parents=True, exist_ok=True)
    shot.quantize(256, Image.Quantize.MAXCOVERAGE, dither=Image.Dither.NONE).save(file, optimize=True)


def _picture(page: Page) -> bytes:
    return page.screenshot(animations="disabled")


def _await_stillness(page: Page, seconds: float = 30.0) -> None:
    """Nothing is loaded any more, and two pictures in a row are the same: what moves into its place has arrived."""
    page.wait_for_load_state("networkidle")
    deadline, before = time.monotonic() + seconds, b""
    while (now := _picture(page)) != before:
        assert time.monotonic() < deadline, f"{page.url} does not come to rest"
        before = now
