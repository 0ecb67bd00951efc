"""Many shards and few descriptors: processes that may open 256 files read, verify, learn and predict 2 x 600 shards."""

import shutil
import sys
from pathlib import Path

import pytest
from tiny_dataset import LENIENT, write_split
from workspaces import run, set_params

from deepmark.compute.local import Local
from deepmark.data.ingest.ingest import ingest_split
from deepmark.data.shards.index import read_index
from deepmark.data.shards.writer import write_shards
from deepmark.vocabulary import DEEPFASHION2
from deepmark.workspace.environment import tool
from deepmark.workspace.init import init_workspace
from deepmark.workspace.layout import Workspace

SHARDS = 600

SCRIPT = """
import os, resource, sys, threading
from concurrent.futures import ThreadPoolExecutor

resource.setrlimit(resource.RLIMIT_NOFILE, (256, 256))
from deepmark.data.sampling import sample_order
from deepmark.train.start_checks import check_shards
from deepmark.workspace.inputs import open_shards
from deepmark.workspace.layout import Workspace

workspace, most, ended = Workspace(sys.argv[1]), 0, threading.Event()

def watch():
    global most
    while not ended.wait(0.001):
        most = max(most, len(os.listdir("/proc/self/fd")))

thread = threading.Thread(target=watch)
thread.start()
check_shards(workspace, processes=1, verify=True)
readers = [open_shards(workspace, split) for split in ("train", "validation")]
with ThreadPoolExecutor(4) as pool:
    for epoch in range(2):
        for reader in readers:
            order = sample_order(len(reader), seed=1, epoch=epoch).tolist()
            assert len({record.id for record, _ in pool.map(reader.__getitem__, order)}) == len(reader)
ended.set()
thread.join()
print(most)
"""


@pytest.fixture
def workspace(tmp_path: Path) -> Workspace:
    """A workspace with so many shards of one image each in both splits."""
    workspace = init_workspace(tmp_path / "workspace", "demo")
    write_split(workspace.raw / "train", SHARDS)
    ingest_split(
        workspace.raw, split="train", out=workspace.records, params=LENIENT, engine=Local(1), vocabulary=DEEPFASHION2
    )
    write_shards(
        workspace.records_file("train"),
        workspace.raw,
        workspace.shards("train"),
        split="train",
        seed=1,
        target_mib=0.001,
        engine=Local(1),
    )
    shutil.copytree(workspace.shards("train"), workspace.shards("validation"))
    assert len(read_index(workspace.shards("train")).shards) == SHARDS
    return workspace


@pytest.mark.slow
@pytest.mark.system
def test_many_shards_are_read_and_verified_with_few_descriptors(workspace):
    done = run(sys.executable, "-c", SCRIPT, workspace.root, cwd=workspace.root)

    assert done.code == 0, done.err
    assert 64 < int(done.out.split()[-1]) <= 200


@pytest.mark.slow
@pytest.mark.system
def test_training_and_prediction_need_few_descriptors_for_many_shards(workspace):
    small = set_params(workspace, model={"input_size": [64, 64]}, train={"epochs": 1, "batch_size": 100})
    set_params(small, compute={"train_processes": 2})
    for words in ("train", "predict --strategy nms"):
        done = run("/bin/bash", "-c", f"ulimit -n 256 && exec {tool('deepmark')} {words} --json", cwd=workspace.root)
        assert done.code == 0, done.err
    assert done.facts["pictures"] == SHARDS
