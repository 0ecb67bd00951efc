"""Mutated inputs: is none lost, is every reason true, and is every accepted record right?

    python benchmarks/mutations.py [--inputs 1000] [--data-sets 120] [--seed 1]

Drawn images and their annotations are changed, each in one of many ways, and go through ingest together; an oracle that
shares no code with ingest (tests/helpers/raw_oracle.py) lists every fault of every input, and reads the sound ones
itself. COCO data sets of a few images are changed likewise and go through `deepmark convert --from coco` and ingest;
there the change itself says what must be told, or that the records must be those of the unchanged data set. Prints a
table for each, and exits with 1 where an input was lost, a reason untrue, or a record wrong.
"""

import argparse
import sys
import tempfile
import time
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parents[1] / "tests" / "helpers"))
from coco_mutations import COCO_MUTATIONS, convert_mutated
from mutation_campaign import Tally, ingest_mutated
from raw_mutations import MUTATIONS


def show(title: str, tallies: dict[str, Tally], seconds: float) -> int:
    """Print a table; returns the number of faults."""
    print(f"\n{title} ({seconds:.0f} s)\n")
    names = ("inputs", "accepted", "rejected", "lost", "untrue", "wrong")
    print("| mutation | " + " | ".join(names) + " |\n|---|" + "---:|" * len(names))
    for kind, tally in tallies.items():
        print(f"| {kind} | " + " | ".join(str(getattr(tally, name)) for name in names) + " |")
    total = sum(tallies.values(), Tally())
    print(f"| all {len(tallies)} | " + " | ".join(str(getattr(total, name)) for name in names) + " |")
    return total.lost + total.untrue + total.wrong


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--inputs", type=int, default=1000)
    parser.add_argument("--data-sets", type=int, default=120)
    parser.add_argument("--seed", type=int, default=1)
    options = parser.parse_args()
    faults = 0
    with tempfile.TemporaryDirectory(prefix="deepmark-mutations-") as folder:
        begin = time.perf_counter()
        tallies = ingest_mutated(Path(folder) / "raw", options.inputs, options.seed)
        faults += show(f"ingest: {options.inputs:,} inputs", tallies, time.perf_counter() - begin)
        begin = time.perf_counter()
        tallies = convert_mutated(Path(folder) / "coco", options.data_sets, options.seed)
        faults += show(
            f"convert --from coco, then ingest: {options.data_sets:,} data sets", tallies, time.perf_counter() - begin
        )
    print(f"\n{len(MUTATIONS)} + {len(COCO_MUTATIONS)} mutations, {faults} faults")
    sys.exit(bool(faults))


if __name__ == "__main__":
    main()
