"""Do two versions of DeepMark give the same results? The demo's graph with each, and the sha256 of every output.

    git worktree add ../before v0.1
    python benchmarks/same_results.py ../before . [--train 400] [--validation 40] [--epochs 8]

Each version draws the images, ingests, shards, trains, predicts with all four strategies, evaluates, and runs `deepmark
detect`, with the same seed and one thread, in a temporary folder. Both run at once. Files that hold nothing but results
are compared byte by byte, records, predictions and weights without the facts of their making, and metrics and tables by
their numbers, without times, so that a column may have another name. Exits with 1 where anything differs.
"""

import argparse
import csv
import hashlib
import json
import os
import subprocess
import sys
import tomllib
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
from ruamel.yaml import YAML
from safetensors.numpy import load_file

STRATEGIES = ("none", "nms", "flip", "multiscale")
TIMES = {"ms", "seconds", "samples_per_second", "waiting"}


COMMANDS = """
import json, sys
from {module} import {function}
for words in json.loads(sys.argv[1]):
    sys.argv = ["deepmark", *words]
    try:
        {function}()
    except SystemExit as end:
        if end.code:
            raise
"""
"""One process for all commands, since most of their time goes into imports."""


def run(tree: Path, folder: Path, *commands: list[str]) -> None:
    """Commands of the version in `tree`, one after the other."""
    project = tomllib.loads((tree / "pyproject.toml").read_text("utf-8"))["project"]
    module, function = project["scripts"]["deepmark"].split(":")
    code = COMMANDS.format(module=module, function=function)
    environment = os.environ | {"PYTHONPATH": str(tree), "OMP_NUM_THREADS": "1"}
    environment.pop("MLFLOW_TRACKING_URI", None)
    words = [sys.executable, "-c", code, json.dumps(commands)]
    done = subprocess.run(words, cwd=folder, env=environment, capture_output=True, text=True, check=False)
    if done.returncode:
        raise SystemExit(f"{tree}: {done.stderr}")


def make_everything(tree: Path, *, train: int, validation: int, epochs: int) -> dict[str, str]:
    """The sha256 of every output of the version in `tree`, by its name."""
    with TemporaryDirectory(prefix="deepmark-same-") as folder:
        workspace = Path(folder) / "workspace"
        run(tree, Path(folder), ["init", "workspace", "--profile", "demo"])
        yaml, file = YAML(), workspace / "params.yaml"
        params = yaml.load(file.read_text("utf-8"))
        # the choice of the best epoch and the average of the weights decide the result too
        params["train"] |= {"epochs": epochs, "evaluate_every": 1, "ema": 0.9}
        params["compute"]["train_processes"] = 1
        yaml.dump(params, file)
        model = "data/checkpoint/model.safetensors"
        option = "--out" if (tree / "deepmark/cli/outputs.py").is_file() else "--json"  # as 0.1 spelt it
        run(
            tree,
            workspace,
            ["synth", "data/raw", "--train", str(train), "--validation", str(validation)],
            *([command, "--split", split] for split in ("train", "validation") for command in ("ingest", "shard")),
            ["train"],
            *([command, "--strategy", name] for name in STRATEGIES for command in ("predict", "evaluate")),
            ["detect", "data/raw/validation/image", "--model", model, "--min-score", "0.05", option, "detect.json"],
        )
        return dict(outputs(workspace))


def outputs(workspace: Path) -> Iterator[tuple[str, str]]:
    for folder in ("data/raw", "data/shards"):
        files = sorted(file for file in (workspace / folder).rglob("*") if file.is_file())
        yield folder, sha256(*(file.read_bytes() for file in files))
    for split in ("train", "validation"):
        name = f"data/records/{split}"
        yield f"{name}.parquet", sha256(bytes(without_metadata(pq.read_table(workspace / f"{name}.parquet"))))
        yield f"{name}.statistics.json", sha256_of_json(workspace / f"{name}.statistics.json")
    weights = load_file(workspace / "data/checkpoint/model.safetensors")
    yield "weights", sha256(*(name.encode() + weights[name].tobytes() for name in sorted(weights)))
    yield "run id", next((workspace / "runs/train").iterdir()).name
    yield "metrics/train.json", sha256_of_json(workspace / "metrics/train.json")
    yield "deepmark detect", sha256((workspace / "detect.json").read_bytes())
    yield "plots/losses.csv", sha256((workspace / "plots/losses.csv").read_bytes())
    for strategy in STRATEGIES:
        name = f"data/predictions/{strategy}.parquet"
        yield name, sha256(bytes(without_metadata(pq.read_table(workspace / name))))
        yield f"metrics/{strategy}.json", sha256_of_json(workspace / f"metrics/{strategy}.json")
        for file in sorted((workspace / "tables" / strategy).glob("*.csv")):
            rows = list(csv.reader(file.read_text("utf-8").splitlines()))
            yield str(file.relative_to(workspace)), sha256_of(cell for row in rows for cell in row if is_number(cell))


def sha256(*parts: bytes) -> str:
    digest = hashlib.sha256()
    for part in parts:
        digest.update(part)
    return digest.hexdigest()


def sha256_of(numbers: Iterator[str]) -> str:
    return sha256("\n".join(sorted(numbers)).encode())


def sha256_of_json(file: Path) -> str:
    return sha256_of(numbers_in(json.loads(file.read_text("utf-8"))))


def numbers_in(value: Any) -> Iterator[str]:
    """All numbers of a JSON document, times left out."""
    if isinstance(value, dict):
        for name, inner in value.items():
            if name not in TIMES:
                yield from numbers_in(inner)
    elif isinstance(value, list):
        for inner in value:
            yield from numbers_in(inner)
    elif isinstance(value, int | float) and not isinstance(value, bool):
        yield repr(value)


def is_number(cell: str) -> bool:
    try:
        float(cell)
    except ValueError:
        return False
    return True


def without_metadata(table: pa.Table) -> pa.Buffer:
    table = table.replace_schema_metadata(None).combine_chunks()
    sink = pa.BufferOutputStream()
    with pa.ipc.new_stream(sink, table.schema) as stream:
        stream.write_table(table)
    return sink.getvalue()


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument(
        "trees", type=Path, nargs=2, metavar="TREE", help="A source tree: the folder of pyproject.toml."
    )
    parser.add_argument("--train", type=int, default=400)
    parser.add_argument("--validation", type=int, default=40)
    parser.add_argument("--epochs", type=int, default=8)
    options = parser.parse_args()
    sizes = {"train": options.train, "validation": options.validation, "epochs": options.epochs}
    trees = [tree.resolve() for tree in options.trees]
    with ThreadPoolExecutor(len(trees)) as pool:
        before, after = pool.map(lambda tree: make_everything(tree, **sizes), trees)
    for name in sorted(before.keys() | after.keys()):
        same = before.get(name) == after.get(name)
        print(f"{name:44} {before.get(name, '-')[:16]:16} {'equal' if same else after.get(name, '-')[:16]}")
    if before != after:
        sys.exit(1)
    print(f"all {len(before)} outputs are equal")


if __name__ == "__main__":
    main()
