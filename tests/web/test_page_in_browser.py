"""The page in a real browser, with a server's answers that the test chooses: what people see, hear and take away."""

import json
import shutil
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from bad_images import blank
from browser import LAPTOP, NEEDS_BROWSER, PHONE, barriers, started_browser
from static_server import static_server

from deepmark import geometry
from deepmark.data.jpeg import warp
from deepmark.vocabulary import DEEPFASHION2
from deepmark.web.page import HEADERS, STATIC, page_config

pytestmark = [pytest.mark.slow, pytest.mark.system, NEEDS_BROWSER]


def garment(category: int, score: float, box: list[float]) -> dict[str, Any]:
    kind = DEEPFASHION2.categories[category]
    x0, y0, x1, y1 = box
    points = [[x0 + x * (x1 - x0), y0 + y * (y1 - y0), score] for x, y in kind.shape.points]
    return {"category": kind.name, "score": score, "box": box, "landmarks": dict(zip(kind.parts, points, strict=True))}


FOUND = [garment(8, 0.9, [40, 120, 160, 290]), garment(0, 0.6, [30, 10, 170, 130]), garment(4, 0.1, [0, 0, 50, 50])]


@pytest.fixture(scope="module")
def browser() -> Iterator[Any]:
    with started_browser() as chromium:
        yield chromium


