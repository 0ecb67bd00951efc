"""How long a person waits before anything happens: `deepmark --help`, and Dagster reading the code location.

Each is started as a process of its own, several times; the median counts, beside that of a Python that does nothing.
"""

import argparse
import os
import statistics
import subprocess
import sys
import time
from collections.abc import Sequence
from pathlib import Path

REPOSITORY = Path(__file__).parents[1]
JOBS = {
    "python, nothing": [sys.executable, "-c", "pass"],
    "deepmark --help": [str(Path(sys.executable).with_name("deepmark")), "--help"],
    "import dagster": [sys.executable, "-c", "import dagster"],
    "code location": [sys.executable, "-c", "import pipelines.definitions"],
}


def seconds(command: Sequence[str], times: int) -> tuple[float, float]:
    """Median wall-clock and CPU seconds of a process from start to end."""
    wall, cpu = [], []
    for _ in range(times):
        started, before = time.perf_counter(), os.times()
        subprocess.run(command, cwd=REPOSITORY, check=True, stdout=subprocess.DEVNULL)
        after = os.times()
        wall.append(time.perf_counter() - started)
        cpu.append(after.children_user + after.children_system - before.children_user - before.children_system)
    return statistics.median(wall), statistics.median(cpu)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--times", type=int, default=5, help="how often each is started")
    arguments = parser.parse_args()
    print(f"{'':18} {'wall':>7} {'CPU':>7}   seconds, median of {arguments.times}")
    for name, command in JOBS.items():
        wall, cpu = seconds(command, arguments.times)
        print(f"{name:18} {wall:7.2f} {cpu:7.2f}")


if __name__ == "__main__":
    main()
