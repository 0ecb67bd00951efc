"""Pictures of Dagster's pages, of a workspace in which something has happened: those in docs/images.

python benchmarks/ui_pictures.py --workspace runs/demo --out docs/images

The graph; AP over materializations; the check that failed last, where one has; the log of the last training, or of a
new one while it runs. DVC trains where something has changed: for --train take a copy of the workspace with another
train.seed.
"""

import argparse
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from playwright.sync_api import Page

sys.path.insert(0, str(Path(__file__).parents[1] / "tests/helpers"))
from dagster_pages import open_browser, open_check, open_graph, open_log, open_plots, save
from ui_server import Dagster, running

PLOTTED = ("candidate", "metrics")
"""The first that was made: AP over materializations, or by strategy."""
JOB = "train"
PATIENCE = 1200.0
"""Seconds until a training has told of the first epochs."""


@contextmanager
def served(workspace: Path, url: str | None) -> Iterator[Dagster]:
    if url:
        yield Dagster(url)
    else:
        with running(workspace) as (_, dagster):
            yield dagster


def take_pictures(page: Page, dagster: Dagster, out: Path) -> None:
    """Of what is there already."""
    assets = dagster.assets()
    names = {one["groupName"] for one in assets.values()} | assets.keys()
    open_graph(page, names, [name for name, one in assets.items() if one["assetMaterializations"]])
    report(page, out / "dagster-graph.png")
    plotted = next((name for name in PLOTTED if name in assets and assets[name]["assetMaterializations"]), None)
    if plotted is None:
        sys.exit(f"None of {', '.join(PLOTTED)} was made in this workspace: nothing to plot.")
    open_plots(page, plotted)
    report(page, out / "dagster-plots.png")
    if failed := dagster.failed_check():
        open_check(page, *failed)
        report(page, out / "dagster-check.png")
    else:
        print("No check has failed at its asset's last materialization: no picture of one.")


def take_log(page: Page, dagster: Dagster, out: Path, *, train: bool, epochs: int) -> None:
    run = dagster.launch(JOB) if train else dagster.last_run(JOB)
    if run is None:
        sys.exit(f"The job '{JOB}' has not run yet: see --train.")
    if train:
        open_log(page, run, epochs=epochs, seconds=PATIENCE)
    else:
        open_log(page, run, epochs=1)  # it may have ended, with fewer than `epochs`
    report(page, out / "dagster-log.png")
    if train:
        dagster.cancel(run)


def report(page: Page, file: Path) -> None:
    save(page, file)
    print(f"{file}: {file.stat().st_size / 1000:.0f} kB")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--workspace", type=Path, default=Path("runs/demo"), help="its servers are started, and ended")
    parser.add_argument("--url", help="Dagster that runs already, such as http://127.0.0.1:3000")
    parser.add_argument("--out", type=Path, default=Path("docs/images"))
    parser.add_argument("--train", action="store_true", help="start a training, and cancel it after the picture")
    parser.add_argument("--epochs", type=int, default=3, help="with --train: wait until the log has so many")
    arguments = parser.parse_args()
    with served(arguments.workspace, arguments.url) as dagster, open_browser(dagster.url) as page:
        take_pictures(page, dagster, arguments.out)
        take_log(page, dagster, arguments.out, train=arguments.train, epochs=arguments.epochs)


if __name__ == "__main__":
    main()
