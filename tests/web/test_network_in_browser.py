"""The exported folder in a real browser, with nothing but its static server: the same garments as Python."""

import base64
from collections.abc import Iterator
from io import BytesIO
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from browser import NEEDS_BROWSER, started_browser
from encoded_images import smooth
from PIL import Image
from static_server import static_server
from vocabularies import SMALL

from deepmark.errors import DeepmarkError
from deepmark.export.onnx_file import export_onnx
from deepmark.infer.predict import PROFILE_PREDICT_PARAMS
from deepmark.model.detector import build_detector
from deepmark.params import ModelParams
from deepmark.runtime.onnx_detector import OnnxDetector
from deepmark.vocabulary import DEEPFASHION2
from deepmark.web.onnxruntime_web import runtime_files

pytestmark = [pytest.mark.slow, pytest.mark.system, NEEDS_BROWSER]

LEAST = 0.05
THREADS = {"Cross-Origin-Opener-Policy": "same-origin", "Cross-Origin-Embedder-Policy": "require-corp"}

DETECT = """async (texts) => {
  const { createEngine } = await import("./browser_engine.js");
  const config = await (await fetch("config.json")).json();
  const engine = await createEngine(config, null, () => {});
  const found = [];
  const started = performance.now();
  for (const text of texts) {
    const bytes = Uint8Array.from(atob(text), (letter) => letter.charCodeAt(0));
    found.push(await engine.detect(new Blob([bytes], { type: "image/png" }), "image.png"));
  }
  return [found, (performance.now() - started) / texts.length, engine.name];
}"""


@pytest.fixture(scope="module", params=[DEEPFASHION2, SMALL], ids=lambda vocabulary: vocabulary.name)
def model(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The light network, untrained: it finds garments everywhere, hats without landmarks among them."""
    file = tmp_path_factory.mktemp("model") / "model.onnx"
    network = build_detector(ModelParams(backbone="mobile", input_size=(128, 96)), request.param, seed=1)
    export_onnx(
        network, file, PROFILE_PREDICT_PARAMS.model_copy(update={"max_detections": 20, "rescore": True}), peaks=32
    )
    return file


@pytest.fixture
def folder(model, deepmark, tmp_path) -> Path:
    try:
        runtime_files()
    except DeepmarkError as error:
        pytest.skip(str(error))
    done = deepmark("export", "--web", tmp_path / "site", "--model", model, "--json")
    assert done.code == 0, done.err
    assert done.facts["folder"] == str(tmp_path / "site")
    return tmp_path / "site"


@pytest.fixture(scope="module")
def browser() -> Iterator[Any]:
    with started_browser() as chromium:
        yield chromium


def images() -> list[bytes]:
    """Sizes that are shrunk by averages, shrunk, and enlarged; PNG, for both to have the same pixels."""
    files = []
    for size in ((600, 400), (200, 160), (90, 70), (128, 96)):
        buffer = BytesIO()
        Image.fromarray(smooth(size)).save(buffer, "png")
        files.append(buffer.getvalue())
    return files


@pytest.mark.parametrize("headers", [{}, THREADS], ids=["one thread", "threads"])
def test_a_browser_finds_the_garments_that_python_finds_and_asks_nobody_else(browser, folder, model, headers, capsys):
    texts = [base64.b64encode(image).decode() for image in images()]
    asked: list[tuple[str, str]] = []
    with static_server(folder, headers) as url:
        context = browser.new_context(bypass_csp=True)
        context.route(lambda one: not one.startswith((url, "blob:", "data:")), lambda route: route.abort())
        page = context.new_page()
        page.on("request", lambda one: asked.append((one.method, one.url)))
        page.goto(url)
        page.locator("#engine", has_text="in this browser (WebAssembly").wait_for()
        found, milliseconds, name = page.evaluate(DETECT, texts)
        context.close()

    with capsys.disabled():
        print(f"\n{name}: {1000 / milliseconds:.1f} images a second at 128 x 96")
    assert {method for method, _ in asked} == {"GET"}
    assert all(address.startswith((url, "blob:", "data:")) for _, address in asked)
    detector = OnnxDetector(model, min_score=LEAST)
    for image, theirs in zip(images(), found, strict=True):
        mine = detector(image).as_dicts()
        assert len(mine) == len(theirs) > 3
        for garment in mine:
            assert any(same(garment, other) for other in theirs), garment


def same(garment: dict[str, Any], other: dict[str, Any]) -> bool:
    """Within a pixel of the box, and a hundredth of both scores."""
    far = np.abs(np.subtract(garment["box"], other["box"])).max()
    return (
        garment["category"] == other["category"]
        and abs(garment["score"] - other["score"]) <= 1e-2
        and abs(garment["pose_score"] - other["pose_score"]) <= 1e-2
        and far <= 1
        and garment["landmarks"].keys() == other["landmarks"].keys()
    )


def test_a_folder_without_its_model_says_so(browser, folder):
    (folder / "model.onnx").unlink()
    with static_server(folder) as url:
        context = browser.new_context()
        page = context.new_page()
        page.goto(url)
        page.get_by_role("alert").filter(
            has_text="The page cannot start: /model.onnx is missing on the server (status 404)"
        ).wait_for()
        context.close()
