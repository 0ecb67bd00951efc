"""A workspace with the real graph, whose commands are a few lines of Python instead of `deepmark`."""

import os
import signal
import subprocess
import sys
import time
from pathlib import Path

from dvc.repo import Repo
from processes import processes_in, wait_until
from workspaces import REPOSITORY

DVC = Path(sys.executable).with_name("dvc")

COMMANDS = r'''
import json, pathlib, subprocess, sys, time

IGNORES_SIGNALS = """
import signal, time
signal.signal(signal.SIGINT, signal.SIG_IGN)
signal.signal(signal.SIGTERM, signal.SIG_IGN)
time.sleep(600)
"""

def write(path, value):
    pathlib.Path(path).parent.mkdir(parents=True, exist_ok=True)
    pathlib.Path(path).write_text(value if isinstance(value, str) else json.dumps(value))

def ingest(split):
    from deepmark.compute.choose import engine_of
    from deepmark.params import ComputeParams

    files = len(list(pathlib.Path("data/raw", split).iterdir()))
    list(engine_of(ComputeParams(workers=1)).map_in_order(str, range(files)))
    if files == 13:
        sys.exit("deepmark ingest: data/raw/train/3.jpg: not a JPEG. Remove it, or ask for it again.")
    for ending in ("parquet", "rejected.parquet"):
        write(f"data/records/{split}.{ending}", split)
    write(f"data/records/{split}.statistics.json", {"inputs": files, "records": files, "rejected": 0, "by": {
        "category": {"vest": {"items": 3, "share_of_items": 1.0, "released_share_of_items": 0.1}}}})

def shard(split):
    from deepmark.data.shards.index import ShardIndex, write_index

    text = pathlib.Path(f"data/records/{split}.parquet").read_text()
    write(f"data/shards/{split}/{split}-000000.tar", text)
    shards = tuple(shard_of_a_mebibyte(f"{split}-{keys[0]}.tar", keys) for keys in (["000001", "000002"], ["000003"]))
    index = ShardIndex(split=split, seed=1, target_mib=1.0, shards=shards)
    write_index(pathlib.Path(f"data/shards/{split}/.index.json"), index)

def shard_of_a_mebibyte(file, keys):
    from deepmark.data.shards.index import Samples, Shard

    count, length = len(keys), (2**20 - 1024) // len(keys)
    samples = Samples(key=keys, offset=[length * i for i in range(count)], length=[length] * count,
                      jpeg_bytes=[length - 1536] * count, json_bytes=[512] * count, xxh3_64=["0" * 16] * count)
    return Shard(file=file, count=count, bytes=2**20, sha256="0" * 64, samples=samples)

def train():
    from deepmark.tracking.dagster_events import report_epoch

    for epoch in (1, 2):
        report_epoch({"loss/train": 8.0 / epoch}, epoch)
    if pathlib.Path("endless").exists():
        for session in (False, True):  # torchrun gives its ranks sessions of their own
            subprocess.Popen([sys.executable, "-c", IGNORES_SIGNALS], start_new_session=session)
        write("started", "")
        time.sleep(600)
    write("data/checkpoint/model.safetensors", "weights")
    history = [{"train": {"total": total}, "measured": {}, "skipped": 0} for total in (8.0, 4.0)]
    write("data/checkpoint/training.json", {
        "mlflow_run_id": "ab12", "mlflow_url": "http://127.0.0.1:5000/#/ab12", "history": history})
    write("metrics/train.json", {"epochs": 2, "loss": 4.0, "validation_loss": 5.0, "seconds": 1.5})
    write("plots/losses.csv", "epoch,train,validation\n1,8,9\n2,4,5\n")

def predict(strategy):
    write(f"data/predictions/{strategy}.parquet", strategy)
    write(f"metrics/timing/{strategy}.json", {"images": 3, "ms": {"total": 12.5}, "device": "cpu"})

def crossvalidate():
    write("data/predictions/held_out.parquet", "of none")

def evaluate(strategy):
    part = {"AP": 0.5, "AP50": 0.75, "AP75": 0.25}
    write(f"metrics/{strategy}.json", {"box": part, "landmark_visible": part, "landmark": part,
                                       "ms": {"total": 12.5}, "images": 3})
    write(f"tables/{strategy}/ap.csv", "metric,scope,value,low,high\nbox_ap,all,0.5,0.4,0.6\n"
                                        "box_ap,category:vest,0.5,0.4,0.6\n")
    write(f"plots/{strategy}.csv", "category,box_ap\nvest,0.5\n")

def export():
    figure = {"torch": 0.5, "value": 0.49, "difference": -0.01, "low": -0.03, "high": 0.01}
    write("export/model.onnx", "graph")
    write("metrics/export.json", {"torch_ms": 20.0, "files": {"float32": {
        "file": "model.onnx", "bytes": 5, "ms": 9.5, "box_ap": figure, "landmark_ap": figure,
        "equality": {"images": 3, "holds": True}}}})

def audit():
    import pandas

    write("data/audit/index.html", "<!doctype html>")
    suspects = pandas.DataFrame({"kind": ["elsewhere", "elsewhere", "missing label"], "score": [0.9, 0.5, 0.2]})
    suspects.to_parquet("data/audit/suspects.parquet")

def report():
    import cv2, numpy

    write("report/index.html", "<!DOCTYPE html>")
    cv2.imwrite("report/overview.jpg", numpy.full((320, 900, 3), 200, numpy.uint8))

command, *options = sys.argv[1:]
globals()[command](*options[1:])
'''


def ends_when_interrupted(command: list[object], folder: Path) -> bool:
    """Ctrl-C for a command whose endless stage works in the folder: whether all is gone there within five seconds."""
    environment = {**os.environ, "PYTHONPATH": str(REPOSITORY)}
    with subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, env=environment) as running:
        assert wait_until((folder / "started").exists, seconds=60)
        assert len(processes_in(folder)) >= 4
        interrupted = time.monotonic()
        running.send_signal(signal.SIGINT)
        running.wait(30)

        return wait_until(lambda: processes_in(folder) == [], seconds=5 - (time.monotonic() - interrupted))


def make_workspace(folder: Path, graph: str) -> None:
    (folder / "commands.py").write_text(COMMANDS, "utf-8")
    (folder / "dvc.yaml").write_text(graph.replace("cmd: deepmark", "cmd: exec python commands.py"), "utf-8")
    (folder / "params.yaml").write_text((REPOSITORY / "params.yaml").read_text("utf-8"), "utf-8")
    for split in ("train", "validation"):
        (folder / "data/raw" / split).mkdir(parents=True)
        for number in range(3):
            (folder / "data/raw" / split / f"{number}.jpg").write_text(f"{split} {number}")
    make_repository(folder)


def make_repository(folder: Path) -> None:
    """What `git init` and `dvc init` make; DVC in this process, which saves a second."""
    subprocess.run(["git", "init", "-q"], cwd=folder, check=True)
    Repo.init(str(folder)).close()
    (folder / ".dvc/config").write_text("[core]\n    analytics = false\n", "utf-8")
