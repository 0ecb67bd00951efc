"""One flipped bit in a file of a workspace: does the stage that reads the file next tell it?

    python benchmarks/damage.py [--flips 40] [--seed 1]

A small workspace is made whole, from drawn images to a champion. Then one random bit of one file is flipped, the file
is read as the next stage, the report, the registry, the server or Dagster reads it, and it is mended again; `--flips`
times for each kind of file. "told" is one DeepmarkError that names the file and what to run; "same result" is that of
the undamaged file; "silent" is another result without a word; "traceback" is any other exception, or a message that
lacks the file or the remedy. Prints a table, and exits with 1 where anything was silent or a traceback.
"""

import argparse
import random
import sys
import tempfile
import time
from collections import Counter
from pathlib import Path

from ruamel.yaml import YAML

from deepmark import stages
from deepmark.registry.promote import promote
from deepmark.registry.register import register
from deepmark.schema import SPLITS, STRATEGIES
from deepmark.synthetic import draw_dataset
from deepmark.workspace.init import init_workspace
from deepmark.workspace.layout import Workspace

sys.path.insert(0, str(Path(__file__).parents[1] / "tests" / "helpers"))
from flipped_bits import OUTCOMES, SILENT, TRACEBACK, flip, kinds


def make_workspace(folder: Path) -> Workspace:
    """A workspace with every kind of file: a few images, one of them unusable, trained for two epochs, promoted."""
    workspace = init_workspace(folder, "demo")
    yaml, file = YAML(), folder / "params.yaml"
    values = yaml.load(file.read_text("utf-8"))
    values["model"]["input_size"] = [64, 64]
    values["ingest"]["max_rejected_share"] = 0.5
    values["evaluate"]["resamples"] = 20
    values["report"]["pictures"] = 2
    values["train"] |= {"epochs": 2, "batch_size": 4}
    values["compute"]["train_processes"] = 1
    yaml.dump(values, file)
    workspace = Workspace(folder)
    draw_dataset(workspace.raw, train=12, validation=6, seed=3)
    for split in SPLITS:
        (workspace.raw / split / "image/000001.jpg").write_bytes(b"no image")
        stages.ingest(workspace, split=split)
        stages.shard(workspace, split=split)
    stages.train(workspace)
    for strategy in STRATEGIES:
        stages.predict(workspace, strategy=strategy)
        stages.evaluate(workspace, strategy=strategy)
    stages.audit(workspace)
    register(workspace)
    promote(workspace)
    return workspace


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--flips", type=int, default=40, help="of each kind of file")
    parser.add_argument("--seed", type=int, default=1, help="of the flips")
    arguments = parser.parse_args()
    counts: dict[str, Counter[str]] = {}
    with tempfile.TemporaryDirectory(prefix="deepmark-damage-") as folder:
        found = kinds(make_workspace(Path(folder) / "workspace"))
        started = time.monotonic()
        for name, kind in found.items():
            chance = random.Random(f"{arguments.seed} {name}")
            counts[name] = Counter()
            for _ in range(arguments.flips):
                outcome, said = flip(kind, chance)
                counts[name][outcome] += 1
                if outcome in (SILENT, TRACEBACK):
                    print(f"{name}: {outcome}: {said}", file=sys.stderr, flush=True)
    print(f"| file | flips | {' | '.join(OUTCOMES)} |\n|---|---:|{'---:|' * len(OUTCOMES)}")
    for name, count in counts.items():
        print(f"| {name} | {count.total()} | {' | '.join(str(count[outcome]) for outcome in OUTCOMES)} |")
    total = sum(counts.values(), Counter())
    print(f"\n{total.total()} flips in {time.monotonic() - started:.0f} s: {dict(total)}")
    sys.exit(1 if total[SILENT] or total[TRACEBACK] else 0)


if __name__ == "__main__":
    main()
