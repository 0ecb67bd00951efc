"""Runs the rows of gpu_rows.py within a budget of time, each in a process of its own, and writes the page.

    benchmarks/gpu.sh [--out gpu.md] [--minutes 10]       on a machine with a GPU
    benchmarks/gpu.sh --toy                               at toy size, on a CPU too

A row that fails, has no memory or no time left is named on the page, the others go on, and the exit code is 1. What a
part does not use of its time, the next ones have. The page is written anew after every part.
"""

import argparse
import json
import os
import platform
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Any

import torch
from gpu_rows import BACKBONES, SCALES, Scale

from deepmark.files import write_text
from deepmark.report.tables.table import UNKNOWN, Row, Table, to_markdown

PRECISIONS = ("bf16", "fp16", "fp32")
ROWS_FILE = Path(__file__).with_name("gpu_rows.py")

LARGE = 60
"""GB of a GPU that holds three trainings at once."""


@dataclass(frozen=True, kw_only=True)
class Task:
    """A row of the page: a function of gpu_rows.py, and what it is called with."""

    name: str
    function: str
    options: dict[str, Any] = field(default_factory=dict)


@dataclass(frozen=True, kw_only=True)
class Part:
    """A table of the page."""

    title: str
    note: str
    seconds: float
    """Its share of the ten minutes."""

    tasks: Sequence[Task]
    at_once: int = 1
    """Tasks that are prepared at the same time; what is timed waits for its turn."""


@dataclass(frozen=True, kw_only=True)
class Outcome:
    name: str
    figures: dict[str, Any]
    fault: str = ""


def plan(scale: Scale, *, at_once: int, backbones: Sequence[str] = BACKBONES) -> list[Part]:
    """All parts, the most important ones first; together ten minutes."""
    networks = [Task(name=name, function="network", options={"backbone": name}) for name in backbones]
    compiled = [name for name in backbones if name in scale.compiled]
    return [
        Part(
            title="Files",
            note="Drawn images as shards, and networks with start values as ONNX files.",
            seconds=60,
            tasks=[Task(name="drawn images", function="data"), *networks],
            at_once=min(4, os.cpu_count() or 1),
        ),
        Part(
            title="Correctness",
            note="Float32 on the CPU and on the GPU, without TF32: the differences of maps, loss and gradient as "
            "shares of themselves, and of the garments that are found. Without a GPU: two ways to compute on the CPU.",
            seconds=60,
            tasks=[Task(name=name, function="correctness", options={"backbone": name}) for name in backbones],
        ),
        Part(
            title="Data loading",
            note="Samples from JPEGs of 750 x 1000 pixels, augmented, in batches on the device.",
            seconds=20,
            tasks=[Task(name="loader", function="loading")],
        ),
        Part(
            title="Training",
            note="The whole step of the paper's recipe, Adam included. GB is the most memory at once (without a GPU, "
            "of the process); waiting is the share of the time without samples.",
            seconds=120,
            tasks=_trainings(backbones, compiled=False),
        ),
        Part(
            title="A minute of fp16",
            note="DLA-34 with the paper's rate and a scaled loss; a step whose gradient overflows is left out.",
            seconds=90,
            tasks=[Task(name="dla34", function="fp16")],
        ),
        Part(
            title="Inference",
            note="From canvas to garments in float32, decoding included.",
            seconds=80,
            tasks=[*_inferences(backbones, "eager", "torch"), *_inferences(backbones, "float32", "ONNX Runtime")],
        ),
        Part(
            title="Inference, compiled",
            note="The same with torch.compile of network and heads.",
            seconds=60,
            tasks=_inferences(compiled, "compile", "compiled"),
            at_once=at_once,
        ),
        Part(
            title="Training, compiled",
            note="As above, with train.compile.",
            seconds=110,
            tasks=_trainings(compiled, compiled=True),
            at_once=at_once,
        ),
    ]


def _trainings(backbones: Sequence[str], *, compiled: bool) -> list[Task]:
    return [
        Task(
            name=f"{backbone}, {precision}",
            function="training",
            options={"backbone": backbone, "precision": precision, "compiled": compiled},
        )
        for precision in PRECISIONS
        for backbone in backbones
    ]


def _inferences(backbones: Sequence[str], runs_in: str, words: str) -> list[Task]:
    return [
        Task(name=f"{backbone}, {words}", function="inference", options={"backbone": backbone, "runs_in": runs_in})
        for backbone in backbones
    ]


