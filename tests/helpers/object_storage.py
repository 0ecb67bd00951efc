"""An S3 endpoint on loopback, empty at first, that can be told to fail.

moto, which takes a second to import, is imported where the endpoint starts, because conftest.py imports this module.
"""

import time
import urllib.request
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from threading import Thread
from typing import Any

BUCKET = "wardrobe"

Answer = Callable[[dict[str, Any], Callable[..., Any], Callable[..., Iterable[bytes]]], Iterable[bytes]]
"""What is done to a request: its environment, where the answer starts, and who would have given a good one."""


def s3_variables(url: str) -> dict[str, str]:
    """The environment of a process that finds S3 at the URL, and nothing of who runs the tests."""
    return {
        "AWS_ENDPOINT_URL": url,
        "AWS_ACCESS_KEY_ID": "somebody",
        "AWS_SECRET_ACCESS_KEY": "secret",
        "AWS_DEFAULT_REGION": "us-east-1",
        "AWS_EC2_METADATA_DISABLED": "true",
        "AWS_CONFIG_FILE": "/nowhere",
        "AWS_SHARED_CREDENTIALS_FILE": "/nowhere",
    }


def refused(status: str, code: str) -> Answer:
    """An error as S3 words it: refused("503 Slow Down", "SlowDown")."""

    def answer(environ: dict[str, Any], start: Callable[..., Any], well: Callable[..., Any]) -> Iterable[bytes]:
        start(status, [("Content-Type", "application/xml")])
        return [f"<?xml version='1.0'?><Error><Code>{code}</Code><Message>{code}, injected</Message></Error>".encode()]

    return answer


def slow(seconds: float) -> Answer:
    """The right answer, late."""

    def answer(environ: dict[str, Any], start: Callable[..., Any], well: Callable[..., Any]) -> Iterable[bytes]:
        time.sleep(seconds)
        return well(environ, start)

    return answer


def cut_off(environ: dict[str, Any], start: Callable[..., Any], well: Callable[..., Any]) -> Iterable[bytes]:
    """The right headers, half of the body, and then the connection is gone."""
    heard: list[Any] = []
    body = b"".join(well(environ, lambda *head: heard.append(head)))
    start(*heard[0])
    return [body[: len(body) // 2]]


@dataclass
class ObjectStorage:
    """The endpoint, what it was asked for, and how it is to fail."""

    faults: dict[str, list[Answer]] = field(default_factory=dict)
    """By the end of an object's name: answers to the next questions for it, each given once."""

    asked: list[str] = field(default_factory=list)
    """Names of objects that were read, in the order in which they were."""

    changed: list[tuple[str, str, int]] = field(default_factory=list)
    """Requests that change something: PUT, POST or DELETE, the name of the object, the bytes sent; as they came."""

    url: str = ""

    def __post_init__(self) -> None:
        from moto.moto_server.werkzeug_app import DomainDispatcherApplication, create_backend_app

        self._well = DomainDispatcherApplication(create_backend_app)

    def __call__(self, environ: dict[str, Any], start: Callable[..., Any]) -> Iterable[bytes]:
        path = environ["PATH_INFO"]
        if environ["REQUEST_METHOD"] in ("PUT", "POST", "DELETE") and path.count("/") > 1:
            sent = int(environ.get("CONTENT_LENGTH") or 0)
            self.changed.append((environ["REQUEST_METHOD"], path.rpartition("/")[2], sent))
        if environ["REQUEST_METHOD"] == "GET" and path.count("/") > 1:
            self.asked.append(path.rpartition("/")[2])
            for end, answers in self.faults.items():
                if path.endswith(end) and answers:
                    return answers.pop(0)(environ, start, self._well)
        return self._well(environ, start)

    def forget(self) -> None:
        """An empty bucket, no faults, nothing asked."""
        from moto.backends import get_backend

        get_backend("s3").reset()
        self._send("PUT", BUCKET)
        self.faults.clear()
        self.asked.clear()
        self.changed.clear()

    def put(self, folder: Path, place: str) -> str:
        """Copy a folder to the bucket; gives the URL of the copy."""
        for file in folder.rglob("*"):
            if file.is_file():
                self.put_object(f"{place}/{file.relative_to(folder)}", file.read_bytes())
        return f"s3://{BUCKET}/{place}"

    def put_object(self, name: str, content: bytes) -> None:
        self._send("PUT", f"{BUCKET}/{name}", content)

    def contents(self, place: str) -> dict[str, bytes]:
        """The objects below a place, by the rest of their names."""
        from moto.backends import get_backend

        keys = get_backend("s3")["123456789012"]["aws"].buckets[BUCKET].keys
        names = [name for name in keys if name.startswith(f"{place}/")]
        return {name.removeprefix(f"{place}/"): keys[name].value for name in names}

    def delete(self, name: str) -> None:
        self._send("DELETE", f"{BUCKET}/{name}")

    def _send(self, method: str, path: str, body: bytes | None = None) -> None:
        owner = "AWS4-HMAC-SHA256 Credential=somebody/20200101/us-east-1/s3/aws4_request"
        head = {"Content-Type": "application/octet-stream", "Authorization": owner}
        asked = urllib.request.Request(f"{self.url}/{path}", data=body, method=method, headers=head)
        with urllib.request.urlopen(asked) as answer:
            answer.read()


@contextmanager
def object_storage() -> Iterator[ObjectStorage]:
    """The endpoint with an empty bucket, while the block runs."""
    from moto.moto_server.werkzeug_app import MotoRequestHandler
    from werkzeug.serving import make_server

    storage = ObjectStorage()
    server = make_server("127.0.0.1", 0, storage, threaded=True, request_handler=MotoRequestHandler)
    server.daemon_threads = True
    storage.url = f"http://127.0.0.1:{server.server_port}"
    thread = Thread(target=server.serve_forever, kwargs={"poll_interval": 0.05})
    thread.start()
    try:
        yield storage
    finally:
        server.shutdown()
        thread.join()
        server.server_close()
