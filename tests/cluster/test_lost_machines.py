"""Ingest and shard on a cluster whose machines are lost: the same bytes as on one machine, and nobody touches anything.

Three machines as network namespaces of this one (tests/helpers/cluster.py). A pause is the longest time between two
pieces that are done; with the keep-alive settings that Ray has by itself it is minutes where a machine is cut off.
"""

import hashlib
import json
import os
import re
import shutil
import signal
import subprocess
import time
from collections.abc import Iterator
from contextlib import redirect_stdout
from dataclasses import dataclass, field
from io import StringIO
from itertools import pairwise
from pathlib import Path

import pytest
import stage_driver
from cluster import HEAD, Cluster, cluster
from object_storage import BUCKET, s3_variables

from deepmark.compute.local import Local
from deepmark.synthetic import draw_dataset

pytestmark = [pytest.mark.slow, pytest.mark.system]

IMAGES, DIFFERENT, REJECTED = 3000, 8, 5
"""Files in the split, different images among them (the rest are links), and annotations that are no JSON."""

LONGEST_PAUSE = 40
"""Seconds; with the keep-alive settings 22 were measured for a cut cable, and 13 for a kill."""

LOST = "warning: lost machine-b (10.214.0.3): what ran there is done again on the 1 that remain.\n"

S3_PORT = 5000
"""Of the storage on the head's machine."""

RAYS_OWN = {"RAY_grpc_client_keepalive_time_ms": "300000", "RAY_grpc_client_keepalive_timeout_ms": "120000"}
"""The keep-alive settings that Ray has by itself."""


