"""What operators rely on: health, metrics, the token, limits of waiting and time, and a new champion."""

import asyncio
import threading
from pathlib import Path

import pytest
from served_versions import Versions

from deepmark.errors import DeepmarkError
from deepmark.server.run import check_reachable, is_loopback, listen, read_token
from deepmark.vocabulary import DEEPFASHION2

TOKEN = "a token that is long enough".replace(" ", "-")


class Held:
    """A detector that waits in the network until it is let go."""

    min_score, strategy, same_in_batches, vocabulary = 0.3, "nms", True, DEEPFASHION2

    def __init__(self, detector):
        self._detector, self.started, self.go = detector, threading.Event(), threading.Event()
        self.prepare = detector.prepare

    def with_options(self, **_):
        return self

    def detect(self, images):
        self.started.set()
        assert self.go.wait(30)
        return self._detector.detect(images)


class Sender(threading.Thread):
    """A request that is sent beside the test."""

    def __init__(self, served, content):
        super().__init__()
        self._served, self._content = served, content
        self.start()

    def run(self):
        self.answer = self._served.post(content=self._content)

    def status(self) -> int:
        self.join(30)
        return self.answer.status_code


def test_health_and_readiness_are_said(serve, detector):
    served = serve(detector, token=TOKEN)

    assert served.client.get("/healthz").json() == {"status": "ok"}
    assert served.client.get("/readyz").json() == {
        "status": "ready",
        "model": {"name": "version None", "version": None},
    }


def test_metrics_count_requests_images_and_garments(serve, detector, jpeg):
    served = serve(detector)
    found = served.post(files=[("a", jpeg), ("b", jpeg)]).json()["images"]
    served.post(content=b"")

    text = served.client.get("/metrics").text

    assert 'deepmark_requests_total{status="200"} 1.0' in text
    assert 'deepmark_requests_total{status="400"} 1.0' in text
    assert "deepmark_request_seconds_count 2.0" in text
    assert "deepmark_batch_images_sum 2.0" in text
    assert "deepmark_waiting_requests 0.0" in text
    assert 'deepmark_model_info{name="version None",version="None"} 1.0' in text
    category = found[0]["garments"][0]["category"]
    count = sum(one["category"] == category for image in found for one in image["garments"])
    assert f'deepmark_garments_total{{category="{category}"}} {count}.0' in text


@pytest.mark.parametrize("place", ["/v1/detect", "/metrics"])
def test_with_a_token_whoever_lacks_it_is_refused(serve, detector, jpeg, place):
    served = serve(detector, token=TOKEN)

    def ask(**headers):
        method = "POST" if place == "/v1/detect" else "GET"
        return served.client.request(method, place, content=jpeg, headers=headers)

    for given in (
        {},
        {"authorization": "Bearer wrong"},
        {"authorization": f"Basic {TOKEN}"},
        {"authorization": b"Bearer \xe9"},
    ):
        answer = ask(**given)
        assert answer.status_code == 401
        assert answer.headers["www-authenticate"] == "Bearer"
        assert answer.json()["error"]["code"] == "no_token"
    assert ask(authorization=f"Bearer {TOKEN}").status_code == 200


def test_more_requests_than_may_wait_are_told_to_come_again(serve, detector, jpeg):
    held = Held(detector)
    served = serve(held, max_waiting=1)
    first = Sender(served, jpeg)
    assert held.started.wait(30)

    refused = served.post(content=jpeg)

    assert (refused.status_code, refused.headers["retry-after"]) == (429, "1")
    assert refused.json()["error"]["message"] == "1 requests wait already. Try again soon."
    held.go.set()
    assert first.status() == 200
    assert served.post(content=jpeg).status_code == 200


def test_an_answer_that_takes_too_long_is_given_up(serve, detector, jpeg):
    held = Held(detector)
    served = serve(held, timeout=0.3)

    refused = served.post(content=jpeg)

    assert (refused.status_code, refused.json()["error"]["code"]) == (503, "no_time")
    assert refused.json()["error"]["message"] == "no answer within 0.3 seconds. Try again soon."
    held.go.set()
    assert "deepmark_waiting_requests 0.0" in served.metrics.text().decode()


def look(served) -> None:
    served.client.portal.call(served.followed.look)


