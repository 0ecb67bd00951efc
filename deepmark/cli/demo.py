"""The whole pipeline on drawn data, in a new workspace, as `make demo` runs it."""

import os
import resource
import shlex
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from rich.console import Console

from deepmark.cli.options import print_json
from deepmark.digests import read_json_with_digest
from deepmark.errors import DeepmarkError
from deepmark.eval.metric.metrics_file import read_metrics
from deepmark.progress import progress
from deepmark.report.tables.export_tables import export_table
from deepmark.report.tables.metric_tables import strategy_table
from deepmark.report.tables.table import to_rich
from deepmark.runtime.contract import FILES
from deepmark.schema import STRATEGIES
from deepmark.synthetic import draw_dataset
from deepmark.workspace.environment import child_environment, tool
from deepmark.workspace.init import init_workspace
from deepmark.workspace.layout import Workspace

NOT_RELEASED = 3
"""The exit code of `pipelines.materialize` where every stage is made, and candidate or champion are not."""

_STANDARD_ERROR = 2
"""Its descriptor, which is that of this process, whatever Python writes its messages to."""


def _draw(workspace: Workspace, *, train: int, validation: int, seed: int) -> None:
    with progress("draw", train + validation) as advance:
        draw_dataset(workspace.raw, train=train, validation=validation, seed=seed, progress=advance)


def _materialize(workspace: Workspace, *, release: bool, quiet: bool) -> bool:
    """Make every asset through Dagster, in another process: the library does not import the orchestrator.

    What that prints goes to standard error where our standard output is for JSON alone (`quiet`). Returns whether the
    release is made too, where it is asked for; raises DeepmarkError where the rest is not.
    """
    command = [sys.executable, "-m", "pipelines.materialize", "--workspace", str(workspace.root)]
    command += ["--release"] if release else []
    stdout = _STANDARD_ERROR if quiet else None
    status = subprocess.run(command, env=child_environment(), stdout=stdout, check=False).returncode
    if status not in (0, NOT_RELEASED):
        raise DeepmarkError(
            f"{workspace.root}: the graph did not finish; the message above says why. "
            "Run the same command again to go on from there."
        )
    return status == 0


def run_demo(root: Path, *, train: int, validation: int, seed: int, as_json: bool = False) -> None:
    """Draw data into a new workspace, run the graph through Dagster, DVC and torchrun, and print the results.

    The model is registered and promoted in the workspace's own registry, never in one that MLFLOW_TRACKING_URI names,
    where other people's models serve. A second run continues where the first was stopped, and does nothing if that was
    complete.

    Raises DeepmarkError where the graph does not finish, and, after the results, where the gate refuses the model.
    """
    started = time.monotonic()
    workspace = init_workspace(root, "demo")
    _draw(workspace, train=train, validation=validation, seed=seed)
    own_registry = not os.environ.get("MLFLOW_TRACKING_URI")
    released = _materialize(workspace, release=own_registry, quiet=as_json)
    metrics = {name: read_metrics(workspace.metrics_file(name)) for name in STRATEGIES}
    exported = read_json_with_digest(workspace.export_metrics_file, "deepmark export")
    seconds = time.monotonic() - started
    largest = resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss / 2**20
    if as_json:
        places = {"workspace": str(workspace.root), "report": str(workspace.report / "index.html")}
        figures = {"metrics": metrics, "exported": exported["files"]}
        print_json({**places, **figures, "seconds": seconds, "gib_of_largest_process": largest})
    else:
        _print_results(workspace, metrics, exported, seconds, largest, own_registry=own_registry)
    if not released:
        raise DeepmarkError(_why_not_released(workspace))


def _print_results(
    workspace: Workspace,
    metrics: dict[str, Any],
    exported: dict[str, Any],
    seconds: float,
    largest: float,
    *,
    own_registry: bool,
) -> None:
    table = strategy_table(metrics, measured_on=f"{metrics[STRATEGIES[0]]['images']:,} drawn validation images")
    console = Console(soft_wrap=True)
    console.print("\n", to_rich(table), sep="")
    console.print("\n", to_rich(export_table(exported)), sep="")
    console.print(f"{seconds:.0f} seconds; the largest process took {largest:.1f} GiB.\n", highlight=False)
    for line in _what_is_next(workspace, own_registry=own_registry):
        console.print(line, highlight=False, markup=False)


def _why_not_released(workspace: Workspace) -> str:
    from deepmark.registry.promote import list_models

    named, root = f"{workspace.root}: the model was not promoted", shlex.quote(str(workspace.root))
    for version in list_models(workspace):
        refused = version["promotion"] and version["promotion"]["failed"]
        if refused and "challenger" in version["aliases"]:
            reasons = "".join(f"\n  {reason}" for reason in refused)
            return (
                f"{named}: the gate refuses version {version['version']}, and the champion before it serves:{reasons}\n"
                f"`deepmark promote --force REASON --workspace {root}` promotes it all the same."
            )
    return f"{named}; what stands above the results says why. Run the same command again to go on from there."


def _what_is_next(workspace: Workspace, *, own_registry: bool) -> Iterator[str]:
    # here, so that without the extra `pipeline` a demo names it, and not `train`, which is a part of it
    from deepmark.registry.versions import CHAMPION, MODEL
    from deepmark.tracking.mlflow_store import tracking_uri

    def short(path: Path) -> str:
        return shlex.quote(str(path.relative_to(Path.cwd()) if path.is_relative_to(Path.cwd()) else path))

    deepmark, root = short(tool("deepmark")), short(workspace.root)
    exported = (workspace.export / FILES[precision] for precision in ("int8", "float32"))
    model = next((file for file in exported if file.is_file()), workspace.model_file)
    with_make = (Path.cwd() / "Makefile").is_file() and Path.cwd() == Path(__file__).parents[2]
    python = short(Path(sys.executable))
    yield f"Report   open {short(workspace.report / 'index.html')} in a browser; suspected labels are in"
    yield f"         {short(workspace.audit_page)}"
    yield "Browse   " + (f"make ui WORKSPACE={root}" if with_make else f"{python} -m pipelines.ui --workspace {root}")
    yield f"Detect   {deepmark} detect {short(workspace.raw / 'validation/image')} \\"
    yield f"           --model {short(model)} --draw {short(workspace.root / 'detections')}"
    yield f"Page     {deepmark} export --web {short(workspace.root / 'page')} --workspace {root}"
    if not own_registry:
        yield "Serve    MLFLOW_TRACKING_URI names a registry of others, so the model was not registered there:"
        yield f"         {deepmark} register --workspace {root}, then promote, does it"
        return
    yield f"Serve    MLFLOW_TRACKING_URI={shlex.quote(tracking_uri(workspace.root))} \\"
    yield f"           {short(tool('mlflow'))} models serve -m models:/{MODEL}@{CHAMPION} --env-manager local -p 5001"
    yield f"Models   {deepmark} models --workspace {root}"
