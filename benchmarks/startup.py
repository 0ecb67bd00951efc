"""How long a person waits before anything happens: `deepmark --help`, and Dagster reading the code location.

Each is started as a process of its own, several times; the median counts, beside that of a Python that does nothing.
"""

import argparse
import os
import statistics
import subprocess
import sys
import time
from collections.abc import Callable, Sequence
from pathlib import Path

REPOSITORY = Path(__file__).parents[1]
JOBS = {
    "python, nothing": [sys.executable, "-c", "pass"],
    "deepmark --help": [str(Path(sys.executable).with_name("deepmark")), "--help"],
    "import dagster": [sys.executable, "-c", "import dagster"],
    "code location": [sys.executable, "-c", "import pipelines.definitions"],
}


def process(command: Sequence[str], folder: Path = REPOSITORY) -> Callable[[], object]:
    """A command, started in a folder; what it prints is thrown away."""
    return lambda: subprocess.run(command, cwd=folder, check=True, stdout=subprocess.DEVNULL)


def timed(do: Callable[[], object]) -> tuple[float, float]:
    """Wall-clock and CPU seconds, those of the processes it started and awaited included."""
    started, before = time.perf_counter(), os.times()
    do()
    after = os.times()
    return time.perf_counter() - started, sum(after[:4]) - sum(before[:4])


def median(measured: Sequence[tuple[float, float]]) -> tuple[float, float]:
    """Of wall-clock and CPU seconds, each by itself."""
    wall, cpu = zip(*measured, strict=True)
    return statistics.median(wall), statistics.median(cpu)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--times", type=int, default=5, help="how often each is started")
    arguments = parser.parse_args()
    print(f"{'':18} {'wall':>7} {'CPU':>7}   seconds, median of {arguments.times}")
    for name, command in JOBS.items():
        wall, cpu = median([timed(process(command)) for _ in range(arguments.times)])
        print(f"{name:18} {wall:7.2f} {cpu:7.2f}")


if __name__ == "__main__":
    main()
