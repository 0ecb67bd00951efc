"""What `deepmark adapt` gains where images look otherwise than those that were learnt.

    python benchmarks/adapt.py runs/recipes/3000-1000 runs/adapt [--row modern] [--share 0.5 --share 1]

After benchmarks/recipes.py, in whose folder the networks of a row lie, and validation drawings that were made worse by
white balance, blur, noise and JPEG. Each seed's network is adapted to the worse drawings, without their labels, and
measured on them by the stages `predict --strategy nms` and `evaluate`; and, to see what it costs, on those that are as
learnt, and adapted to these. What is done is not done again.
"""

import argparse
import os
from pathlib import Path

import numpy as np
from light_trainings import MEASURE, adapted_model, aps, slug, workspace_after
from messages import one_message
from ruamel.yaml import YAML

from deepmark.workspace.layout import Workspace

METRICS = ("box_ap", "box_ap50", "landmark_ap")


def figures(workspace: Workspace) -> list[float]:
    """Over everything."""
    table = aps(workspace)
    return [float(table[metric, "all"]) for metric in METRICS]


def measured(out: Path, data: Workspace, trained: Workspace, to: Workspace, share: float) -> list[float]:
    """On the validation images of `data`, the network of `trained` adapted to those of `to`."""
    goal = out / slug(trained.root.name, "to", to.root.name, f"{share:g}")
    model = adapted_model(goal, trained, to.raw / "validation/image", share)
    values = YAML().load((trained.root / "params.yaml").read_text("utf-8"))
    folder = out / slug(model.parent.name, "on", data.root.name)
    return figures(workspace_after(folder, data, values, *MEASURE, model=model))


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
    with one_message("adapt"):
        main()
