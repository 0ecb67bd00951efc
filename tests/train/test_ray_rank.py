"""What a process of a training on Ray makes of an error, and what is decided then: without any cluster."""

import errno
import os
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
import torch

from deepmark.errors import DeepmarkError
from deepmark.train import ray_rank
from deepmark.train.checkpoint import RunLockedError
from deepmark.train.distributed.launch import RankError
from deepmark.train.distributed.meeting import MeetingError
from deepmark.train.distributed.process_group import LostPeerError, ProcessGroup
from deepmark.train.distributed.stop_signal import StopSignal
from deepmark.train.ray_rank import Job, run_rank_on_ray

GONE = RuntimeError("[gloo/transport/tcp/pair.cc:534] Connection closed by peer [10.0.0.3]:4711")


@pytest.fixture
def job(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Job]:
    """A training of two processes, of which this is the first."""
    for name, value in {"RANK": "0", "WORLD_SIZE": "2", "MASTER_ADDR": "alpha", "MASTER_PORT": "1"}.items():
        monkeypatch.setenv(name, value)
    monkeypatch.setenv("HANDED_ON", "no")
    monkeypatch.setattr(ray_rank, "join_process_group", joined)
    threads = torch.get_num_threads()
    yield Job(
        workspace=tmp_path,
        run_folder=tmp_path,
        folder=tmp_path,
        threads=1,
        seconds=5,
        environment={"HANDED_ON": "yes"},
    )
    torch.set_num_threads(threads)


@contextmanager
def joined(seconds: float) -> Iterator[ProcessGroup]:
    """The group of the first of two processes, without the other one."""
    assert seconds == 5
    yield ProcessGroup(rank=0, world_size=2, local_world_size=1, device=torch.device("cpu"))


def failing(monkeypatch: pytest.MonkeyPatch, error: Exception) -> None:
    def fail(*_: object, **__: object) -> None:
        raise error

    monkeypatch.setattr(ray_rank, "train_rank", fail)


@pytest.mark.parametrize(
    ("error", "kind", "words"),
    [
        (DeepmarkError("the disk is full."), DeepmarkError, r"^the disk is full\.$"),
        (OSError(errno.ENOSPC, os.strerror(errno.ENOSPC), "/a"), DeepmarkError, r"^/a: no space is left on the disk"),
        (GONE, LostPeerError, r"^rank 0 lost another process of this training: .*by peer \[10\.0\.0\.3\]:4711"),
        (ValueError("a bug"), RankError, r"(?s)^rank 0 of the training failed: ValueError: a bug\n.*in fail"),
        (RuntimeError("shapes differ"), RankError, r"^rank 0 of the training failed: RuntimeError: shapes differ"),
    ],
)
def test_an_error_is_told_as_what_it_is(job, monkeypatch, error, kind, words):
    failing(monkeypatch, error)

    with pytest.raises(DeepmarkError, match=words) as told:
        run_rank_on_ray(job)
    assert type(told.value) is kind
    assert (os.environ["HANDED_ON"], torch.get_num_threads()) == ("yes", 1)


def test_a_process_that_does_not_come_is_one_that_was_lost(job, monkeypatch):
    def alone(_: float) -> None:
        raise MeetingError("rank 0 of 2 waited 5 s for the others at alpha:1: rank 1 did not come.")

    monkeypatch.setattr(ray_rank, "join_process_group", alone)
    with pytest.raises(LostPeerError, match="rank 1 did not come"):
        run_rank_on_ray(job)


def test_the_lock_of_a_process_that_was_cut_off_is_waited_for_and_that_of_another_training_is_not(job, monkeypatch):
    failing(monkeypatch, RunLockedError("this recipe is being trained already"))
    with pytest.raises(RunLockedError):
        run_rank_on_ray(job)
    with pytest.raises(LostPeerError, match="this recipe is being trained already"):
        run_rank_on_ray(job)


def test_what_the_first_process_prints_goes_to_the_log(job, monkeypatch, capsys):
    def speak(_: object, __: object, ___: object, stop: StopSignal, **____: object) -> None:
        print("epoch 1/2", file=sys.stderr)
        assert not stop.is_received
        job.stop.touch()
        assert stop.is_received
        stop.exit()

    monkeypatch.setattr(ray_rank, "train_rank", speak)
    with pytest.raises(DeepmarkError, match=r"^stopped\. The same command goes on"):
        run_rank_on_ray(job)
    assert job.log.read_text("utf-8") == "epoch 1/2\n"
    assert capsys.readouterr().err == ""


NODES = [
    {"NodeID": f"{number}a1b2", "NodeManagerHostname": name, "NodeManagerAddress": f"10.0.0.{number}"}
    for number, name in enumerate(("alpha", "beta"), 1)
]
KILLED = Exception("The actor died unexpectedly before finishing this task.\n\tpid: 4711\n\tip: 10.0.0.1\n")
NODE_DIED = Exception("The actor died because its node has died. Node Id: 2a1b2\n\tmissing too many heartbeats")


class WrappedError(Exception):
    """As Ray hands on the error of a process."""

    def __init__(self, error: Exception) -> None:
        super().__init__(str(error))
        self._base_exc = error


def test_an_error_ends_the_training_and_a_loss_is_a_line_in_the_log(tmp_path, monkeypatch):
    on_ray = pytest.importorskip("deepmark.train.on_ray", exc_type=ImportError)
    verdict, peer = (
        on_ray.Verdict(tmp_path / "log", restarts=2),
        WrappedError(LostPeerError("rank 0 lost another process")),
    )
    monkeypatch.setattr(on_ray.ray, "nodes", lambda: NODES)
    verdict.after_exception(None, {1: NODE_DIED, 0: peer})
    verdict.after_exception(None, {0: peer})
    verdict.after_exception(None, {0: peer})  # after which Ray gives up

    goes_on = "the training goes on from its last checkpoint"
    assert (tmp_path / "log").read_text("utf-8").splitlines() == [
        f"warning: lost rank 1 on beta (10.0.0.2): {goes_on} (restart 1 of 2).",
        f"warning: rank 0 lost another process: {goes_on} (restart 2 of 2).",
    ]
    for mistake in (DeepmarkError("the disk is full."), RankError("rank 1 of the training failed")):
        with pytest.raises(type(mistake), match=str(mistake)):
            verdict.after_exception(None, {0: peer, 1: WrappedError(mistake)})


def test_a_process_that_was_lost_is_named_with_its_machine_as_far_as_it_is_known():
    on_ray = pytest.importorskip("deepmark.train.on_ray", exc_type=ImportError)

    assert (
        on_ray.losses({0: KILLED, 1: NODE_DIED}, NODES) == "lost rank 0 on alpha (10.0.0.1), rank 1 on beta (10.0.0.2)"
    )
    assert on_ray.losses({3: Exception("gone"), 4: LostPeerError("rank 4 lost another")}, NODES) == "lost rank 3"
