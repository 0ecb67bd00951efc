"""The exported page in headless Chromium: time to its first result, and images a second with one thread and with more.

    python benchmarks/in_browser.py [MODEL.onnx] [--size 224 160] [--precision float32] [--seconds 10]

Without a model it is the light network with start values, whose heatmaps are lowered until they hold about as many
peaks as after training. The page comes from a server on this machine; "ready" is from opening it to a model that has
run once, "first result" to the garments of a first JPEG of 432 x 598, and the milliseconds are from the JPEG's bytes to
garments. The headers that isolate a page let WebAssembly have threads.
"""

import argparse
import base64
import statistics
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

from edge import make_files

from deepmark.compute.local import Local
from deepmark.runtime.contract import FILES
from deepmark.runtime.onnx_detector import OnnxDetector
from deepmark.synthetic import draw_dataset
from deepmark.web.folder import write_web_folder

sys.path.insert(0, str(Path(__file__).parents[1] / "tests" / "helpers"))
from browser import started_browser
from static_server import static_server

ISOLATED = {"Cross-Origin-Opener-Policy": "same-origin", "Cross-Origin-Embedder-Policy": "require-corp"}

START = """async () => {
  const { createEngine } = await import("./browser_engine.js");
  const config = await (await fetch("config.json")).json();
  window.engine = await createEngine(config, null, () => {});
  return window.engine.name;
}"""

DETECT = """async ([texts, seconds]) => {
  const photos = texts.map((text) => {
    const bytes = Uint8Array.from(atob(text), (letter) => letter.charCodeAt(0));
    return new Blob([bytes], { type: "image/jpeg" });
  });
  const times = [];
  const began = performance.now();
  while (performance.now() - began < 1000 * seconds || times.length < 1) {
    const started = performance.now();
    await window.engine.detect(photos[times.length % photos.length], "image.jpg");
    times.push(performance.now() - started);
  }
  return times;
}"""


def photos(folder: Path) -> list[bytes]:
    draw_dataset(folder, train=8, validation=0, seed=7, engine=Local(1))
    return [file.read_bytes() for file in sorted((folder / "train/image").glob("*.jpg"))]


def measured(url: str, browser: Any, files: list[bytes], seconds: float) -> tuple[str, float, float, list[float]]:
    """What computes, seconds to the model and to the first result, and milliseconds of each image after that."""
    context = browser.new_context()
    page = context.new_page()
    started = time.perf_counter()
    page.goto(url)
    page.locator("#file").set_input_files({"name": "first.jpg", "mimeType": "image/jpeg", "buffer": files[0]})
    page.locator("#engine", has_text="in this browser").wait_for()
    ready = time.perf_counter() - started
    page.locator("#status", has_text="Found in").wait_for()
    first = time.perf_counter() - started
    name = page.evaluate(START)
    texts = [base64.b64encode(one).decode() for one in files]
    page.evaluate(DETECT, [texts, seconds / 5])
    times = page.evaluate(DETECT, [texts, seconds])
    context.close()
    return name.split("(")[-1].rstrip(")"), ready, first, times


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("model", type=Path, nargs="?", help="an exported model")
    parser.add_argument("--size", type=int, nargs=2, default=(224, 160), metavar=("HEIGHT", "WIDTH"))
    parser.add_argument("--precision", default="float32", choices=list(FILES))
    parser.add_argument("--seconds", type=float, default=10.0)
    parser.add_argument("--rounds", type=int, default=3, help="visits of the page, of which the median counts")
    given = parser.parse_args()
    with tempfile.TemporaryDirectory(prefix="deepmark-browser-") as name, started_browser() as browser:
        folder, model = Path(name), given.model
        if model is None:
            make_files(folder, checkpoint=None, backbone="mobile", size=tuple(given.size), deformable=False)
            model = folder / FILES[given.precision]
        files = photos(folder / "photos")
        write_web_folder(folder / "site", model, OnnxDetector(model).contract)
        print("| | ready, s | first result, s | ms an image, median | best | images a second |")
        print("|---|---:|---:|---:|---:|---:|")
        for headers in ({}, ISOLATED):
            with static_server(folder / "site", headers) as url:
                visits = [measured(url, browser, files, given.seconds) for _ in range(given.rounds)]
            ready, first = (statistics.median(visit[n] for visit in visits) for n in (1, 2))
            times = [one for visit in visits for one in visit[3]]
            ms, best = statistics.median(times), min(times)
            print(f"| {visits[0][0]} | {ready:.1f} | {first:.1f} | {ms:.0f} | {best:.0f} | {1000 / ms:.1f} |")


if __name__ == "__main__":
    main()