@pytest.fixture(scope="module")
def raw(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The folder of raw data: few images, each under many names."""
    folder = tmp_path_factory.mktemp("many")
    draw_dataset(folder / "drawn", train=DIFFERENT, validation=1, seed=3, engine=Local(1))
    for kind, suffix in (("image", "jpg"), ("annos", "json")):
        (folder / "raw/train" / kind).mkdir(parents=True)
        for number in range(1, IMAGES + 1):
            source = folder / f"drawn/train/{kind}/{number % DIFFERENT + 1:06d}.{suffix}"
            os.link(source, folder / f"raw/train/{kind}/{number:06d}.{suffix}")
    for number in range(100, 100 + REJECTED):
        file = folder / f"raw/train/annos/{number:06d}.json"
        file.unlink()
        file.write_text("{")
    return folder / "raw"


def digests(folder: Path) -> dict[str, str]:
    """The sha256 of every file in records/ and shards/."""
    files = [file for kind in ("records", "shards") for file in sorted((folder / kind).rglob("*")) if file.is_file()]
    return {str(file.relative_to(folder)): hashlib.sha256(file.read_bytes()).hexdigest() for file in files}


def place(folder: Path, raw: Path) -> Path:
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "raw").symlink_to(raw)
    return folder


@pytest.fixture(scope="module")
def wanted(raw: Path, tmp_path_factory: pytest.TempPathFactory) -> dict[str, str]:
    """What one process of this machine writes."""
    folder = place(tmp_path_factory.mktemp("local", numbered=False), raw)
    local_stages(folder, 1)
    return digests(folder)


def local_stages(folder: Path, workers: int) -> None:
    with redirect_stdout(StringIO()):
        for stage in ("ingest", "shard"):
            stage_driver.main("local", str(workers), stage, str(folder))


@pytest.fixture(scope="module")
def three() -> Iterator[Cluster]:
    with cluster(**s3_variables(f"http://{HEAD}:{S3_PORT}")) as started:
        yield started


@pytest.fixture
def b_comes_back(three: Cluster) -> Iterator[None]:
    """After the test."""
    yield
    three.restart(three.b)


@pytest.fixture(scope="module")
def ingested(wanted: dict[str, str], tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The folder that one process of this machine has written."""
    return tmp_path_factory.getbasetemp() / "local"


def copy_for(stage: str, ingested: Path, folder: Path) -> Path:
    """What the stage reads and the others write, in a folder of its own."""
    ignored = shutil.ignore_patterns("raw", "records" if stage == "ingest" else "shards")
    shutil.copytree(ingested, folder, ignore=ignored)
    return place(folder, (ingested / "raw").resolve())


@dataclass
class Watched:
    """A stage under way: when how many images were done."""

    process: subprocess.Popen[str]
    done: list[tuple[float, int]] = field(default_factory=list)

    def until(self, share: float) -> None:
        """Wait until this share of the images is done."""
        for line in self.process.stdout or ():
            self.done.append((time.monotonic(), int(line)))
            if int(line) >= share * IMAGES:
                return
        pytest.fail(f"ended early: {self.process.communicate()[1]}")

    def end(self) -> str:
        """Wait for the end; what it said on standard error."""
        self.done += [(time.monotonic(), int(line)) for line in self.process.stdout or ()]
        _, told = self.process.communicate(timeout=120)
        assert self.process.returncode == 0, told
        return told

    def early_end(self, seconds: float) -> str | None:
        """How it ended within so many seconds, if it did."""
        try:
            out, told = self.process.communicate(timeout=seconds)
        except subprocess.TimeoutExpired:
            return None
        return f"exit code {self.process.returncode}; images done: {out.split()}; {told}"

    def kill(self) -> None:
        os.killpg(self.process.pid, signal.SIGKILL)
        self.process.communicate()

    @property
    def longest_pause(self) -> float:
        times = [moment for moment, _ in self.done]
        return max(later - sooner for sooner, later in pairwise(times))


def watched(three: Cluster, stage: str, folder: Path, *url: str, **variables: str) -> Watched:
    words = "python", "-m", "stage_driver", "ray", 0, stage, folder, *url
    return Watched(three.driver(*words, cwd=folder, **variables))


def test_two_processes_here_write_the_bytes_of_one(raw, wanted, tmp_path):
    folder = place(tmp_path / "two", raw)
    local_stages(folder, 2)

    assert digests(folder) == wanted
    assert len(wanted) > 10


def test_two_machines_write_the_bytes_of_one_process(three, raw, wanted, tmp_path):
    folder = place(tmp_path / "ray", raw)
    for stage in ("ingest", "shard"):
        assert watched(three, stage, folder).end() == ""

    assert digests(folder) == wanted


@pytest.mark.parametrize("loss", ["killed", "cut off"])
@pytest.mark.parametrize("stage", ["ingest", "shard"])
def test_a_machine_that_is_lost_at_a_third_costs_a_pause_and_no_byte(
    three, b_comes_back, ingested, wanted, tmp_path, stage, loss
):
    folder = copy_for(stage, ingested, tmp_path / "ray")
    run = watched(three, stage, folder)
    run.until(0.3)
    three.hold_a_piece(three.b)
    (three.b.kill if loss == "killed" else three.b.cut_cable)()
    told = run.end()
    print(f"{stage}, {loss}: longest pause {run.longest_pause:.1f} s")

    assert run.longest_pause <= LONGEST_PAUSE
    # The pieces of a machine that was killed are done again at once, maybe before it counts as lost.
    assert told in ([LOST] if loss == "cut off" else ["", LOST])
    assert digests(folder) == wanted


def test_a_cluster_of_one_machine_writes_the_bytes_of_one_process(three, b_comes_back, raw, wanted, tmp_path):
    folder = place(tmp_path / "ray", raw)
    three.b.kill()
    for stage in ("ingest", "shard"):
        watched(three, stage, folder).end()

    assert digests(folder) == wanted


@pytest.mark.parametrize("stage", ["ingest", "shard"])
def test_a_driver_that_is_killed_halfway_starts_again_over_what_it_left(three, ingested, wanted, tmp_path, stage):
    folder = copy_for(stage, ingested, tmp_path / "ray")
    run = watched(three, stage, folder)
    run.until(0.5)
    run.kill()
    watched(three, stage, folder).end()

    assert digests(folder) == wanted


def test_shards_at_a_url_are_those_of_one_process_and_never_partly_there(
    three, b_comes_back, ingested, wanted, tmp_path
):
    stop = tmp_path / "stop"
    watch = three.driver("python", "-m", "storage_watch", HEAD, S3_PORT, BUCKET, stop, cwd=tmp_path)
    assert watch.stdout is not None
    assert watch.stdout.readline() == "ready\n", watch.communicate()[1]
    run = watched(three, "shard", copy_for("shard", ingested, tmp_path / "ray"), f"s3://{BUCKET}/shards/train")
    run.until(0.3)
    three.hold_a_piece(three.b)
    three.b.kill()
    run.end()
    stop.touch()
    seen = json.loads(watch.communicate(timeout=60)[0])

    shards = {name: made for name, made in seen["sha256"].items() if not re.search(r"/\.plan$|\.tar\.json$", name)}
    assert shards == {name: made for name, made in wanted.items() if name.startswith("shards/")}
    assert {name: len(sizes) for name, sizes in seen["sizes"].items()} == dict.fromkeys(seen["sha256"], 1)


def test_without_our_settings_of_keep_alive_a_cut_cable_stops_a_stage_for_longer(
    three, b_comes_back, ingested, tmp_path
):
    run = watched(three, "ingest", copy_for("ingest", ingested, tmp_path / "ray"), **RAYS_OWN)
    run.until(0.3)
    three.hold_a_piece(three.b)
    three.b.cut_cable()

    assert run.early_end(LONGEST_PAUSE) is None
    run.kill()
