"""Labels with faults, the audit, corrections, and training again: how many faults are found, and what that is worth.

    python benchmarks/label_loop.py runs/label_loop [--train 2000] [--validation 600] [--epochs 6] [--folds 3]
                                                    [--seeds 3] [--first-seed 317] [--looks 1 2 4] [--jobs 1]

For every seed, images are drawn, and 10% of the items of both splits spoilt in seven ways (`label_faults`). The light
network learns them as they are; `crossvalidate` and `predict` look at both splits, and `audit` makes its list. Somebody
who knows the truth then looks at the first entries: as many as there are faults, twice and four times as many. What is
found wrong goes through Label Studio's export, `label import` and `ingest`; the network learns again, from the start
values of the same seed. Beside it, as many labels are looked at by lot: images in a random order, with all of their
labels, and the garments that lack one. The AP is that of the strategy nms on the validation drawings as they were
before they were spoilt, which no training sees. What is done is not done again, and what was killed goes on.
"""

import argparse
import json
import os
import pickle
from collections import Counter
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np
from label_faults import Fault, Key, Split, corrected, faults_seen, read_split, spoil, write_split
from label_loop_table import found_table, loop_table
from light_trainings import MEASURE, Changes, aps, drawings, light_params, run, shard, workspace_after
from messages import one_message

from deepmark.audit.label_issue import LIKELY, read_issues
from deepmark.compute.local import Local
from deepmark.data.corrections import item_text
from deepmark.data.records import read_records
from deepmark.files import file_sha256, write_json
from deepmark.labels import label_studio
from deepmark.labels.answers import region_of
from deepmark.labels.exchange import import_answers
from deepmark.labels.task import LabelTask
from deepmark.schema import SPLITS
from deepmark.vocabulary import DEEPFASHION2
from deepmark.workspace.init import init_workspace
from deepmark.workspace.layout import Workspace

SHARE = 0.1
WHEN = "2026-01-01T12:00:00Z"


@dataclass(frozen=True)
class Loop:
    """All that is done for one seed."""

    folder: Path
    seed: int
    options: argparse.Namespace

    @cached_property
    def clean(self) -> Workspace:
        """The drawings with their right labels, as shards."""
        options = self.options
        return drawings(self.folder / "clean", options.train, options.validation, seed=self.seed, engine=Local(1))

    @cached_property
    def spoilt(self) -> tuple[Workspace, dict[str, Split], list[Fault]]:
        """The same images with faults in their labels, the labels, and the faults."""
        clean, data = self.clean, init_workspace(self.folder / "spoilt", "demo")
        kept = self.folder / "faults.pickle"
        if not kept.is_file():
            splits, faults = {}, []
            for number, name in enumerate(SPLITS):
                sizes = {row.id: (row.width, row.height) for row in read_records(clean.records_file(name))}
                splits[name] = read_split(clean.raw, name, sizes)
                rng = np.random.default_rng([self.seed, number])
                faults += spoil(splits[name], share=SHARE, rng=rng)
                write_split(data.raw, splits[name], clean.raw / name / "image")
            kept.write_bytes(pickle.dumps((splits, faults)))
        shard(data, *SPLITS)
        return data, *pickle.loads(kept.read_bytes())

    def params(self) -> Any:
        """The profile `modern` in this budget, without any choice by the validation labels."""
        options = self.options
        changes: Changes = {
            "train": {"precision": "bf16", "validate_every": 0},
            "audit": {"folds": options.folds, "faulty_share": options.faulty_share, "pictures": 0},
            "evaluate": {"resamples": 0},
        }
        return light_params(changes, seed=self.seed, epochs=options.epochs, size=options.size)

    def workspace(self, name: str, data: Workspace, *commands: str, model: Path | None = None) -> Workspace:
        """A workspace of this seed on this data after these commands."""
        return workspace_after(self.folder / name, data, self.params(), *commands, model=model)

    def ap(self, name: str, trained: Workspace) -> dict[str, float]:
        """The APs of a network on the validation drawings with their right labels."""
        table = aps(self.workspace(f"{name}-figures", self.clean, *MEASURE, model=trained.model_file))
        return {metric: float(table[metric, "all"]) for metric in ("box_ap", "landmark_ap")}

    @cached_property
    def audited(self) -> Workspace:
        """The network that learnt the spoilt labels, and its audit of them."""
        look = "predict --strategy multiscale", "crossvalidate"
        made = self.workspace("spoilt-net", self.spoilt[0], "train", *look)
        if not made.issues_file.is_file() or self.options.audit_again:
            run(made.root, "audit")
        return made

    def seen(self, entries: int | None = None) -> set[Key]:
        """The faults that somebody sees in so many entries of the audit's list, or in all."""
        rows = read_issues(self.audited.issues_file).to_pylist()
        places = [(row["split"], row["image_id"], row["item"], row["box"]) for row in rows[:entries]]
        return {key for key in faults_seen(places, self.spoilt[2]) if key is not None}

    def by_lot(self, looks: int) -> set[Key]:
        """The faults in the images that somebody sees who looks at so many labels by lot."""
        _, splits, faults = self.spoilt
        images = [(name, image) for name, split in splits.items() for image in split.files]
        seen: set[tuple[str, int]] = set()
        labels = 0
        for place in np.random.default_rng(self.seed).permutation(len(images)):
            if labels >= looks:
                break
            seen.add(images[place])
            labels += len(splits[images[place][0]].items(images[place][1]))
        return {(one.split, one.image_id, one.item) for one in faults if (one.split, one.image_id) in seen}

    def mended(self, name: str, found: set[Key]) -> dict[str, Any]:
        """The APs after the faults that were found have been corrected, and the network has learnt again."""
        spoilt, splits, faults = self.spoilt
        data = init_workspace(self.folder / f"{name}-data", "demo")
        data.raw.mkdir(parents=True, exist_ok=True)
        for split in SPLITS:
            if not (data.raw / split).is_symlink():
                (data.raw / split).symlink_to(spoilt.raw / split)
        chosen = [one for one in faults if (one.split, one.image_id, one.item) in found]
        if chosen and not data.corrections_file.is_file():
            import_answers(data, answers(data.root, splits, chosen))
        shard(data, *SPLITS)
        return {"faults": len(chosen), **self.ap(name, self.workspace(name, data, "train"))}

    def figures(self) -> dict[str, Any]:
        """All that one seed gives."""
        faults, rows = self.spoilt[2], read_issues(self.audited.issues_file).to_pylist()
        kinds = {(one.split, one.image_id, one.item): f"{one.split} {one.kind}" for one in faults}
        likely = [row for row in rows if row["score"] >= LIKELY]
        places = [(row["split"], row["image_id"], row["item"], row["box"]) for row in likely]
        right = [row for row, key in zip(likely, faults_seen(places, faults), strict=True) if key is not None]
        found: dict[str, Any] = {
            "faults": Counter(kinds.values()),
            "found": Counter(kinds[key] for key in self.seen(2 * len(faults))),
            "likely": Counter(row["kind"] for row in likely),
            "right": Counter(row["kind"] for row in right),
            "by_looks": {str(n): len(self.seen(n * len(faults))) for n in self.options.looks},
        }
        if not self.options.audit_only:
            trained = self.audited
            found["ap"] = {"spoilt": {"faults": 0, **self.ap("spoilt", trained)}}
            found["ap"]["clean"] = {
                "faults": len(faults),
                **self.ap("clean", self.workspace("clean-net", self.clean, "train")),
            }
            for n in self.options.looks:
                looks = n * len(faults)
                found["ap"][f"audit {n}"] = self.mended(f"audit-{n}", self.seen(looks))
                found["ap"][f"lot {n}"] = self.mended(f"lot-{n}", self.by_lot(looks))
        return found