def run(task: Task, folder: Path, scale: str, deadline: float) -> Outcome:
    """What a process of its own gives until the deadline, by time.monotonic()."""
    began = time.monotonic()
    if began >= deadline:
        return Outcome(name=task.name, figures={}, fault="no time was left")
    words = [task.function, str(folder), scale, json.dumps(task.options)]
    command = [sys.executable, str(ROWS_FILE), *words]
    # a session, because torch.compile starts processes
    process = subprocess.Popen(
        command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, start_new_session=True
    )
    try:
        out, errors = process.communicate(timeout=deadline - began)
    except subprocess.TimeoutExpired:
        out, errors = "", f"stopped after {time.monotonic() - began:.0f} s: its time was over"
    finally:
        if process.poll() is None:
            os.killpg(process.pid, signal.SIGKILL)
            process.communicate()
    figures = json.loads(out.splitlines()[-1]) if process.returncode == 0 and out else {}
    fault = figures.pop("fault", "") if figures else _last_line(errors) or f"ended with {process.returncode}"
    print(f"{time.monotonic() - began:5.0f} s  {task.function}: {task.name}  {fault or 'done'}", file=sys.stderr)
    return Outcome(name=task.name, figures=figures, fault=fault)


def _last_line(errors: str) -> str:
    lines = [line.strip() for line in errors.splitlines() if line.strip()]
    return lines[-1][:500] if lines else ""


def page(done: Sequence[tuple[Part, Sequence[Outcome]]], facts: dict[str, str]) -> str:
    """The results as Markdown."""
    faults = [f"- {part.title}, {one.name}: {one.fault}" for part, outcomes in done for one in outcomes if one.fault]
    text = ["# What this device gives\n", *(f"- {name}: {value}" for name, value in facts.items())]
    text += ["\n## What is not as it should be\n", *faults] if faults else []
    for part, outcomes in done:
        text += [f"\n## {part.title}\n\n{part.note}\n", to_markdown(_table(part.title, outcomes)).rstrip()]
    return "\n".join(text) + "\n"


def _table(title: str, outcomes: Sequence[Outcome]) -> Table:
    columns = list(dict.fromkeys(name for one in outcomes for name in one.figures))
    rows = (Row(cells=(one.name, *(_cell(one.figures.get(name)) for name in columns))) for one in outcomes)
    return Table(title=title, columns=("", *columns), rows=tuple(rows))


def _cell(value: Any) -> str:
    if not isinstance(value, float):
        return UNKNOWN if value is None else str(value)
    return f"{value:.3g}" if abs(value) < 1000 else f"{value:,.0f}"


def facts_of(scale: Scale) -> dict[str, str]:
    """The machine, the software, and the size of what is measured."""
    name, driver = f"none; CPU, {torch.get_num_threads()} threads, {platform.machine()}", UNKNOWN
    if torch.cuda.is_available():
        device = torch.cuda.get_device_properties(0)
        name = f"{device.name}, {device.total_memory / 1e9:.0f} GB, compute capability {device.major}.{device.minor}"
        query = ["nvidia-smi", "--query-gpu=driver_version", "--format=csv,noheader"]
        driver = subprocess.run(query, capture_output=True, text=True, check=False).stdout.splitlines()[0]
    packages = {}
    for package in ("onnxruntime", "onnxruntime-gpu"):
        try:
            packages[package] = version(package)
        except PackageNotFoundError:
            continue
    return {
        "GPU": name,
        "processors": str(os.cpu_count()),
        "torch": f"{torch.__version__}, CUDA {torch.version.cuda}, cuDNN {torch.backends.cudnn.version()}",
        "driver": driver,
        **packages,
        "input": f"{scale.size} x {scale.size} pixels; training in batches of {scale.batch}, {scale.steps} steps timed",
    }


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--out", type=Path, default=Path("gpu.md"), help="the page (gpu.md)")
    parser.add_argument("--toy", action="store_true", help="everything at toy size")
    parser.add_argument("--minutes", type=float, default=10.0, help="for all of it (10)")
    parser.add_argument("--network", nargs="+", choices=BACKBONES, default=BACKBONES, help="some of them (all)")
    given = parser.parse_args()
    has_gpu = torch.cuda.is_available()
    if not has_gpu and not given.toy:
        print("no GPU: torch.cuda.is_available() is false. `benchmarks/gpu.sh --toy` runs on a CPU.", file=sys.stderr)
        return 1
    scale = "toy" if given.toy else "gpu"
    large = has_gpu and torch.cuda.get_device_properties(0).total_memory > 1e9 * LARGE
    todo = plan(SCALES[scale], at_once=3 if large else 1, backbones=given.network)
    done: list[tuple[Part, list[Outcome]]] = []
    facts = facts_of(SCALES[scale])
    share = 60 * given.minutes / sum(part.seconds for part in todo)
    start = deadline = time.monotonic()
    with tempfile.TemporaryDirectory(prefix="deepmark-gpu-") as name:
        for part in todo:
            deadline += share * part.seconds
            with ThreadPoolExecutor(part.at_once) as pool:
                waiting = [pool.submit(run, task, Path(name), scale, deadline) for task in part.tasks]
                done.append((part, [one.result() for one in waiting]))
            facts["time"] = f"{time.monotonic() - start:.0f} s of {60 * given.minutes:.0f}"
            write_text(given.out, page(done, facts))
    bad = [one for _, outcomes in done for one in outcomes if one.fault]
    print(f"{given.out}: {len(bad) or 'no'} row{'s' * (len(bad) != 1)} not as it should be", file=sys.stderr)
    return 1 if bad else 0


if __name__ == "__main__":
    sys.exit(main())
