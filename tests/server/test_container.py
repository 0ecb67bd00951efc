"""deploy/serve.Dockerfile: its lines, run here by a script, make a server that answers as its health check wants."""

import json
import re
import shlex
import subprocess
import sys
import time
import urllib.error
import urllib.request
from collections.abc import Iterator
from pathlib import Path

import pytest
from distributions import REPOSITORY
from processes import free_port
from small_onnx import small_onnx

pytestmark = [pytest.mark.slow, pytest.mark.system]

FILE = REPOSITORY / "deploy/serve.Dockerfile"
TOKEN = "a-token-that-is-long-enough"

PIP = f"""#!{sys.executable}
# pip without a network: it builds without isolation, and an installation is linked from the packages that are here.
import pathlib, re, sys
sys.path[:0] = [{str(REPOSITORY / "tests/helpers")!r}]
from distributions import bare_environment, build_wheel
words, root = sys.argv[1:], pathlib.Path(__file__).parents[1]
if words[0] == "wheel":
    assert words[1:] == ["--no-deps", "--wheel-dir", str(root / "wheels"), str(root / "source")], words
    build_wheel(root / "wheels")
else:
    options, (wheel, extra) = words[1:-1], re.fullmatch(r"(.*\\.whl)\\[(.*)\\]", words[-1]).groups()
    assert options == ["--no-cache-dir", "--constraint", str(root / "constraints.txt")], options
    bare_environment(root / "installed", pathlib.Path(wheel), extra)
"""


def lines() -> Iterator[tuple[str, str]]:
    """The instructions with their arguments."""
    text = re.sub(r"^#.*\n", "", FILE.read_text("utf-8"), flags=re.MULTILINE).replace("\\\n", " ")
    for line in filter(None, text.splitlines()):
        instruction, _, argument = line.partition(" ")
        yield instruction, argument


def instruction(name: str) -> str:
    return next(argument for found, argument in lines() if found == name)


@pytest.fixture(scope="module")
def root(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """What the lines RUN make, with / being this folder."""
    root = tmp_path_factory.mktemp("container")
    (root / "bin").mkdir()
    (root / "bin/pip").write_text(PIP, "utf-8")
    (root / "bin/pip").chmod(0o755)
    (root / "constraints.txt").write_bytes((REPOSITORY / "constraints.txt").read_bytes())
    for command in (argument for name, argument in lines() if name == "RUN"):
        here = re.sub(r"(?<=[ (])/(?=\w)", f"{root}/", command)
        subprocess.run(["bash", "-euc", here], env={"PATH": f"{root}/bin:/usr/bin:/bin"}, check=True)
    return root


def test_the_container_serves_and_is_healthy(root, jpeg):
    port = free_port()
    arguments = [*json.loads(instruction("ENTRYPOINT")), *json.loads(instruction("CMD"))]
    assert arguments[-2:] == ["--model", "/model/model.onnx"]
    command = [
        str(root / "installed/bin/deepmark"),
        *arguments[1:-1],
        str(small_onnx(root / "model.onnx")),
        "--port",
        str(port),
    ]
    environment = {"DEEPMARK_TOKEN": TOKEN, "PATH": "/usr/bin:/bin"}
    health = json.loads(instruction("HEALTHCHECK").partition("CMD ")[2])
    health = [sys.executable, *(word.replace("8000", str(port)) for word in health[1:])]
    with subprocess.Popen(command, env=environment, cwd=root, stderr=subprocess.DEVNULL) as server:
        try:
            deadline = time.monotonic() + 120
            while subprocess.run(health, stderr=subprocess.DEVNULL, check=False).returncode:
                assert server.poll() is None
                assert time.monotonic() < deadline
                time.sleep(0.2)
            request = urllib.request.Request(f"http://127.0.0.1:{port}/v1/detect", jpeg)
            with pytest.raises(urllib.error.HTTPError, match="401") as refusal:
                urllib.request.urlopen(request)
            refusal.value.close()
            request.add_header("Authorization", f"Bearer {TOKEN}")
            with urllib.request.urlopen(request) as answer:
                assert len(json.load(answer)["images"]) == 1
        finally:
            server.terminate()
        assert server.wait(30) == 0


def test_without_a_token_the_container_refuses_to_start(root):
    command = [str(root / "installed/bin/deepmark"), *json.loads(instruction("ENTRYPOINT"))[1:]]
    done = subprocess.run(command, env={"PATH": "/usr/bin:/bin"}, cwd=root, capture_output=True, text=True, check=False)

    assert done.returncode == 1
    assert "--host 0.0.0.0: other machines could ask this server. Give a token" in done.stderr


def test_what_the_container_copies_is_there():
    assert instruction("STOPSIGNAL") == "SIGTERM"
    copied = [shlex.split(argument) for name, argument in lines() if name == "COPY"]
    assert [words[-2:] for words in copied] == [
        [".", "/source"],
        ["constraints.txt", "/constraints.txt"],
        ["/wheels"] * 2,
    ]
