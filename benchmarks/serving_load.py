"""The served model under load, good and bad images among each other: is an answer lost or wrong, does memory grow?

    python benchmarks/serving_load.py [--requests 1000] [--at-once 32] [--seed 1]

A small network that finds garments everywhere is logged, promoted and served by `mlflow models serve`. Of the requests,
sent `--at-once` at a time, one in four is bad: no image, cut off, larger than the model takes, a bomb (a small file
that would unpack to gigabytes), no base64, null, another column, no JSON. A good one must get exactly what the same
model answers alone in a process; a bad one status 400 with its reason. Prints a table, and exits with 1 where an
answer was lost or wrong, or where the server's memory grew by more than 5% in the second half.
"""

import argparse
import base64
import json
import random
import sys
import tempfile
import time
import urllib.error
import urllib.request
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from statistics import median
from typing import Any

import psutil

from deepmark.model.detector import build_detector, save_detector
from deepmark.params import ModelParams
from deepmark.registry.versions import CHAMPION, MODEL, Registry
from deepmark.synthetic import draw_dataset
from deepmark.tracking.mlflow_store import as_current_store
from deepmark.tracking.tracker import Tracker
from deepmark.workspace.environment import child_environment
from deepmark.workspace.init import init_workspace

sys.path.insert(0, str(Path(__file__).parents[1] / "tests" / "helpers"))
from bad_images import bad_images, blank
from model_server import ModelServer, served

from deepmark.vocabulary import DEEPFASHION2

GOOD_IMAGES = 40
BAD_SHARE = 0.25
MEGAPIXELS = 2
GROWTH = 1.05
"""The largest ratio of the server's memory at the end to that after half of the requests."""


@dataclass(frozen=True)
class Question:
    """A request's body, and its answer: garments, or the words that a refusal must hold."""

    kind: str
    body: bytes
    expected: Any


def _body(image: Any, column: str = "image") -> bytes:
    text = base64.b64encode(image).decode() if isinstance(image, bytes) else image
    return json.dumps({"dataframe_split": {"columns": [column], "data": [[text]]}}).encode()


def bad_questions(image: bytes) -> list[Question]:
    """One of each kind, with words of the reason that is given for it."""
    reasons = {kind: (_body(content), words) for kind, (content, words) in bad_images(image).items()} | {
        "more pixels than the model takes": (_body(blank(2000, 1600)), "2000 x 1600 pixels"),
        "no base64": (_body("%%%%"), "not base64"),
        "null": (_body(None), "null"),
        "another column": (_body(image, "picture"), "image"),
        "no JSON": (b"{]", "JSON"),
    }
    return [Question(kind, body, words) for kind, (body, words) in reasons.items()]


def make_model(folder: Path) -> tuple[str, str]:
    """The store's address and the URI of an untrained network whose every detection is returned, as the champion."""
    workspace = init_workspace(folder, "demo")
    text = (folder / "params.yaml").read_text("utf-8").replace("max_megapixels: 50", f"max_megapixels: {MEGAPIXELS}")
    (folder / "params.yaml").write_text(text.replace("min_score: 0.3", "min_score: 0.0"), "utf-8")
    draw_dataset(workspace.raw, train=0, validation=GOOD_IMAGES, seed=5)
    detector = build_detector(ModelParams(backbone="mobile", input_size=(128, 96)), DEEPFASHION2, seed=1)
    save_detector(detector, folder / "model.safetensors")
    tracker = Tracker.start(folder, params={}, tags={})
    uri = tracker.log_model(folder / "model.safetensors", images(folder)[0])
    tracker.finish()
    registry = Registry(folder)
    registry.set_alias(CHAMPION, registry.create_version(uri, tracker.run_id, {}))
    return registry.uri, f"models:/{MODEL}@{CHAMPION}"


def images(folder: Path) -> list[bytes]:
    return [path.read_bytes() for path in sorted(folder.glob("data/raw/validation/image/*.jpg"))]


