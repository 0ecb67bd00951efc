"""How a training on Ray ends, by what Ray Train says of it, and what is refused before: without any cluster."""

from pathlib import Path

import pytest

from deepmark.compute.ray_cluster import Machine
from deepmark.errors import DeepmarkError
from deepmark.params import ComputeParams
from deepmark.train.distributed.launch import RankError

on_ray = pytest.importorskip("deepmark.train.on_ray", exc_type=ImportError)

PARAMS = ComputeParams(restarts=3)


class Trainer(on_ray.TorchTrainer):
    """One whose training ends with an error, or without."""

    def __init__(self, error: Exception | None) -> None:
        self.error = error

    def fit(self) -> None:
        if self.error is not None:
            raise self.error


def machine(name: str, *, cores: float) -> Machine:
    number = ord(name[0]) - ord("a")
    return Machine(id=name, host=name, address=f"10.0.0.{number}", cores=cores, gpus=0, gpu=None, head=cores == 0)


def test_a_training_that_came_to_its_end_has_no_error():
    assert on_ray._end_of(Trainer(None), PARAMS) is None


def test_a_mistake_and_a_bug_come_back_as_they_were_told():
    for mistake in (DeepmarkError("the disk is full."), RankError("rank 1 of the training failed: ValueError: a bug")):
        assert on_ray._end_of(Trainer(on_ray.ControllerError(mistake)), PARAMS) is mistake


@pytest.mark.parametrize(
    ("error", "words"),
    [
        (
            on_ray.ControllerError(TimeoutError("2 of 4")),
            r"could not start the processes .*2 of 4.*cluster check",
        ),
        (on_ray.TrainingFailedError("node died"), r"^the training lost machines or processes more than 3 times .*died"),
        (on_ray.RayError("the head is gone"), r"^the Ray cluster was lost .*goes on from the last checkpoint\.$"),
    ],
)
def test_what_ray_gives_up_at_is_one_message(error, words):
    end = on_ray._end_of(Trainer(error), PARAMS)

    assert type(end) is DeepmarkError
    with pytest.raises(DeepmarkError, match=words):
        raise end


def test_a_mistake_of_ours_keeps_its_kind():
    mistake = ValueError("num_workers")

    assert on_ray._end_of(Trainer(mistake), PARAMS) is mistake


def test_a_machine_that_does_not_see_the_workspace_is_named(monkeypatch):
    machines = [machine("alpha", cores=0), machine("beta", cores=4), machine("gamma", cores=4)]
    monkeypatch.setattr(on_ray, "on_every_machine", lambda _, found: {each: each.host == "beta" for each in found})

    with pytest.raises(DeepmarkError, match=r"^/work/runs: is not seen on gamma \(10\.0\.0\.6\)\. A workspace"):
        on_ray._check_shared(Path("/work/runs"), machines)
    monkeypatch.setattr(on_ray, "on_every_machine", lambda _, found: dict.fromkeys(found, True))
    on_ray._check_shared(Path("/work/runs"), machines)


def test_a_machine_that_is_lost_while_it_is_asked_is_no_reason_to_refuse_the_others(monkeypatch):
    lost = on_ray.ray.exceptions.WorkerCrashedError()
    machines = [machine("beta", cores=4), machine("gamma", cores=4)]
    monkeypatch.setattr(on_ray, "on_every_machine", lambda _, found: dict(zip(found, (True, lost), strict=True)))

    on_ray._check_shared(Path("/work/runs"), machines)
