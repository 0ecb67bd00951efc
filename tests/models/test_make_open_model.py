"""The model that comes with DeepMark is made from nothing, in several sittings, at the size of a toy."""

import importlib.util
import sys
from argparse import Namespace

import pytest
from ruamel.yaml import YAML
from white_images import white
from workspaces import REPOSITORY, run

from deepmark.errors import DeepmarkError
from deepmark.models import packaged as room
from deepmark.tracking.provenance import code_in_words
from deepmark.workspace.layout import Workspace

sys.path.append(str(REPOSITORY / "benchmarks"))
import make_open_model
from make_open_model import grounds_facts, grounds_of, prepared

TOY = {
    "model.input_size": "[64, 64]",
    "train.epochs": "1",
    "train.batch_size": "4",
    "compute.train_processes": "1",
    "evaluate.resamples": "10",
    "export.calibration_images": "8",
    "export.equality_images": "4",
}
RECIPES = [
    ("--share", "0", "--first-epochs", "1"),
    pytest.param(("--share", "0.5"), marks=pytest.mark.skipif(not importlib.util.find_spec("anny"), reason="synth3d")),
]


def make(folder, *options):
    words = [f"--set={name}={value}" for name, value in TOY.items()]
    counts = ("--train", 16, "--validation", 8)
    return run("python", REPOSITORY / "benchmarks/make_open_model.py", folder, *counts, *words, *options, cwd=folder)


@pytest.mark.slow
@pytest.mark.system
@pytest.mark.parametrize("recipe", RECIPES)
def test_a_toy_is_made_from_nothing_and_goes_on_where_it_was(recipe, deepmark, tmp_path, monkeypatch):
    done = make(tmp_path, *recipe)
    assert done.code == 0, done.err + done.out
    package, checkpoint = tmp_path / "package", tmp_path / "workspace/data/checkpoint/model.safetensors"
    card = YAML(typ="safe").load(package / room.CARD)
    assert set(card["files"]) == {room.EXPORTED, room.WEIGHTS} <= {file.name for file in package.iterdir()}
    assert card["on_photographs"] == "not measured"
    assert card["made"]["epochs"] == 1
    assert set(card["saw"]) == ({"drawn"} if "0" in recipe else {"drawn", "rendered"})
    assert bool(card["parts"]) == ("rendered" in card["saw"])
    assert card["made"]["commit"] == code_in_words()
    assert 0 <= card["figures"]["box_ap"] <= 1
    assert (tmp_path / "first").is_dir() == ("--first-epochs" in recipe)
    for name, side in (("first", 32), ("workspace", 64)):
        assert not (tmp_path / name).is_dir() or Workspace(tmp_path / name).params.model.input_size == (side, side)
    monkeypatch.setattr(room, "FOLDER", package)
    monkeypatch.chdir(tmp_path)
    white(tmp_path / "a.png")
    assert deepmark("detect", "a.png", "--json").code == 0

    # another sitting makes what is missing, and nothing else
    before, drawn = checkpoint.stat().st_mtime_ns, sorted((tmp_path / "drawn").rglob("*.jpg"))[0].stat().st_mtime_ns
    (package / room.CARD).unlink()
    again = make(tmp_path, *recipe)

    assert again.code == 0, again.err
    assert YAML(typ="safe").load(package / room.CARD)["files"] == card["files"]
    assert checkpoint.stat().st_mtime_ns == before
    assert sorted((tmp_path / "drawn").rglob("*.jpg"))[0].stat().st_mtime_ns == drawn

    other = make(tmp_path, *recipe, "--seed", 2)
    assert other.code == 1
    assert "holds images of other options" in other.err