def good_questions(store: str, uri: str, found: list[bytes]) -> list[Question]:
    """Each image, and what the model answers to it alone, in this process."""
    import mlflow.pyfunc
    import pandas as pd

    with as_current_store(store):
        model = mlflow.pyfunc.load_model(uri)
    answers = [model.predict(pd.DataFrame({"image": [base64.b64encode(image).decode()]})) for image in found]
    return [
        Question("an image", _body(image), json.loads(json.dumps(answer)))
        for image, answer in zip(found, answers, strict=True)
    ]


def ask(url: str, question: Question) -> tuple[str, float]:
    """Whether the answer is "right", "wrong" or "lost", and the seconds that it took."""
    request = urllib.request.Request(f"{url}/invocations", question.body, {"Content-Type": "application/json"})
    started = time.monotonic()
    try:
        with urllib.request.urlopen(request, timeout=120) as answer:
            right = json.load(answer)["predictions"] == question.expected
    except urllib.error.HTTPError as refusal:
        message = json.load(refusal).get("message", "")
        right = isinstance(question.expected, str) and refusal.code == 400 and question.expected in message
    except OSError:
        return "lost", time.monotonic() - started
    return "right" if right else "wrong", time.monotonic() - started


def memory(server: ModelServer) -> int:
    """Bytes that the server's processes hold."""
    first = psutil.Process(server.pid)
    return sum(process.memory_info().rss for process in (first, *first.children(recursive=True)))


def send(server: ModelServer, questions: list[Question], at_once: int) -> list[tuple[str, str, float]]:
    """The kind of each question, how it was answered, and the seconds that it took."""
    answer: Callable[[Question], tuple[str, float]] = lambda question: ask(server.url, question)  # noqa: E731
    with ThreadPoolExecutor(at_once) as pool:
        return [(question.kind, *done) for question, done in zip(questions, pool.map(answer, questions), strict=True)]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--requests", type=int, default=1000)
    parser.add_argument("--at-once", type=int, default=32)
    parser.add_argument("--seed", type=int, default=1, help="of the order")
    arguments = parser.parse_args()
    chance = random.Random(arguments.seed)
    with tempfile.TemporaryDirectory(prefix="deepmark-serving-") as folder:
        store, uri = make_model(Path(folder) / "workspace")
        found = images(Path(folder) / "workspace")
        good, bad = good_questions(store, uri, found), bad_questions(found[0])
        questions = [chance.choice(bad if chance.random() < BAD_SHARE else good) for _ in range(arguments.requests)]
        with served(uri, child_environment() | {"MLFLOW_TRACKING_URI": store}) as server:
            half = arguments.requests // 2
            results = send(server, questions[:half], arguments.at_once)
            before, started = memory(server), time.monotonic()
            results += send(server, questions[half:], arguments.at_once)
            seconds, after = time.monotonic() - started, memory(server)
    failed = report(results)
    print(f"\nSecond half: {(arguments.requests - half) / seconds:.1f} requests a second. ", end="")
    print(f"Memory of the server: {before / 1e6:.0f} MB after half of the requests, {after / 1e6:.0f} MB at the end.")
    sys.exit(1 if failed or after > GROWTH * before else 0)


def report(results: list[tuple[str, str, float]]) -> bool:
    """Print the table; whether an answer was wrong or lost."""
    print("| request | sent | right | wrong | lost | median, ms |\n|---|---:|---:|---:|---:|---:|")
    for kind in dict.fromkeys(sorted((kind for kind, *_ in results), key=lambda kind: kind != "an image")):
        mine = [(how, seconds) for each, how, seconds in results if each == kind]
        counts = [sum(how == one for how, _ in mine) for one in ("right", "wrong", "lost")]
        cells = [kind, len(mine), *counts, f"{1e3 * median(seconds for _, seconds in mine):.0f}"]
        print("| " + " | ".join(map(str, cells)) + " |")
    return any(how != "right" for _, how, _ in results)


if __name__ == "__main__":
    main()
