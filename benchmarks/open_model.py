"""What a network learns from drawn images, from rendered ones, and from both, in the same time.

    python benchmarks/open_model.py runs/open-model [--train 3000] [--validation 400] [--epochs 6] [--seeds 1]
                                                    [--size 128 96] [--jobs 1] [--only NAME]

Every row trains the light network of the profile `modern` on the same number of images for the same number of steps, in
one process of one thread, from the start values of its seed. No photograph takes part. Rows are measured, by the stages
`predict --strategy nms` and `evaluate`, on images that no row has learnt from: rendered ones in styles that training
images do not have (`synthetic.rendered.styles`), drawn ones, and both made worse by blur, noise, white balance and
JPEG.
What is done is not done again, and a row that was killed goes on where it was.
"""

import argparse
import json
import os
import shutil
import sys
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import numpy as np
from light_trainings import FIRST_SEED, MEASURE, Changes, aps, light_params, make_worse, shard, slug, workspace_after
from mixed_raw import link, numbers_in

from deepmark.files import new_folder, write_json
from deepmark.synthetic import draw_dataset
from deepmark.synthetic.rendered.dataset import render_dataset
from deepmark.workspace.init import init_workspace
from deepmark.workspace.layout import Workspace

PHOTOGRAPHIC: Changes = {"augment": {"white_balance": 0.2, "blur": 1.0, "noise": 10.0, "jpeg": 70}}

ROWS: dict[str, tuple[float, Changes]] = {
    "2d only": (0.0, {}),
    "3d only": (1.0, {}),
    "half of each": (0.5, {}),
    "2d only, camera effects": (0.0, PHOTOGRAPHIC),
    "3d only, camera effects": (1.0, PHOTOGRAPHIC),
    "half of each, camera effects": (0.5, PHOTOGRAPHIC),
}
"""The share of rendered images, and changes of the recipe."""

TESTS = ("3d", "2d", "3d, worse", "2d, worse")
METRICS = ("box_ap", "box_ap50", "landmark_ap")


class Bench:
    """The data, and how rows are trained on it."""

    def __init__(self, folder: Path, options: argparse.Namespace) -> None:
        self.folder, self.options = folder, options
        self.counts = {"train": options.train, "validation": options.validation}

    def prepare(self) -> None:
        """Make what is missing of images and shards."""
        rendered = self.folder / "rendered"
        if not (self.folder / "rendered.done").is_file():
            render_dataset(rendered, **self.counts, seed=1)
            (self.folder / "rendered.done").touch()
        if not (self.folder / "drawn").is_dir():
            draw_dataset(self.folder / "drawn", **self.counts, seed=1)
        for test in TESTS:
            self.test_set(test)
        for share in {share for share, _ in ROWS.values()}:
            self.training_set(share)

    def training_set(self, share: float) -> Workspace:
        """Shards of drawn and rendered images, `share` of them rendered; those to validate on choose nothing."""
        data = init_workspace(self.folder / f"train-{share:g}", "demo")
        for split, count in self.counts.items():
            if not (data.raw / split).is_dir():
                rendered = round(share * count)
                with new_folder(data.raw / split) as draft:
                    for kind, number in (("rendered", rendered), ("drawn", count - rendered)):
                        source = self.folder / kind / split
                        names = numbers_in(source)[:number]
                        link(source, names, draft, number=len(numbers_in(draft)))
            shard(data, split)
        return data

    def test_set(self, name: str) -> Workspace:
        """Shards of validation images."""
        kind, _, worse = name.partition(", ")
        data = init_workspace(self.folder / f"test-{name.replace(', ', '-')}", "demo")
        source = self.folder / ("rendered" if kind == "3d" else "drawn") / "validation"
        if not (data.raw / "validation").is_dir():
            with new_folder(data.raw / "validation") as draft:
                shutil.copytree(source / "annos", draft / "annos", copy_function=os.link)
                if worse:
                    make_worse(source / "image", draft / "image", data.params.augment)
                else:
                    shutil.copytree(source / "image", draft / "image", copy_function=os.link)
        shard(data, "validation")
        return data

    def params(self, changes: Changes, seed: int) -> Any:
        """The profile `modern` in this budget, with the changes of the row."""
        options = self.options
        budget: Changes = {"evaluate": {"resamples": options.resamples}}
        return light_params(budget, changes, seed=seed, epochs=options.epochs, size=options.size)

    def figures(self, name: str, seed: int) -> dict[str, Any]:
        """What came out of a row with one seed; nothing is done again."""
        share, changes = ROWS[name]
        values = self.params(changes, seed)
        trained = workspace_after(self.folder / slug("row", name, seed), self.training_set(share), values, "train")
        found: dict[str, Any] = {"seconds": json.loads(trained.train_metrics_file.read_text("utf-8"))["seconds"]}
        for test in TESTS:
            folder = self.folder / slug("on", name, seed, test)
            table = aps(workspace_after(folder, self.test_set(test), values, *MEASURE, model=trained.model_file))
            found[test] = {metric: float(table[metric, "all"]) for metric in METRICS}
        return found


def table(found: dict[str, list[dict]]) -> str:
    """Means over the seeds as Markdown."""
    columns = ["trained on", *(f"{metric.replace('_', ' ')} on {test}" for test in TESTS for metric in METRICS)]
    lines = [f"| {' | '.join([*columns, 'seconds'])} |", "|---|" + "---:|" * len(columns)]
    for name, seeds in found.items():
        cells = [f"{np.mean([one[test][metric] for one in seeds]):.3f}" for test in TESTS for metric in METRICS]
        lines.append(f"| {' | '.join([name, *cells])} | {np.mean([one['seconds'] for one in seeds]):.0f} |")
    return "\n".join(lines)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("folder", type=Path)
    parser.add_argument("--train", type=int, default=3000, help="images to learn")
    parser.add_argument("--validation", type=int, default=400, help="of each kind")
    parser.add_argument("--epochs", type=int, default=6)
    parser.add_argument("--seeds", type=int, default=1)
    parser.add_argument("--size", type=int, nargs=2, default=(128, 96), metavar=("HEIGHT", "WIDTH"))
    parser.add_argument("--resamples", type=int, default=0, help="of the images, for intervals")
    parser.add_argument("--jobs", type=int, default=1, help="seeds at once")
    parser.add_argument("--only", action="append", help="rows whose name holds this; may be given again")
    options = parser.parse_args()
    bench = Bench(options.folder.resolve() / f"{options.train}-{options.validation}", options)
    bench.folder.mkdir(parents=True, exist_ok=True)
    bench.prepare()
    names = [name for name in ROWS if not options.only or any(word in name for word in options.only)]
    seeds = range(FIRST_SEED, FIRST_SEED + options.seeds)
    found: dict[str, list[dict]] = {}
    with ThreadPoolExecutor(options.jobs) as pool:
        for name in names:
            found[name] = list(pool.map(lambda seed, name=name: bench.figures(name, seed), seeds))
            print(f"{name}: done", file=sys.stderr, flush=True)
            write_json(bench.folder / "figures.json", found)
    print(table(found))


if __name__ == "__main__":
    os.nice(5)
    main()
