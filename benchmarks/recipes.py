"""What each switch of params.yaml is worth on top of the profile `modern`: three seeds, paired intervals, its cost.

    python benchmarks/recipes.py runs/recipes [--train 3000] [--validation 1000] [--epochs 6] [--seeds 3] [--jobs 1]
                                              [--only NAME] [--size 128 96] [--resamples 1000]
                                              [--precision fp32]

Every row trains the light network on the same drawings for the same number of steps, from the start values of its seed,
in one process of one thread, and is measured by the stages `predict --strategy nms` and `evaluate`, on the validation
drawings and on the same with white balance, blur, noise and JPEG made worse. `modern` is shrunk to this budget: a light
network, batches of 16, a learning rate of 1e-2, an average of weights that looks back 500 steps. Rows of the section
`predict` train nothing. Rows of data as DeepFashion2's (`deepmark synth --statistics deepfashion2`) are compared with
`modern` on these. Rows that are done are not done again, and a row that was killed goes on where it was; --only picks
rows by a part of their name. Other numbers of drawings have a folder of their own. Costs are those of one thread: do
not trust them with --jobs above the number of cores, or with other programs beside it.
"""

import argparse
import json
import os
import shutil
import sys
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np
from light_trainings import (
    FIRST_SEED,
    MEASURE,
    Changes,
    aps,
    drawings,
    light_params,
    make_worse,
    resampled,
    shard,
    slug,
    workspace_after,
)
from messages import one_message
from recipe_table import recipe_table

from deepmark.eval.metric.metrics_file import read_metrics
from deepmark.files import new_folder, write_json
from deepmark.schema import Statistics
from deepmark.workspace.init import init_workspace
from deepmark.workspace.layout import Workspace

RARE = ("category:short sleeve outwear", "category:sling")


@dataclass(frozen=True, kw_only=True)
class Row:
    """A recipe of the table."""

    changes: Changes = field(default_factory=dict)
    statistics: Statistics = Statistics.EVEN
    teacher: bool = False
    """Whether a DLA-34 is trained first, to teach."""


def weights(**values: float) -> Changes:
    return {"train": {"loss_weights": values}}


