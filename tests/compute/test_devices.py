"""One process a GPU, each with its own and a share of the cores; the GPUs are pretended."""

import os

import pytest

from deepmark.compute import devices
from deepmark.compute.devices import device_environments
from deepmark.compute.local import Local


@pytest.fixture(autouse=True)
def sixteen_cores(monkeypatch):
    monkeypatch.setattr(os, "cpu_count", lambda: 16)
    for name in ("OMP_NUM_THREADS", "DEEPMARK_LOADER_THREADS", "CUDA_VISIBLE_DEVICES"):
        monkeypatch.delenv(name, raising=False)


@pytest.fixture
def gpus(monkeypatch):
    def pretend(*names):
        monkeypatch.setattr(devices, "visible_gpus", lambda: list(names))

    return pretend


def shares(processes=None):
    return [
        (each.get("CUDA_VISIBLE_DEVICES"), each["OMP_NUM_THREADS"], each["DEEPMARK_LOADER_THREADS"])
        for each in device_environments(processes)
    ]


def test_each_gpu_has_a_process_with_its_share_of_the_cores(gpus):
    gpus("0", "1", "2", "3")

    assert shares() == [(name, "4", "4") for name in ("0", "1", "2", "3")]
    assert shares(processes=2) == [("0", "8", "8"), ("1", "8", "8")]
    assert shares(processes=99) == shares()


def test_without_a_gpu_one_process_has_all_cores_unless_more_are_asked_for(gpus):
    gpus()

    assert shares() == [(None, "16", "8")]
    assert shares(processes=4) == [(None, "4", "4")] * 4
    assert shares(processes=99) == [(None, "1", "1")] * 99


def test_threads_that_the_environment_names_stay(gpus, monkeypatch):
    gpus("0", "1")
    monkeypatch.setenv("OMP_NUM_THREADS", "3")
    monkeypatch.setenv("DEEPMARK_LOADER_THREADS", "0")

    assert shares() == [("0", "3", "0"), ("1", "3", "0")]


@pytest.mark.parametrize(
    ("named", "expected"), [(None, ["0", "1"]), ("5,7", ["5", "7"]), ("GPU-a,GPU-b", ["GPU-a", "GPU-b"])]
)
def test_a_gpu_keeps_the_name_that_the_environment_has_for_it(named, expected, monkeypatch):
    import torch

    monkeypatch.setattr(torch.cuda, "device_count", lambda: 2)
    if named:
        monkeypatch.setenv("CUDA_VISIBLE_DEVICES", named)

    assert devices.visible_gpus() == expected


def own_gpu(_):
    return os.environ["CUDA_VISIBLE_DEVICES"], os.getpid()


@pytest.mark.slow
def test_every_process_works_on_a_gpu_of_its_own(gpus):
    gpus("4", "6")
    found = set(Local().map_in_order(own_gpu, range(40), on="device"))

    assert {pid for _, pid in found} & {os.getpid()} == set()
    assert len({pid for _, pid in found}) == len(found)  # no process has seen two
    assert {name for name, _ in found} <= {"4", "6"}


def own_process(_):
    return os.getpid()


@pytest.mark.parametrize("names", [(), ("0",)])
def test_one_device_is_used_by_this_process(gpus, names):
    gpus(*names)

    assert set(Local().map_in_order(own_process, range(3), on="device")) == {os.getpid()}