def answers(folder: Path, splits: dict[str, Split], found: list[Fault]) -> Path:
    """Label Studio's export of the images of these faults, in which somebody has put them right."""
    tasks = []
    for fault in found:
        split, image = splits[fault.split], fault.image_id
        right = corrected(split, [fault]).items(image)
        width, height = split.sizes[image]
        tasks.append(
            LabelTask(
                split=fault.split,
                image_id=image,
                file=f"{fault.split}/image/{image:06d}.jpg",
                width=width,
                height=height,
                labels=tuple(region_of(name, item, DEEPFASHION2) for name, item in right.items()),
                detections=(),
                reasons=(fault.kind,),
                sha256=file_sha256(folder / f"data/raw/{fault.split}/image/{image:06d}.jpg"),
                items={name: item_text(item) for name, item in split.items(image).items()},
            )
        )
    label_studio.write_tasks(folder / "tasks", tasks, DEEPFASHION2)
    made = json.loads((folder / "tasks/tasks.json").read_text("utf-8"))
    for number, task in enumerate(made, 1):
        annotation = {"result": task.pop("predictions")[0]["result"], "completed_by": {"id": 1}, "updated_at": WHEN}
        task |= {"id": number, "annotations": [annotation]}
    file = folder / "export.json"
    file.write_text(json.dumps(made), "utf-8")
    return file


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("folder", type=Path)
    parser.add_argument("--train", type=int, default=2000, help="drawings to learn")
    parser.add_argument("--validation", type=int, default=600)
    parser.add_argument("--epochs", type=int, default=6)
    parser.add_argument("--folds", type=int, default=3)
    parser.add_argument("--seeds", type=int, default=3)
    parser.add_argument("--first-seed", type=int, default=317)
    parser.add_argument("--faulty-share", type=float, default=0.01, help="audit.faulty_share (default %(default)s)")
    parser.add_argument("--size", type=int, nargs=2, default=(128, 96), metavar=("HEIGHT", "WIDTH"))
    parser.add_argument("--looks", type=int, nargs="+", default=(1, 2, 4), help="entries looked at, for every fault")
    parser.add_argument("--jobs", type=int, default=1, help="seeds at once")
    parser.add_argument("--audit-only", action="store_true", help="no corrections and no further trainings")
    parser.add_argument("--audit-again", action="store_true", help="make the lists again, by the code of today")
    options = parser.parse_args()
    folder = options.folder.resolve() / f"{options.train}-{options.validation}-{options.epochs}"
    seeds = range(options.first_seed, options.first_seed + options.seeds)
    loops = [Loop(folder / f"seed-{seed}", seed, options) for seed in seeds]
    with ThreadPoolExecutor(options.jobs) as pool:
        found = list(pool.map(Loop.figures, loops))
    write_json(folder / "figures.json", found)
    print(found_table(found))
    if not options.audit_only:
        print("\n" + loop_table(found, options.looks))


if __name__ == "__main__":
    os.nice(5)
    with one_message("label_loop"):
        main()
