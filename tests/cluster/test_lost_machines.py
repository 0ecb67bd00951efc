"""Ingest and shard on a cluster whose machines are lost: the same bytes as on one machine, and nobody touches anything.

Three machines as network namespaces of this one (tests/helpers/cluster.py). A pause is the longest time between two
pieces that are done; with the keep-alive settings that Ray has by itself it is minutes where a machine is cut off.
"""

import hashlib
import os
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from dataclasses import dataclass, field
from itertools import pairwise
from pathlib import Path

import pytest
from cluster import Cluster, cluster

from deepmark.compute.local import Local
from deepmark.synthetic import draw_dataset

pytestmark = [pytest.mark.slow, pytest.mark.system]

IMAGES, DIFFERENT, REJECTED = 3000, 8, 5
"""Files in the split, different images among them (the rest are links), and annotations that are no JSON."""

LONGEST_PAUSE = 40
"""Seconds; with the keep-alive settings 22 were measured for a cut cable, and 13 for a kill."""

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
    folder = place(tmp_path_factory.mktemp("local") / "one", raw)
    for stage in ("ingest", "shard"):
        local_stage(folder, stage, workers=1)
    return digests(folder)


def local_stage(folder: Path, stage: str, *, workers: int) -> None:
    helpers = Path(__file__).parents[1] / "helpers"
    env = os.environ | {"PYTHONPATH": os.pathsep.join([str(helpers.parents[1]), str(helpers)])}
    words = [sys.executable, "-m", "stage_driver", "local", workers, stage, folder]
    subprocess.run(list(map(str, words)), env=env, check=True, capture_output=True)


@pytest.fixture(scope="module")
def three() -> Iterator[Cluster]:
    with cluster() as started:
        yield started


@dataclass
class Watched:
    """A stage under way: when how many images were done."""

    process: subprocess.Popen[str]
    done: list[tuple[float, int]] = field(default_factory=list)

    def until(self, share: float) -> None:
        """Wait until this share of the images is done."""
        assert self.process.stdout is not None
        for line in self.process.stdout:
            self.done.append((time.monotonic(), int(line)))
            if int(line) >= share * IMAGES:
                return
        pytest.fail(f"ended early: {self.process.stderr.read() if self.process.stderr else ''}")

    def end(self) -> str:
        """Wait for the end; what it said on standard error."""
        self.until(1)
        _, told = self.process.communicate(timeout=120)
        assert self.process.returncode == 0, told
        return told

    @property
    def longest_pause(self) -> float:
        times = [moment for moment, _ in self.done]
        return max(later - sooner for sooner, later in pairwise(times))


def watched(three: Cluster, stage: str, folder: Path, **variables: str) -> Watched:
    return Watched(three.driver("python", "-m", "stage_driver", "ray", 0, stage, folder, cwd=folder, **variables))


def test_two_processes_here_write_the_bytes_of_one(raw, wanted, tmp_path):
    folder = place(tmp_path / "two", raw)
    for stage in ("ingest", "shard"):
        local_stage(folder, stage, workers=2)

    assert digests(folder) == wanted
    assert len(wanted) > 10


def test_two_machines_write_the_bytes_of_one_process(three, raw, wanted, tmp_path):
    folder = place(tmp_path / "ray", raw)
    for stage in ("ingest", "shard"):
        assert watched(three, stage, folder).end() == ""

    assert digests(folder) == wanted


@pytest.mark.parametrize("loss", ["killed", "cut off"])
def test_a_machine_that_is_lost_at_a_third_costs_a_pause_and_no_byte(
    three, raw, wanted, tmp_path, loss, record_property
):
    folder = place(tmp_path / "ray", raw)
    for stage in ("ingest", "shard"):
        run = watched(three, stage, folder)
        run.until(0.3)
        (three.b.kill if loss == "killed" else three.b.cut_cable)()
        told = run.end()
        print(f"{stage}, {loss}: longest pause {run.longest_pause:.1f} s")
        record_property(f"longest pause of {stage} in seconds, {loss}", round(run.longest_pause, 1))

        assert run.longest_pause <= LONGEST_PAUSE
        assert "warning: lost machine-b (10.214.0.3): what ran there is done again, on 1 machines" in told
        three.restart(three.b)

    assert digests(folder) == wanted


def test_a_cluster_of_one_machine_writes_the_bytes_of_one_process(three, raw, wanted, tmp_path):
    folder = place(tmp_path / "ray", raw)
    three.b.kill()
    for stage in ("ingest", "shard"):
        watched(three, stage, folder).end()

    assert digests(folder) == wanted
    three.restart(three.b)


def test_a_driver_that_is_killed_halfway_starts_again_over_what_it_left(three, raw, wanted, tmp_path):
    folder = place(tmp_path / "ray", raw)
    for stage in ("ingest", "shard"):
        run = watched(three, stage, folder)
        run.until(0.5)
        os.killpg(run.process.pid, signal.SIGKILL)
        run.process.wait()
        watched(three, stage, folder).end()

    assert digests(folder) == wanted
    assert not [file for file in folder.rglob("*") if ".new" in file.name or "unfinished" in file.name]


def test_without_our_settings_of_keep_alive_a_cut_cable_stops_a_stage_for_longer(three, raw, wanted, tmp_path):
    folder = place(tmp_path / "ray", raw)
    (folder / "records").mkdir()
    run = watched(three, "ingest", folder, **RAYS_OWN)
    run.until(0.3)
    three.b.cut_cable()
    resumed = threading.Event()

    def wait() -> None:
        assert run.process.stdout is not None
        for line in run.process.stdout:
            if int(line) >= IMAGES:
                resumed.set()

    threading.Thread(target=wait, daemon=True).start()
    assert not resumed.wait(LONGEST_PAUSE)
    os.killpg(run.process.pid, signal.SIGKILL)
    run.process.wait()
    three.restart(three.b)