def rows(height: int, width: int) -> dict[str, Row]:
    photographic = {"white_balance": 0.2, "blur": 1.0, "noise": 10.0, "jpeg": 70}
    long = 32 * -(-max(height, width) // 32)
    changes: dict[str, Changes] = {
        "modern": {},
        "- Muon": {"train": {"optimizer": "adamw", "learning_rate": 4.0e-3}},
        "- rescoring": {"predict": {"rescore": False}},
        "- GIoU": weights(box_giou=0.0),
        "- blended landmarks": {"predict": {"landmark_blend": 0.0}},
        "- these four": {
            "train": {"optimizer": "adamw", "learning_rate": 4.0e-3, "loss_weights": {"box_giou": 0.0}},
            "predict": {"rescore": False, "landmark_blend": 0.0},
        },
        "landmarks blended by 0.5": {"predict": {"landmark_blend": 0.5}},
        "DIoU, no GIoU": weights(box_giou=0.0, box_diou=1.0),
        "+ OKS of vectors": weights(landmark_vectors_oks=1.0),
        "+ OKS of offsets": weights(landmark_offset_oks=1.0),
        "+ rotation 15": {"augment": {"rotation": 15.0}},
        "+ wider scale": {"augment": {"scale": [0.4, 1.3]}},
        "+ cut-out": {"augment": {"cutout": 0.3}},
        **{f"+ {name}": {"augment": {name: value}} for name, value in photographic.items()},
        "+ all of these effects": {"augment": photographic},
        f"square canvas {long}": {"model": {"input_size": [long, long]}},
        "- own channels": {"train": {"landmark_channels": "all"}},
        "- heat by sigmas": {"train": {"landmark_radius": "box"}},
        "- grouped maps": {"model": {"landmark_maps": "separate"}},
        "- average of weights": {"train": {"ema": None}},
        "- random crops": {"augment": {"scale": [1.0, 1.0], "shift": 0.0}},
    }
    released = {"modern": None, **{f"+ repeats {threshold}": threshold for threshold in (0.02, 0.1)}}
    return {
        **{name: Row(changes=change) for name, change in changes.items()},
        "+ teacher DLA-34": Row(changes=weights(teacher=1.0), teacher=True),
        **{
            f"{name}, items as released": Row(
                changes={"train": {"repeat_threshold": threshold}}, statistics=Statistics.DEEPFASHION2
            )
            for name, threshold in released.items()
        },
    }


def base_of(row: Row) -> str:
    return "modern" if row.statistics is Statistics.EVEN else "modern, items as released"


@dataclass(frozen=True, kw_only=True)
class Bench:
    """The data, and how rows are trained on it."""

    folder: Path
    options: argparse.Namespace

    def data(self, statistics: Statistics) -> Workspace:
        """The drawings with these statistics, as shards."""
        folder, options = self.folder / f"data-{statistics}", self.options
        return drawings(folder, options.train, options.validation, seed=1, statistics=statistics)

    def worse(self, statistics: Statistics) -> Workspace:
        """The validation drawings with these statistics, made worse."""
        plain = self.data(statistics)
        worse = init_workspace(self.folder / f"worse-{statistics}", "demo")
        if not (worse.raw / "validation").is_dir():
            with new_folder(worse.raw / "validation") as draft:
                shutil.copytree(plain.raw / "validation/annos", draft / "annos")
                make_worse(plain.raw / "validation/image", draft / "image", plain.params.augment)
        shard(worse, "validation")
        return worse

    def params(self, row: Row, seed: int, teacher: Path | None = None) -> Any:
        """The profile `modern` in this budget, with the changes of the row."""
        options = self.options
        budget: Changes = {"evaluate": {"resamples": options.resamples}}
        taught: Changes = {"train": {"teacher": str(teacher)}} if teacher else {}
        recipe: Changes = {"train": {"precision": options.precision}}
        return light_params(budget, recipe, row.changes, taught, seed=seed, epochs=options.epochs, size=options.size)

    @cached_property
    def teacher(self) -> Workspace:
        """A DLA-34 with plain convolutions, trained on the same drawings by the same recipe."""
        recipe = Row(changes={"model": {"backbone": "dla34", "deformable": False}})
        return workspace_after(
            self.folder / "teacher", self.data(Statistics.EVEN), self.params(recipe, FIRST_SEED), "train"
        )

    def figures(self, name: str, row: Row, seed: int) -> dict[str, Any]:
        """What came out of a row with one seed; nothing is done again."""
        teacher = self.teacher if row.teacher else None
        values = self.params(row, seed, teacher.model_file if teacher else None)
        data = self.data(row.statistics)
        folder, worse_folder = (self.folder / slug(kind, name, seed) for kind in ("row", "worse"))
        if row.changes.keys() == {"predict"}:
            model = Workspace(self.folder / slug("row", base_of(row), seed)).model_file
            own = workspace_after(folder, data, values, *MEASURE, model=model)
            seconds = 0.0
        else:
            own = workspace_after(folder, data, values, "train", *MEASURE)
            model = own.model_file
            seconds = json.loads(own.train_metrics_file.read_text("utf-8"))["seconds"]
        worse = workspace_after(worse_folder, self.worse(row.statistics), values, *MEASURE, model=model)
        taught = json.loads(teacher.train_metrics_file.read_text("utf-8"))["seconds"] if teacher else 0.0
        found = {"seconds": seconds, "teacher_seconds": taught, "ms": _metrics(own)["ms"]["total"]}
        for key, workspace in (("plain", own), ("worse", worse)):
            table = aps(workspace)
            found[key] = {metric: float(table[metric, "all"]) for metric in ("box_ap", "box_ap75", "landmark_ap")}
            found[key]["rare"] = float(np.nanmean([table["box_ap", scope] for scope in RARE]))
            found[key]["resamples"] = resampled(workspace)
        return found


def _metrics(workspace: Workspace) -> dict[str, Any]:
    return read_metrics(workspace.metrics_file("nms"))


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("folder", type=Path)
    parser.add_argument("--train", type=int, default=3000, help="drawings to learn")
    parser.add_argument("--validation", type=int, default=1000)
    parser.add_argument("--epochs", type=int, default=6)
    parser.add_argument("--seeds", type=int, default=3)
    parser.add_argument("--size", type=int, nargs=2, default=(128, 96), metavar=("HEIGHT", "WIDTH"))
    parser.add_argument("--precision", choices=("fp32", "bf16"), default="fp32")
    parser.add_argument("--resamples", type=int, default=1000, help="of the images, for the intervals")
    parser.add_argument("--jobs", type=int, default=1, help="trainings at once")
    parser.add_argument("--only", action="append", help="rows whose name holds this; may be given again")
    options = parser.parse_args()
    folder = options.folder.resolve() / f"{options.train}-{options.validation}"
    bench, known = Bench(folder=folder, options=options), rows(*options.size)
    wanted = [name for name in known if not options.only or any(word in name for word in options.only)]
    wanted = list(dict.fromkeys([*(base_of(known[name]) for name in wanted), *wanted]))
    seeds = range(FIRST_SEED, FIRST_SEED + options.seeds)
    found: dict[str, list[dict]] = {}
    for statistics in {known[name].statistics for name in wanted}:
        bench.worse(statistics)
    if any(known[name].teacher for name in wanted):
        _ = bench.teacher  # before the rows that learn from it, which may run at once
    bases = [name for name in wanted if base_of(known[name]) == name]
    with ThreadPoolExecutor(options.jobs) as pool:
        for names in (bases, [name for name in wanted if name not in bases]):  # rows of `predict` need a base's network
            waiting = {name: [pool.submit(bench.figures, name, known[name], seed) for seed in seeds] for name in names}
            for name, figures in waiting.items():
                found[name] = [one.result() for one in figures]
                print(f"{name}: done", file=sys.stderr, flush=True)
                write_json(bench.folder / "figures.json", found)
    print(recipe_table(found, {name: base_of(known[name]) for name in found}))


if __name__ == "__main__":
    os.nice(5)
    with one_message("recipes"):
        main()