@pytest.mark.parametrize("profile", ["open", "open-large"])
def test_the_workspace_has_the_profile_with_the_changes(tmp_path, profile):
    changes = ["train.teacher=/elsewhere/model.safetensors", "train.loss_weights.teacher=1.0"]
    for _ in range(2):  # the second time it is there
        params = prepared(tmp_path / "workspace", profile, changes).params

    assert params.model.backbone == {"open": "mobile", "open-large": "dla34"}[profile]
    assert (params.train.teacher, params.train.loss_weights.teacher) == ("/elsewhere/model.safetensors", 1.0)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ("epochs", "'epochs' is not a parameter"),
        ("train.epochs", "train: epochs: "),
        ("train.epochs=[", r"--set train.epochs=\[: '\[' is no value. Give such as train.epochs=1"),
    ],
)
def test_a_change_that_is_none_is_refused(tmp_path, change, message):
    with pytest.raises(DeepmarkError, match=message):
        prepared(tmp_path / "workspace", "open", [change])


def test_photographs_are_part_of_the_recipe_by_what_they_are(tmp_path):
    def facts(folder):
        return grounds_facts(grounds_of(folder)[0])

    white(tmp_path / "a.png")
    one = facts(str(tmp_path))
    (tmp_path / "a.png").rename(tmp_path / "b.png")
    assert facts(str(tmp_path)) == one
    white(tmp_path / "c.png")
    assert facts(str(tmp_path)) != one
    assert facts(None) == {}


def test_photographs_stand_behind_training_images_only_and_the_card_has_their_licence(tmp_path, monkeypatch):
    made = {}

    def images(out, counts, seed, grounds):
        made[out.name] = counts, grounds
        for split, count in counts.items():
            for number in range(count):
                for name in ("image/{}.jpg", "annos/{}.json"):
                    file = out / split / name.format(f"{number + 1:06d}")
                    file.parent.mkdir(parents=True, exist_ok=True)
                    file.touch()
        return out

    monkeypatch.setattr(make_open_model, "make_images", images)
    white(tmp_path / "photographs/a.png")
    (tmp_path / "photographs/licence.txt").write_text("CC0-1.0: mine\n")
    grounds, licence = grounds_of(str(tmp_path / "photographs"))
    options = Namespace(
        profile="open", share=0.5, seed=1, train=8, validation=4, first_epochs=0, set=[], grounds=grounds
    )
    make_open_model.make_raw(prepared(tmp_path / "workspace", "open", []), tmp_path, options)

    assert licence == "CC0-1.0: mine"
    assert made == {
        "drawn": ({"train": 4, "validation": 2}, None),
        "rendered": ({"train": 4, "validation": 0}, grounds),
        "rendered-validation": ({"train": 0, "validation": 2}, ()),
    }
    assert len(list((tmp_path / "workspace/data/raw").rglob("*.jpg"))) == 12


@pytest.mark.parametrize(
    ("option", "message"),
    [
        *(
            (f"--share={share}", f"argument --share: {share!r} is no share, 0..1")
            for share in ("1.5", "-1", "nan", "half")
        ),
        *(
            (f"--{name}=0", f"argument --{name}: '0' is no whole number of 1 or more")
            for name in ("train", "validation")
        ),
        *((f"--{name}=-1", f"argument --{name}: '-1' is no whole number of 0") for name in ("seed", "first-epochs")),
        ("--train=many", "argument --train: 'many' is no whole number of 1 or more"),
        ("--share=0", "--grounds: stand behind rendered people, and --share 0 is without them"),
    ],
)
def test_an_option_that_cannot_be_is_refused_before_anything_is_made(tmp_path, monkeypatch, capsys, option, message):
    words = ["make_open_model.py", str(tmp_path / "new"), "--grounds", str(tmp_path), option]
    monkeypatch.setattr(sys, "argv", words)

    with pytest.raises(SystemExit, match="2"):
        make_open_model.main()
    assert message in capsys.readouterr().err
    assert not (tmp_path / "new").exists()


def test_a_folder_that_cannot_take_the_model_is_refused_before_anything_is_made(tmp_path, monkeypatch):
    (tmp_path / "notes.txt").write_text("mine")
    words = ["make_open_model.py", str(tmp_path / "new"), "--into", str(tmp_path / "notes.txt")]
    monkeypatch.setattr(sys, "argv", words)

    with pytest.raises(DeepmarkError, match=r"--into .*notes.txt: is a file. Name a folder."):
        make_open_model.main()
    assert not (tmp_path / "new").exists()
