"""One process at a time changes the registry, also after the holder of the lock was killed."""

import os
import signal
import subprocess
import sys
import threading

import pytest
from workspaces import copied

from deepmark.errors import DeepmarkError
from deepmark.registry import lock as registry_lock
from deepmark.registry.versions import Registry
from deepmark.tracking.mlflow_store import PROCESS_TAG


@pytest.fixture(scope="module")
def root(sharded_once, tmp_path_factory):
    return copied(sharded_once, tmp_path_factory.mktemp("lock")).root


@pytest.fixture
def registry(root):
    return Registry(root)


@pytest.fixture
def short_timeout(monkeypatch):
    monkeypatch.setattr(registry_lock, "TIMEOUT_SECONDS", 0.3)


KILLED = """
import os, signal, sys
from pathlib import Path
from deepmark.registry.versions import Registry
with Registry(Path(sys.argv[1])).exclusive():
    os.kill(os.getpid(), signal.SIGKILL)
"""


def test_processes_change_the_registry_one_at_a_time(registry, root):
    inside, most = [], []

    def enter():
        with Registry(root).exclusive():
            inside.append(1)
            most.append(len(inside))
            threading.Event().wait(0.05)
            inside.pop()

    threads = [threading.Thread(target=enter) for _ in range(3)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()

    assert most == [1, 1, 1]


@pytest.mark.slow
def test_the_lock_of_a_killed_process_is_taken_over(registry, root):
    done = subprocess.run([sys.executable, "-c", KILLED, root], capture_output=True, check=False)
    assert done.returncode == -signal.SIGKILL
    left = registry._client.get_registered_model(registry_lock.LOCK_MODEL)
    assert not left.tags[PROCESS_TAG].startswith(f"{os.uname().nodename}:{os.getpid()}:")

    with registry.exclusive():
        pass

    assert registry_lock._holder(registry._client) is None


def test_a_lock_of_another_machine_is_left_and_its_holder_named(registry, short_timeout):
    registry._client.create_registered_model(registry_lock.LOCK_MODEL, tags={PROCESS_TAG: "elsewhere:7:1.00"})
    try:
        refusal = pytest.raises(DeepmarkError, match=r"by process elsewhere:7:1\.00.*delete the registered model")
        with refusal, registry.exclusive():
            pass
    finally:
        registry_lock._release(registry._client)


def test_a_process_of_this_machine_that_keeps_the_lock_is_waited_for_and_then_named(registry, root, short_timeout):
    refusal = pytest.raises(DeepmarkError, match=r"another process of this machine. Wait for it")
    with registry.exclusive(), refusal, Registry(root).exclusive():
        pass


def test_an_error_inside_releases_the_lock(registry):
    with pytest.raises(ValueError, match="mine"), registry.exclusive():
        raise ValueError("mine")

    with registry.exclusive():
        pass
