"""The whole pipeline on drawn data: what `make demo` runs, and the proof that all its parts agree."""

import json
import resource
import subprocess
import sys
import time
from pathlib import Path

from rich.console import Console

from deepmark.data.synthetic import draw_dataset
from deepmark.errors import DeepmarkError
from deepmark.progress import progress
from deepmark.report.tables import strategy_table, to_rich
from deepmark.schema import STRATEGIES
from deepmark.workspace import Workspace, environment, init_workspace


def _draw(workspace: Workspace, *, train: int, validation: int, seed: int) -> None:
    with progress("draw", train + validation) as advance:
        draw_dataset(workspace.raw, train=train, validation=validation, seed=seed, progress=advance)


def _materialize(workspace: Workspace) -> None:
    """Every asset through Dagster, in a process of its own: the library itself knows no orchestrator."""
    command = [sys.executable, "-m", "pipelines.materialize", "--workspace", str(workspace.root)]
    if subprocess.run(command, env=environment(), check=False).returncode:
        raise DeepmarkError(
            f"{workspace.root}: the graph did not finish; the message above says why. "
            "Run the same command again to go on from there."
        )


def run_demo(root: Path, *, train: int, validation: int, seed: int) -> None:
    """Draw data into a new workspace, run the graph through Dagster, DVC and torchrun, and print the paper's table.

    Run again, it goes on where it was stopped, and does nothing when all is done.
    """
    started = time.monotonic()
    workspace = init_workspace(root, "demo")
    _draw(workspace, train=train, validation=validation, seed=seed)
    _materialize(workspace)
    metrics = {name: json.loads(workspace.metrics_file(name).read_text("utf-8")) for name in STRATEGIES}
    seconds = time.monotonic() - started
    table = strategy_table(metrics, measured_on=f"{validation:,} drawn validation pictures")
    console = Console()
    console.print()
    console.print(to_rich(table))
    largest = resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss / 2**20
    console.print(f"{seconds:.0f} seconds; the largest process took {largest:.1f} GiB.\n")
    console.print(f"Report      {workspace.report / 'report.md'}")
    console.print(f"Pictures    {workspace.report / 'pictures'}")
    console.print(f"Model       {workspace.model_file}")
    console.print("Try it      deepmark detect PICTURE --model MODEL --draw FOLDER")
    console.print(f"Look inside make ui WORKSPACE={root}   (Dagster on port 3000, MLflow on port 5000, loopback)")
