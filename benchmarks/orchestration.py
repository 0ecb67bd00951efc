"""What the graph itself costs: reading it, an asset beside the bare `dvc repro` of its stage, a run with nothing to do.

    python benchmarks/orchestration.py [--times 5]

On the project's own dvc.yaml with the tests' toy commands, which write small files and nothing else. What is compared
takes turns, and the medians count. An asset is measured in a process that has read the graph, as in a chain of runs;
`dvc` is a process from start to end. The train stage stands for all. CPU seconds include the processes below.
"""

import argparse
import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from statistics import median as middle

import dagster as dg
from startup import JOBS, REPOSITORY, median, process, timed

from deepmark.workspace.environment import child_environment
from pipelines.code_location import build_definitions
from pipelines.instance import dagster_home, open_instance
from pipelines.jobs.runs import PlannedRun, execute_run
from pipelines.materialize import materialize_all

sys.path.insert(0, str(REPOSITORY / "tests" / "helpers"))
from processes import wait_until
from toy_workspace import DVC, make_workspace

Measured = dict[str, list[tuple[float, float]]]
TRAIN = PlannedRun(job="train", partition=None, assets=("checkpoint",))
QUEUE_LOOKS_EVERY = 5.0
"""Seconds; Dagster's default."""


def take_turns(ways: Mapping[str, Callable[[], object]], times: int, before: Callable[[], object] = int) -> Measured:
    """Seconds of each way, one after the other, `times` over; `before` is done before each and not measured."""
    measured: Measured = {name: [] for name in ways}
    for _ in range(times):
        for name, do in ways.items():
            before()
            measured[name].append(timed(do))
    return measured


def show(title: str, measured: Measured, *, over: str) -> None:
    """A table, with what each takes beyond the row called `over`."""
    base = median(measured[over])
    print(f"\n| {title} | seconds | CPU seconds | beyond '{over}' | ratio |\n|---|---:|---:|---:|---:|")
    for name, values in measured.items():
        wall, cpu = median(values)
        more = f"{wall - base[0]:+.2f} s, {cpu - base[1]:+.2f} of CPU | {wall / base[0]:.1f}" if name != over else " | "
        print(f"| {name} | {wall:.2f} | {cpu:.2f} | {more} |", flush=True)


@contextmanager
def silence() -> Iterator[None]:
    """What stages and DVC print goes nowhere, also what they print below Python."""
    sys.stdout.flush()
    kept = os.dup(1)
    with Path(os.devnull).open("wb") as nowhere:
        os.dup2(nowhere.fileno(), 1)
    try:
        yield
    finally:
        sys.stdout.flush()
        os.dup2(kept, 1)
        os.close(kept)


def measure_assets(workspace: Path, instance: dg.DagsterInstance, times: int) -> None:
    """The same stage by `dvc` and as an asset, where it runs and where there is nothing to do."""
    defs = build_definitions(workspace)
    shard = workspace / "data/shards/train/.index.json"
    ways = {
        "dvc repro": process([str(DVC), "repro", "--single-item", "train"], workspace),
        "asset": lambda: execute_run(defs, instance, TRAIN),
    }

    def change() -> None:
        shard.write_text(f'{{"shards": [], "changed": {time.time_ns()}}}')

    with silence():
        runs = take_turns(ways, times, before=change)
        unchanged = take_turns(ways, times)
    show("a stage that runs", runs, over="dvc repro")
    show("a stage that is up to date", unchanged, over="dvc repro")


def measure_nothing(workspace: Path, times: int) -> None:
    """Everything, where everything is up to date."""
    with silence():
        materialize_all(workspace)  # the shards that were changed
        measured = take_turns(
            {
                "dvc repro": process([str(DVC), "repro"], workspace),
                "python -m pipelines.materialize": process(
                    [sys.executable, "-m", "pipelines.materialize", "--workspace", str(workspace)]
                ),
                "its runs alone": lambda: materialize_all(workspace),
            },
            times,
        )
    show("nothing to do: 15 stages, 9 runs", measured, over="dvc repro")


def measure_launches(workspace: Path, instance: dg.DagsterInstance, times: int) -> None:
    """From a run that is asked for to its first step, with the real daemon and code server."""
    tools = Path(sys.executable).parent
    env = {**os.environ, "DAGSTER_HOME": str(dagster_home(workspace)), "DEEPMARK_WORKSPACE": str(workspace)}
    env["PYTHONPATH"] = str(REPOSITORY)
    module = ["-m", "pipelines.definitions"]
    quiet = {"env": env, "cwd": workspace, "stdout": subprocess.DEVNULL, "stderr": subprocess.DEVNULL}
    daemon = [sys.executable, "-m", "assets.dvc.process_guard", str(tools / "dagster-daemon"), "run", *module]
    waits = []
    with subprocess.Popen(daemon, stdin=subprocess.PIPE, **quiet) as running:
        try:
            for _ in range(times + 1):
                subprocess.run([str(tools / "dagster"), "job", "launch", *module, "-j", "train"], check=True, **quiet)
                (record,) = instance.get_run_records(limit=1)
                run = record.dagster_run.run_id
                if not wait_until(lambda run=run: instance.get_run_by_id(run).is_finished, seconds=300):
                    raise TimeoutError(f"run {run} does not end")
                (started,) = instance.all_logs(run, dg.DagsterEventType.STEP_START)
                waits.append(started.timestamp - record.create_timestamp.timestamp())
        finally:
            running.terminate()
    counted = waits[1:]  # the first waits for the daemon to be there
    print(
        f"\nFrom launch to first step: {middle(counted):.1f} s ({min(counted):.1f} to {max(counted):.1f}), "
        f"of which up to {QUEUE_LOOKS_EVERY:.0f} in the queue."
    )


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--times", type=int, default=5, help="how often each is measured")
    times = parser.parse_args().times
    os.environ.update(child_environment())  # the toy commands are run by this Python
    print(f"Medians of {times}; load of the machine at the start {os.getloadavg()[0]:.1f}.")
    chosen = ("python, nothing", "import dagster", "code location")
    show("loading", take_turns({name: process(JOBS[name]) for name in chosen}, times), over="import dagster")
    with tempfile.TemporaryDirectory() as folder:
        workspace = Path(folder).resolve()
        make_workspace(workspace, (REPOSITORY / "dvc.yaml").read_text("utf-8"))
        with open_instance(workspace) as instance:
            with silence():
                materialize_all(workspace, instance=instance)
            measure_assets(workspace, instance, times)
            measure_nothing(workspace, times)
            measure_launches(workspace, instance, times)


if __name__ == "__main__":
    main()
