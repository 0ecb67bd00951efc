"""The real server: many requests at once, a new champion meanwhile, and an end that loses none of them."""

import http.client
import json
import signal
import socket
import urllib.error
import urllib.request
from concurrent.futures import ThreadPoolExecutor

import pytest
from bad_images import bad_images
from serve_process import serve_process

from deepmark.model.detector import build_detector, save_detector
from deepmark.params import ModelParams
from deepmark.registry.versions import CHAMPION, Registry
from deepmark.tracking.tracker import Tracker
from deepmark.vocabulary import DEEPFASHION2
from deepmark.workspace.init import init_workspace

pytestmark = [pytest.mark.slow, pytest.mark.system]


def ask(url: str, content: bytes) -> tuple[int, dict]:
    try:
        with urllib.request.urlopen(
            urllib.request.Request(f"{url}/v1/detect?min_score=0", content), timeout=120
        ) as one:
            return one.status, json.load(one)
    except urllib.error.HTTPError as refusal:
        return refusal.code, json.load(refusal)


def read(url: str) -> bytes:
    with urllib.request.urlopen(url, timeout=120) as answer:
        return answer.read()


def half_a_request(url: str, content: bytes) -> socket.socket:
    """A connection on which half of an image was sent."""
    host, port = url.removeprefix("http://").split(":")
    connection = socket.create_connection((host, int(port)), timeout=120)
    head = f"POST /v1/detect HTTP/1.1\r\nHost: {host}\r\nContent-Length: {len(content)}\r\n\r\n"
    connection.sendall(head.encode() + content[: len(content) // 2])
    return connection


def new_version(folder, seed: int, image: bytes) -> int:
    """Register an untrained network, which finds garments everywhere."""
    save_detector(
        build_detector(ModelParams(backbone="mobile", input_size=(64, 64)), DEEPFASHION2, seed=seed),
        folder / "model.safetensors",
    )
    tracker = Tracker.start(folder, params={}, tags={})
    uri = tracker.log_model(folder / "model.safetensors", image)
    tracker.finish()
    return Registry(folder).create_version(uri, tracker.run_id, {})


def test_a_flood_a_new_champion_and_a_graceful_end_lose_no_request(tmp_path, jpeg):
    folder = init_workspace(tmp_path / "workspace", "demo").root
    first, second = (new_version(folder, seed, jpeg) for seed in (1, 2))
    Registry(folder).set_alias(CHAMPION, first)
    bad = [content for content, _ in bad_images(jpeg).values()]
    with (
        serve_process("--model", "models:/deepmark@champion", "--workspace", folder, "--poll", 0.1) as server,
        ThreadPoolExecutor(8) as pool,
    ):
        mixed = [*bad, *[jpeg] * 15]
        answers = list(pool.map(lambda content: ask(server.url, content), mixed))
        Registry(folder).set_alias(CHAMPION, second)
        after = [ask(server.url, jpeg)]
        while after[-1][1]["model"]["version"] == first:
            after += pool.map(lambda content: ask(server.url, content), [jpeg] * 8)
        with half_a_request(server.url, jpeg) as taken:
            while b"deepmark_waiting_requests 1.0" not in read(f"{server.url}/metrics"):
                pass
            server.process.send_signal(signal.SIGTERM)
            taken.sendall(jpeg[len(jpeg) // 2 :])
            with http.client.HTTPResponse(taken) as answer:
                answer.begin()
                after.append((answer.status, json.load(answer)))
        code = server.process.wait(30)

    assert [status for status, _ in answers] == [400] * len(bad) + [200] * 15
    assert {json.dumps(answer["images"]) for status, answer in answers if status == 200} == {
        json.dumps(answers[-1][1]["images"])
    }
    assert answers[-1][1]["images"][0]["garments"] != []
    assert {status for status, _ in after} == {200}
    assert {answer["model"]["version"] for _, answer in after} == {first, second}
    assert code == 0
