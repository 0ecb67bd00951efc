"""Makes the model that comes with DeepMark from nothing: images, training, export, card. `make open-model` runs it.

    python benchmarks/make_open_model.py runs/open-model [--train 12000] [--validation 1000] [--share 0.5] [--seed 1]
                                         [--grounds DIR] [--first-epochs 20] [--profile open-large]
                                         [--into DIR] [--set train.epochs=5 …]

Drawn and rendered images are made, mixed (`--share` of them rendered, which needs the extra synth3d and EGL) and taught
by the profile `open` in the workspace FOLDER/workspace, by `dvc repro`; the training is a run in its MLflow. With
`--first-epochs` the network first learns at half the height and width in the workspace FOLDER/first, where two
processor cores see up to 2.6 times as many images in the same time, and FOLDER/workspace starts from that.
The int8 export, the weights and their card then go into FOLDER/package, or into the folder of `--into`; deepmark/models
is that of the model that comes with DeepMark. Those of another profile than `open` stay in the workspace, for instance
as a teacher. `--grounds` gives photographs to stand behind the rendered people of training images, which taught more
(docs/results.md): panorama_grounds.py makes a folder of them. The card has their licence, the first line of the
folder's licence.txt. Validation images keep grounds that are drawn, and that training images lack.
What is done is not done again: after Ctrl-C, a kill or a reboot the same command goes on where it was, and a training
at its last checkpoint.
"""

import argparse
import json
import subprocess
import sys
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

from messages import one_message
from mixed_raw import mix
from open_card import card
from ruamel.yaml import YAML
from ruamel.yaml.error import YAMLError

from deepmark.cli.outputs import check_folder
from deepmark.errors import DeepmarkError
from deepmark.files import new_folder, write_json, write_text
from deepmark.infer.find_images import find_images
from deepmark.model.detector import load_network, save_detector
from deepmark.models.packaged import EXPORTED, WEIGHTS, write_package
from deepmark.params import load_params
from deepmark.progress import progress
from deepmark.runtime.contract import FILES
from deepmark.schema import DRAWN_MARK, SPLITS
from deepmark.synthetic import draw_dataset
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

UNKNOWN_LICENCE = "that of the photographs of --grounds"


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


def _count(least: int) -> Callable[[str], int]:
    def read(text: str) -> int:
        try:
            if (count := int(text)) >= least:
                return count
        except ValueError:
            pass
        raise argparse.ArgumentTypeError(f"{text!r} is no whole number of {least} or more")

    return read


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
    parser.add_argument("--train", type=_count(1), default=12_000, help="images to learn")
    parser.add_argument("--validation", type=_count(1), default=1000, help="images to measure on")
    parser.add_argument("--share", type=_share, default=0.5, help="of rendered images, 0..1; 0 needs no extra")
    parser.add_argument("--seed", type=_count(0), default=1, help="of the images")
    parser.add_argument("--grounds", metavar="DIR", help="photographs to stand behind rendered people")
    parser.add_argument(
        "--first-epochs", type=_count(0), default=0, help="at half the height and width, before all others"
    )
    parser.add_argument("--profile", choices=PROFILES, default=PROFILES[0], help="the larger one is for a GPU")
    parser.add_argument("--into", type=Path, metavar="DIR", help="for the files and their card; else FOLDER/package")
    parser.add_argument(
        "--set", action="append", default=[], metavar="SECTION.NAME=VALUE", help="for trials: a parameter"
    )
    options = parser.parse_args()
    if options.grounds and not options.share:
        parser.error("--grounds: stand behind rendered people, and --share 0 is without them")
    options.grounds, options.grounds_licence = grounds_of(options.grounds)
    folder = options.folder.resolve()
    options.into = options.into or folder / "package"
    for name, place in (("FOLDER", folder), ("--into", options.into)):
        check_folder(place, name)
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
