from pathlib import Path

import pytest
from ray_head import ray_head
from workspaces import set_params

from deepmark.workspace.layout import Workspace
from pipelines import gpu_pool
from pipelines.instance import open_instance


def width(workspace: Path) -> int:
    with open_instance(workspace) as instance:
        return instance.event_log_storage.get_concurrency_info(gpu_pool.POOL).slot_count


@pytest.mark.parametrize(("gpus", "slots"), [(16, 16), (0, 1)])
def test_the_pool_is_as_wide_as_the_cluster_has_gpus(workspace, monkeypatch, gpus, slots):
    set_params(Workspace(workspace), compute={"engine": "ray"})
    monkeypatch.setattr(gpu_pool, "cluster_gpus", lambda _: gpus)

    assert gpu_pool.widen_gpu_pool(workspace) == slots
    assert width(workspace) == slots


def test_on_one_machine_the_pool_stays_as_it_is(workspace):
    with open_instance(workspace) as instance:
        instance.event_log_storage.set_concurrency_slots(gpu_pool.POOL, 3)

    assert gpu_pool.widen_gpu_pool(workspace) is None
    assert width(workspace) == 3


@pytest.mark.slow
def test_the_gpus_are_those_that_the_cluster_tells(workspace, monkeypatch, capfd):
    set_params(Workspace(workspace), compute={"engine": "ray", "address": "127.0.0.1:9"})
    assert gpu_pool.cluster_gpus(workspace) is None
    assert "warning: the pool gpu keeps its width: deepmark cluster: no Ray cluster answers" in capfd.readouterr().err

    with ray_head(1, "--num-gpus=2") as head:
        for name, value in head.variables.items():
            monkeypatch.setenv(name, value)
        set_params(Workspace(workspace), compute={"engine": "ray", "address": "auto"})
        assert gpu_pool.cluster_gpus(workspace) == 2
