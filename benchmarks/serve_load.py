"""`deepmark serve` under load: is an answer lost or wrong, does memory grow, and how much of the bare runtime is left?

    python benchmarks/serve_load.py MODEL [--requests 1000] [--at-once 32] [--bad 200]

The same drawn images go through the detector in this process, one after the other from file to JSON, and then through
a server, `--at-once` at a time, by clients on the same machine, whose work counts. A good answer must have exactly the
digits that the detector gives. Then come bad requests: no image, cut off, too large, a bomb, a form that is none; each
must be answered with status 4xx and its reason, and the server's memory must stay. Prints a table, and exits with 1
where an answer was lost or wrong, or memory grew by more than 5%.
"""

import argparse
import http.client
import json
import sys
import tempfile
import threading
import time
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from statistics import median
from typing import Any

import psutil

from deepmark.detectors import load_detector
from deepmark.synthetic import draw_dataset

sys.path.insert(0, str(Path(__file__).parents[1] / "tests" / "helpers"))
from bad_images import bad_images, blank
from serve_process import ServeProcess, serve_process

IMAGES = 40
GROWTH = 1.05
"""The largest ratio of the server's memory after the bad requests to that before them."""

MEGABYTES, MEGAPIXELS, LEAST = 2, 4, 0.2
"""Limits of the server, and the least score."""


@dataclass(frozen=True)
class Question:
    """A request's body, and its answer: the first digit of its status, and words that it must hold."""

    kind: str
    body: bytes
    words: str
    status: int = 4
    content_type: str = "image/jpeg"


def answer_to(detector: Any, image: bytes) -> str:
    """The garments as the server writes them: to the last digit, without spaces."""
    return f'"garments":{json.dumps(detector(image).as_dicts(), separators=(",", ":"))}'


def bad_questions(image: bytes) -> list[Question]:
    """One of each kind."""
    kinds = [Question(kind, content, words) for kind, (content, words) in bad_images(image).items()]
    return [
        *kinds,
        Question("too many pixels", blank(2500, 2000), "2500 x 2000 pixels"),
        Question("too many bytes", image + bytes(MEGABYTES * 10**6), "more than 2,000,000 bytes"),
        Question("a form that is none", b"words", "not a form", content_type="multipart/form-data; boundary=x"),
    ]


class Client(threading.local):
    """A connection for each thread, kept open as clients in production keep theirs."""

    connection: http.client.HTTPConnection | None = None

    def ask(self, address: str, question: Question) -> tuple[str, float]:
        """Whether the answer is "right", "wrong" or "lost", and the seconds that it took."""
        started = time.monotonic()
        try:
            self.connection = self.connection or http.client.HTTPConnection(address, timeout=120)
            self.connection.request("POST", "/v1/detect", question.body, {"Content-Type": question.content_type})
            answer = self.connection.getresponse()
            said = answer.read().decode()
        except (OSError, http.client.HTTPException):
            self.connection = None
            return "lost", time.monotonic() - started
        right = answer.status // 100 == question.status and question.words in said
        return "right" if right else "wrong", time.monotonic() - started


def send(server: ServeProcess, questions: Sequence[Question], at_once: int) -> list[tuple[str, str, float]]:
    """The kind of each question, how it was answered, and the seconds that it took."""
    client, address = Client(), server.url.removeprefix("http://")
    with ThreadPoolExecutor(at_once) as pool:
        answers = pool.map(lambda question: client.ask(address, question), questions)
        return [(question.kind, *done) for question, done in zip(questions, answers, strict=True)]


def memory(server: ServeProcess) -> float:
    """Megabytes that the server holds."""
    return psutil.Process(server.process.pid).memory_info().rss / 1e6


def busy(server: ServeProcess) -> float:
    """Seconds of processors that the server has used."""
    times = psutil.Process(server.process.pid).cpu_times()
    return times.user + times.system


def bare(detector: Any, images: Sequence[bytes], seconds: float = 8.0) -> tuple[float, float]:
    """From the bytes of a file to JSON, one after the other: images a second, milliseconds of processors an image."""
    done, started, used = 0, time.monotonic(), time.process_time()
    while (passed := time.monotonic() - started) < seconds:
        json.dumps(detector(images[done % len(images)]).as_dicts())
        done += 1
    return done / passed, 1e3 * (time.process_time() - used) / done


def report(results: Sequence[tuple[str, str, float]]) -> bool:
    """Print the table; whether an answer was wrong or lost."""
    print("| request | sent | right | wrong | lost | median, ms |\n|---|---:|---:|---:|---:|---:|")
    for kind in dict.fromkeys(kind for kind, *_ in results):
        mine = [(how, seconds) for each, how, seconds in results if each == kind]
        counts = [sum(how == one for how, _ in mine) for one in ("right", "wrong", "lost")]
        cells = [kind, len(mine), *counts, f"{1e3 * median(seconds for _, seconds in mine):.0f}"]
        print("| " + " | ".join(map(str, cells)) + " |")
    return any(how != "right" for _, how, _ in results)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("model", help="a checkpoint or an exported file")
    parser.add_argument("--requests", type=int, default=1000)
    parser.add_argument("--at-once", type=int, default=32)
    parser.add_argument("--bad", type=int, default=200)
    arguments = parser.parse_args()
    with tempfile.TemporaryDirectory(prefix="deepmark-serve-") as folder:
        draw_dataset(Path(folder), train=0, validation=IMAGES, seed=5)
        images = [file.read_bytes() for file in sorted(Path(folder).glob("validation/image/*.jpg"))]
    detector = load_detector(arguments.model, min_score=LEAST)
    good = [Question("an image", image, answer_to(detector, image), status=2) for image in images]
    bad = bad_questions(images[0])
    limits = ("--max-megabytes", MEGABYTES, "--max-megapixels", MEGAPIXELS, "--min-score", LEAST)
    before = bare(detector, images)
    with serve_process("--model", arguments.model, *limits) as server:
        send(server, good, arguments.at_once)  # the first requests find everything cold
        started, used = time.monotonic(), busy(server)
        results = send(server, [good[number % IMAGES] for number in range(arguments.requests)], arguments.at_once)
        served = arguments.requests / (time.monotonic() - started)
        used = 1e3 * (busy(server) - used) / arguments.requests
        send(server, bad, arguments.at_once)  # the first large ones fill the allocator's pools
        held = memory(server)
        results += send(server, [bad[number % len(bad)] for number in range(arguments.bad)], arguments.at_once)
        grown = memory(server)
    alone, used_alone = ((a + b) / 2 for a, b in zip(before, bare(detector, images), strict=True))
    failed = report(results)
    print(f"\nServed {served:.1f} images a second, {served / alone:.0%} of the {alone:.1f} of the detector alone.")
    print(f"Milliseconds of processors an image: {used:.0f}, and {used_alone:.0f} of the detector alone.")
    print(f"Memory of the server: {held:.0f} MB before the bad requests, {grown:.0f} MB after them.")
    sys.exit(1 if failed or grown > GROWTH * held else 0)


if __name__ == "__main__":
    main()