@pytest.fixture(scope="module")
def site(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    folder = tmp_path_factory.mktemp("site") / "page"
    shutil.copytree(STATIC, folder)
    config = page_config("server", DEEPFASHION2, model="a model", least_score=0.05)
    (folder / "config.json").write_text(json.dumps(config), "utf-8")
    with static_server(folder, HEADERS) as url:
        yield url


@pytest.fixture
def opened(browser: Any, site: str) -> Iterator[Callable[..., Any]]:
    """A function that opens the page; `answers` are the statuses and bodies of /v1/detect, the last one repeated."""
    contexts, complaints = [], []

    def open_page(*answers: tuple[int, Any], **options: Any) -> Any:
        context = browser.new_context(**{"viewport": LAPTOP, "color_scheme": "light"} | options)
        contexts.append(context)
        page = context.new_page()
        page.on("pageerror", lambda error: complaints.append(str(error)))
        page.on("request", lambda one: one.url.startswith((site, "blob:", "data:")) or complaints.append(one.url))
        rest = list(answers or [(200, {"images": [{"garments": FOUND}]})])

        def answer(route: Any) -> None:
            status, body = rest.pop(0) if len(rest) > 1 else rest[0]
            page.asked = route.request
            route.fulfill(status=status, json=body)

        page.route("**/v1/detect*", answer)
        page.goto(site)
        page.locator("#engine", has_text="on this server").wait_for()
        return page

    yield open_page
    for context in contexts:
        context.close()
    assert complaints == []


def give(page: Any, content: bytes, name: str = "street.jpg", kind: str = "image/jpeg") -> None:
    page.locator("#file").set_input_files({"name": name, "mimeType": kind, "buffer": content})


def found(page: Any) -> list[str]:
    page.locator("#status", has_text="Found in").wait_for()
    return page.locator("#list summary > span:nth-child(2)").all_inner_texts()


@pytest.mark.parametrize("scheme", ["light", "dark"])
@pytest.mark.parametrize("viewport", [LAPTOP, PHONE], ids=["laptop", "phone"])
def test_axe_finds_no_barrier_and_nothing_is_wider_than_the_screen(opened, viewport, scheme):
    page = opened(viewport=viewport, color_scheme=scheme)
    assert barriers(page) == []

    give(page, blank(200, 300))

    assert found(page) == ["skirt", "short sleeve top"]
    assert barriers(page) == []
    assert page.evaluate("document.documentElement.scrollWidth") <= viewport["width"]


def test_the_photo_goes_to_the_server_and_its_garments_are_shown_hidden_named_and_taken_away(opened):
    page = opened(permissions=["clipboard-read", "clipboard-write"])
    give(page, blank(200, 300))
    assert found(page) == ["skirt", "short sleeve top"]
    assert page.asked.url.endswith("min_score=0.05")
    assert page.locator("#canvas").get_attribute("aria-label") == "street.jpg: skirt 0.90, short sleeve top 0.60"

    drawn = page.locator("#canvas").screenshot()
    page.get_by_label("Landmarks", exact=True).uncheck()
    assert page.locator("#canvas").screenshot() != drawn
    page.get_by_label("Landmarks", exact=True).check()

    x, y, _ = FOUND[0]["landmarks"]["left waistband"]
    frame = page.locator("#canvas").bounding_box()
    page.mouse.move(frame["x"] + x * frame["width"] / 200, frame["y"] + y * frame["height"] / 300)
    assert page.locator("#tip").inner_text() == "left waistband · 0.90"

    page.get_by_role("button", name="Copy as JSON").click()
    page.locator("#status", has_text="Copied.").wait_for()
    copied = json.loads(page.evaluate("navigator.clipboard.readText()"))
    assert copied == {"name": "street.jpg", "width": 200, "height": 300, "garments": FOUND[:2]}

    with page.expect_download() as download:
        page.get_by_role("button", name="Download the image").click()
    assert download.value.suggested_filename == "street-deepmark.jpg"
    assert Path(download.value.path()).read_bytes()[:3] == b"\xff\xd8\xff"

    page.get_by_label("Least score").fill("0.05")
    assert page.locator("#count").inner_text() == "3 garments"


def test_a_keyboard_reaches_the_landmarks_of_a_garment(opened):
    page = opened()
    give(page, blank(200, 300))
    found(page)

    page.get_by_label("Least score").focus()
    page.keyboard.press("Tab")
    page.keyboard.press("Enter")

    assert page.locator("#list li").first.get_attribute("class") == "lit"
    assert page.get_by_label("Landmarks of skirt").is_visible()


@pytest.mark.parametrize(
    ("content", "words"),
    [
        (b"words", "notes.txt is not an image that the browser can read. Try a JPEG, PNG or WebP."),
        (b"", "notes.txt is an empty file."),
    ],
)
def test_what_is_no_image_is_said(opened, content, words):
    page = opened()

    give(page, content, "notes.txt", "text/plain")

    page.get_by_role("alert").filter(has_text=words).wait_for()


def test_a_refusal_of_the_server_is_said_with_its_reason(opened):
    page = opened((413, {"error": {"message": "more than 20,000,000 bytes. Shrink the images."}}))

    give(page, blank(200, 300))

    page.get_by_role("alert").filter(has_text="The server refused it: more than 20,000,000 bytes").wait_for()


def test_a_token_is_asked_for_and_sent(opened):
    page = opened((401, {"error": {"message": "token"}}), (200, {"images": [{"garments": FOUND}]}))
    give(page, blank(200, 300))

    page.get_by_label("Token", exact=True).fill("a-token-that-is-long")
    page.get_by_role("button", name="Go on").click()

    assert found(page) == ["skirt", "short sleeve top"]
    assert page.asked.headers["authorization"] == "Bearer a-token-that-is-long"


def test_without_a_camera_this_is_said(opened):
    page = opened()

    page.get_by_role("button", name="Use the camera").click()

    page.get_by_role("alert").filter(has_text="camera").wait_for()


def test_the_page_lays_images_on_the_canvas_as_python_does(opened):
    """Sizes that average, shrink, keep and enlarge; the largest difference is one grey level."""
    page = opened()
    chance = np.random.default_rng(3)
    for height, width in ((300, 200), (90, 120), (128, 96), (64, 48), (50, 41), (129, 97), (257, 130), (200, 333)):
        image = chance.integers(0, 256, (height, width, 3), np.uint8)
        expected = warp(image, geometry.letterbox((height, width), (128, 96)), (128, 96))
        laid = page.evaluate(
            """async ([values, width, height]) => {
              const { letterbox } = await import("./letterbox.js");
              return [...letterbox({ data: Uint8Array.from(values), width, height }, 128, 96).data];
            }""",
            [image.ravel().tolist(), width, height],
        )
        difference = np.abs(np.array(laid).reshape(expected.shape) - expected.astype(int))
        assert difference.max() <= 1, (height, width)