def test_a_new_champion_takes_over_and_the_old_one_finishes_what_it_took(serve, detector, jpeg):
    held = Held(detector)
    source = Versions({1: held, 2: detector}, newest_version=1)
    served = serve(source)
    first = Sender(served, jpeg)
    assert held.started.wait(30)

    source.newest_version = 2
    look(served)
    second = Sender(served, jpeg)
    held.go.set()

    assert (first.status(), second.status()) == (200, 200)
    assert first.answer.json()["model"]["version"] == 1
    assert second.answer.json()["model"]["version"] == 2
    assert 'deepmark_model_changes_total{result="loaded"} 1.0' in served.metrics.text().decode()


def test_a_champion_that_cannot_be_loaded_leaves_the_old_one_serving(serve, detector, jpeg, caplog):
    source = Versions({1: detector}, newest_version=1)
    served = serve(source)

    source.newest_version = 2
    look(served)
    look(served)

    assert served.post(content=jpeg).json()["model"]["version"] == 1
    assert 'deepmark_model_changes_total{result="failed"} 2.0' in served.metrics.text().decode()
    assert [record.getMessage() for record in caplog.records if "stays" in record.getMessage()] == [
        "the model stays version 1: KeyError: 2"
    ]


def test_a_model_that_cannot_change_is_not_asked_for(serve, detector):
    served = serve(detector)

    served.client.portal.call(asyncio.wait_for, served.followed.follow(), 5)


@pytest.mark.parametrize(
    ("host", "local"), [("127.0.0.1", True), ("localhost", True), ("::1", True), ("0.0.0.0", False)]
)
def test_only_loopback_needs_no_token(host, local):
    assert is_loopback(host) is local
    check_reachable(host, TOKEN)
    if local:
        check_reachable(host, None)
    else:
        with pytest.raises(DeepmarkError, match=r"--host 0\.0\.0\.0: other machines could ask this server. Give a tok"):
            check_reachable(host, None)


def test_a_token_comes_from_a_file_or_the_environment(tmp_path, monkeypatch):
    monkeypatch.delenv("DEEPMARK_TOKEN", raising=False)
    assert read_token(None) is None
    monkeypatch.setenv("DEEPMARK_TOKEN", TOKEN)
    assert read_token(None) == TOKEN
    (tmp_path / "token").write_text(TOKEN + "-2\n", "utf-8")
    assert read_token(tmp_path / "token") == TOKEN + "-2"


@pytest.mark.parametrize("text", ["", "short", "with spaces in its middle", "ümläute-sind-nicht-erlaubt"])
def test_a_token_that_is_none_is_refused(tmp_path, text):
    (tmp_path / "token").write_text(text, "utf-8")

    with pytest.raises(DeepmarkError, match=r"token: a token has at least 16 characters, without spaces\. `python -c"):
        read_token(tmp_path / "token")


def test_a_file_of_a_token_that_is_not_there_is_named():
    with pytest.raises(DeepmarkError, match=r"--token-file nowhere: cannot be read \(No such file or directory\)"):
        read_token(Path("nowhere"))


def test_a_port_that_is_taken_is_named():
    with listen("127.0.0.1", 0) as first:
        port = first.getsockname()[1]
        with pytest.raises(DeepmarkError, match=rf"127\.0\.0\.1 port {port}: address already in use.*--port"):
            listen("127.0.0.1", port)


def test_a_host_that_is_none_is_named(deepmark):
    done = deepmark("serve", "--host", "no such host")

    assert done.code == 1
    assert "--host no such host: no address of this machine" in done.err


def test_a_model_that_is_not_there_is_named_before_anything_is_served(deepmark, tmp_path):
    done = deepmark("serve", "--model", tmp_path / "nowhere.safetensors", "--port", 0)

    assert done.code == 1
    assert "nowhere.safetensors" in done.err


def test_another_name_than_the_registered_model_s_is_refused(deepmark, tmp_path):
    done = deepmark("serve", "--model", "models:/other@champion", "--workspace", tmp_path, "--port", 0)

    assert done.code == 1
    assert "models:/other@champion" in done.err


def test_the_page_comes_with_its_facts_and_headers(serve, detector):
    served = serve(detector, token=TOKEN)

    page, config = served.client.get("/"), served.client.get("/config.json").json()

    assert "<h1>" in page.text
    assert page.headers["cross-origin-embedder-policy"] == "require-corp"
    assert (config["engine"], config["model"], config["min_score"]) == ("server", "version None", detector.min_score)
