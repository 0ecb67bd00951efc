"""What `deepmark adapt` gains where images look otherwise than those that were learnt.

    python benchmarks/adapt.py runs/recipes/3000-1000 runs/adapt [--row modern] [--share 0.5 --share 1]

After benchmarks/recipes.py, in whose folder the networks of a row lie, and validation drawings that were made worse by
white balance, blur, noise and JPEG. Each seed's network is adapted to the worse drawings, without their labels, and
measured on them by the stages `predict --strategy nms` and `evaluate`; and, to see what it costs, on those that are as
learnt, and adapted to these. What is done is not done again.
"""

import argparse
import os
import shutil
from pathlib import Path

import numpy as np
import pandas as pd
from recipes import run

from deepmark.files import new_folder
from deepmark.infer.adapt import adapt_file
from deepmark.infer.find_images import find_images
from deepmark.workspace.layout import Workspace

METRICS = ("box_ap", "box_ap50", "landmark_ap")


def figures(workspace: Workspace) -> list[float]:
    """Of the strategy nms, over everything."""
    table = pd.read_csv(workspace.table_file("nms")).set_index(["metric", "scope"])["value"]
    return [float(table[metric, "all"]) for metric in METRICS]


def measured(out: Path, data: Workspace, trained: Workspace, to: Workspace, share: float) -> list[float]:
    """On the validation images of `data`, the network of `trained` adapted to those of `to`."""
    model = out / f"{trained.root.name} to {to.root.name} {share:g}" / "model.safetensors"
    if not model.is_file():
        with new_folder(model.parent) as draft:
            images = find_images([(to.raw / "validation/image").resolve()])
            adapt_file(trained.model_file, images, draft / model.name, share=share, predict=trained.params.predict)
    root = out / f"{model.parent.name}, on {data.root.name}"
    if not Workspace(root).table_file("nms").is_file():
        with new_folder(root) as draft:
            (draft / "data").mkdir()
            for part in ("raw", "records", "shards"):
                (draft / "data" / part).symlink_to((data.root / "data" / part).resolve())
            (draft / "data/checkpoint").symlink_to(model.parent.resolve())
            for file in ("params.yaml", "dvc.yaml"):
                shutil.copyfile(data.root / file, draft / file)
            run(draft, "predict --strategy nms", "evaluate --strategy nms")
    return figures(Workspace(root))


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("recipes", type=Path, help="the folder of benchmarks/recipes.py")
    parser.add_argument("out", type=Path)
    parser.add_argument("--row", default="modern")
    parser.add_argument("--share", type=float, action="append")
    options = parser.parse_args()
    found: dict[str, list[list[float]]] = {}
    for trained in sorted(options.recipes.resolve().glob(f"row-{options.row}-[0-9]*")):
        plain, worse = Workspace(trained), Workspace(trained.with_name(trained.name.replace("row-", "worse-", 1)))
        found.setdefault("as learnt", []).append(figures(plain))
        found.setdefault("worse", []).append(figures(worse))
        for share in options.share or [0.5, 1.0]:
            for data, to in ((worse, worse), (plain, worse), (plain, plain)):
                kinds = ["as learnt" if one is plain else "worse" for one in (data, to)]
                name = f"{kinds[0]}, adapted to {kinds[1]}, share {share:g}"
                found.setdefault(name, []).append(measured(options.out.resolve(), data, plain, to, share))
    print(f"| images | {' | '.join(metric.replace('_', ' ') for metric in METRICS)} |\n|---|{'---:|' * len(METRICS)}")
    for name, seeds in found.items():
        cells = [f"{mean:.3f} ± {spread:.3f}" for mean, spread in zip(np.mean(seeds, 0), np.std(seeds, 0), strict=True)]
        print(f"| {name} | {' | '.join(cells)} |")


if __name__ == "__main__":
    os.nice(5)
    main()
