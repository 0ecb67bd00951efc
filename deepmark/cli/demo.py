"""The whole pipeline on drawn data, in a new workspace, as `make demo` runs it."""

import resource
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

from rich.console import Console

from deepmark.errors import DeepmarkError
from deepmark.eval.metric.metrics_file import read_metrics
from deepmark.progress import progress
from deepmark.report.tables.metric_tables import strategy_table
from deepmark.report.tables.table import to_rich
from deepmark.schema import STRATEGIES
from deepmark.synthetic import draw_dataset
from deepmark.workspace.environment import child_environment, tool
from deepmark.workspace.init import init_workspace
from deepmark.workspace.layout import Workspace


def _draw(workspace: Workspace, *, train: int, validation: int, seed: int) -> None:
    with progress("draw", train + validation) as advance:
        draw_dataset(workspace.raw, train=train, validation=validation, seed=seed, progress=advance)


def _materialize(workspace: Workspace) -> None:
    """Make every asset through Dagster, in another process: the library does not import the orchestrator."""
    command = [sys.executable, "-m", "pipelines.materialize", "--workspace", str(workspace.root)]
    if subprocess.run(command, env=child_environment(), check=False).returncode:
        raise DeepmarkError(
            f"{workspace.root}: the graph did not finish; the message above says why. "
            "Run the same command again to go on from there."
        )


def run_demo(root: Path, *, train: int, validation: int, seed: int) -> None:
    """Draw data into a new workspace, run the graph through Dagster, DVC and torchrun, and print the paper's table.

    A second run continues where the first was stopped, and does nothing if that was complete.
    """
    started = time.monotonic()
    workspace = init_workspace(root, "demo")
    _draw(workspace, train=train, validation=validation, seed=seed)
    _materialize(workspace)
    metrics = {name: read_metrics(workspace.metrics_file(name)) for name in STRATEGIES}
    seconds = time.monotonic() - started
    table = strategy_table(metrics, measured_on=f"{validation:,} drawn validation pictures", published=False)
    console = Console(soft_wrap=True)
    console.print("\n", to_rich(table), sep="")
    largest = resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss / 2**20
    console.print(f"{seconds:.0f} seconds; the largest process took {largest:.1f} GiB.\n", highlight=False)
    for line in _where_to_look(workspace):
        console.print(line, highlight=False)


def _where_to_look(workspace: Workspace) -> Iterator[str]:
    def short(path: Path) -> Path:
        return path.relative_to(Path.cwd()) if path.is_relative_to(Path.cwd()) else path

    deepmark, root, model = short(tool("deepmark")), short(workspace.root), short(workspace.model_file)
    yield f"Report    {short(workspace.report / 'index.html')}"
    yield f"Browse    make ui WORKSPACE={root}"
    yield f"Detect    {deepmark} detect {short(workspace.raw)}/validation/image --model {model} \\"
    yield f"              --draw {root / 'detections'}"
