"""The model that comes with DeepMark: found, told, refused where it is not what its card says, and a start to train."""

import pytest
import torch
from one_process import ALONE
from ruamel.yaml import YAML
from small_onnx import small_onnx
from vocabularies import SMALL
from white_images import white
from workspaces import set_params

import deepmark as face
from deepmark.errors import DeepmarkError
from deepmark.files import file_sha256
from deepmark.model.detector import build_detector, load_network, save_detector
from deepmark.models import packaged as room
from deepmark.params import ModelParams
from deepmark.train.run_id import training_inputs
from deepmark.train.start_networks import start_detector
from deepmark.vocabulary import DEEPFASHION2
from deepmark.workspace.folds import fold_params
from deepmark.workspace.init import init_workspace

CARD = {"in_short": "it has seen drawn images only"}
NONE = "no model comes with this installation of DeepMark"


@pytest.fixture
def folder(tmp_path, monkeypatch):
    """Where an installation has its model; still empty."""
    monkeypatch.setattr(room, "FOLDER", tmp_path / "installed")
    return tmp_path / "installed"


@pytest.fixture
def network():
    return build_detector(
        ModelParams(backbone="mobile", input_size=(64, 64), landmark_maps="grouped"), DEEPFASHION2, seed=5
    )


@pytest.fixture
def installed(folder, network, tmp_path):
    save_detector(network, tmp_path / "half.safetensors", half=True)
    files = {room.EXPORTED: small_onnx(tmp_path / "small.onnx"), room.WEIGHTS: tmp_path / "half.safetensors"}
    room.write_package(folder, files, CARD)
    return folder


@pytest.fixture
def photo(tmp_path, monkeypatch):
    (tmp_path / "elsewhere").mkdir()
    monkeypatch.chdir(tmp_path / "elsewhere")
    white(tmp_path / "elsewhere/a.png")
    return "a.png"


def test_detect_takes_it_where_no_model_is_named_and_says_so_once(deepmark, installed, photo):
    done = deepmark("detect", photo)

    assert done.code == 0
    assert done.out.startswith("a.png: short sleeve top 0.80")
    words = "deepmark detect: with the model that comes with DeepMark: it has seen drawn images only."
    assert done.err.splitlines() == [words]


@pytest.mark.parametrize("command", ["detect", "measure"])
def test_with_json_it_is_not_told(deepmark, installed, photo, command):
    done = deepmark(command, photo, "--json")

    assert (done.code, done.err) == (0, "")


def test_measure_tells_it_too(deepmark, installed, photo):
    assert deepmark("measure", photo).err.startswith(
        "deepmark measure: with the model that comes with DeepMark: it has"
    )


def test_python_takes_it_as_well(installed, photo):
    assert face.load_detector().path == face.load_detector("open").path == installed / room.EXPORTED
    (prediction,) = face.predict_images(photo, "open")
    assert prediction.detections.each_category[0].name == "short sleeve top"


def test_serve_takes_it_where_no_model_is_named(deepmark, installed, photo, monkeypatch):
    monkeypatch.setattr("deepmark.server.run.run_app", lambda app, listener, *, started, **rest: started())
    done = deepmark("serve", "--port", "0")

    assert done.code == 0
    assert done.err.startswith("deepmark serve: with the model that comes with DeepMark: it has seen")
    assert f": {room.EXPORTED}. Open it in a browser" in done.out


@pytest.mark.parametrize("mark", ["params.yaml", "export/model.onnx"])
def test_serve_means_the_model_of_the_folder_where_there_is_one(deepmark, installed, photo, tmp_path, mark):
    file = tmp_path / "elsewhere" / mark
    file.parent.mkdir(exist_ok=True)
    file.touch()
    done = deepmark("serve", "--port", "0")

    assert done.code == 1
    assert "comes with DeepMark" not in done.err


def test_in_a_workspace_its_own_checkpoint_is_meant(deepmark, installed, photo, tmp_path, monkeypatch):
    init_workspace(tmp_path / "workspace", "demo")
    monkeypatch.chdir(tmp_path / "workspace")
    done = deepmark("detect", tmp_path / "elsewhere/a.png")

    assert (done.code, done.out) == (1, "")
    assert "data/checkpoint/model.safetensors: no such file. `deepmark train` makes a model" in done.err
    assert "--model open the small one that comes with DeepMark" in done.err
    assert deepmark("detect", tmp_path / "elsewhere/a.png", "--model", "open", "--json").code == 0


@pytest.mark.parametrize("words", [("detect", "a.png"), ("serve", "--port", "0")])
def test_a_workspace_that_is_named_is_meant_not_the_model_that_comes_with_deepmark(deepmark, installed, photo, words):
    init_workspace(installed.parent / "workspace", "demo")

    for workspace, message in (("../workspace", "`deepmark train` makes"), ("nothing", "no workspace here")):
        done = deepmark(*words, "--workspace", workspace)
        assert (done.code, done.out) == (1, "")
        assert workspace in done.err
        assert message in done.err


@pytest.mark.parametrize("command", ["detect", "measure"])
def test_where_only_an_exported_model_is_there_it_is_taken(deepmark, installed, photo, tmp_path, command):
    (tmp_path / "elsewhere/export").mkdir()
    small_onnx(tmp_path / "elsewhere/export/model.onnx")
    done = deepmark(command, photo)

    assert (done.code, done.err) == (0, "")


@pytest.mark.parametrize("words", [("detect", "a.png"), ("serve", "--port", "0")])
def test_an_installation_without_one_says_how_to_get_one(deepmark, folder, photo, words):
    done = deepmark(*words)

    assert (done.code, done.out) == (1, "")
    (line,) = done.err.splitlines()
    assert line.startswith(f"deepmark {words[0]}: {NONE}")
    assert "Name a model with --model" in line
    assert "`make open-model`" in line


def test_the_card_has_the_size_and_the_sha256_of_each_file(installed):
    card = YAML(typ="safe").load(installed / room.CARD)

    assert card["in_short"] == CARD["in_short"]
    assert list(card["files"]) == [room.EXPORTED, room.WEIGHTS]
    for name, said in card["files"].items():
        file = installed / name
        assert said == {"bytes": file.stat().st_size, "sha256": file_sha256(file)}


@pytest.mark.parametrize(
    ("damage", "words"),
    [
        (lambda folder: (folder / room.EXPORTED).write_bytes(b"other"), "its sha256 is another than the card"),
        (lambda folder: (folder / room.CARD).unlink(), "not there, and without it nothing is known"),
        (lambda folder: (folder / room.CARD).write_text("files: ["), "damaged, or not a card"),
        (lambda folder: (folder / room.CARD).write_text("[1]"), "damaged, or not a card"),
    ],
)
def test_one_that_is_not_what_its_card_says_is_refused(deepmark, installed, photo, damage, words):
    damage(installed)
    done = deepmark("detect", photo)

    assert (done.code, done.out) == (1, "")
    assert words in done.err
    assert "Install DeepMark again" in done.err


def test_a_file_that_is_too_large_for_an_installation_is_refused_and_nothing_written(folder, tmp_path, monkeypatch):
    (tmp_path / "large").write_bytes(bytes(room.MOST_BYTES + 1))

    with pytest.raises(DeepmarkError, match=r"4\.0 MB, and open\.onnx may have 4 MB"):
        room.write_package(folder, {room.EXPORTED: tmp_path / "large"}, CARD)
    assert not folder.exists()


def test_convolutions_in_16_bits_are_half_the_bytes_and_load_as_32(installed, network, tmp_path):
    save_detector(network, tmp_path / "full.safetensors")
    small, loaded = installed / room.WEIGHTS, load_network(installed / room.WEIGHTS)

    assert small.stat().st_size < room.MOST_BYTES
    assert small.stat().st_size < 0.55 * (tmp_path / "full.safetensors").stat().st_size
    for name, value in network.state_dict().items():
        stored = loaded.state_dict()[name]
        assert stored.dtype == value.dtype
        torch.testing.assert_close(stored, value, rtol=1e-3, atol=1e-6)


@pytest.fixture
def opened(sharded):
    """A workspace whose training starts from the open model."""
    return set_params(sharded, train={"init": "open"}, model={"landmark_maps": "grouped"})


def test_a_training_starts_from_its_weights(installed, network, opened, capsys):
    started = start_detector(opened, DEEPFASHION2, ALONE)

    for name, value in network.state_dict().items():
        torch.testing.assert_close(started.state_dict()[name], value, rtol=1e-3, atol=1e-6)
    assert training_inputs(opened)["start"] == file_sha256(installed / room.WEIGHTS)
    assert "heads left: none" in capsys.readouterr().err
    assert fold_params(opened).train.init == "open"


def test_with_another_vocabulary_the_heads_of_its_categories_and_landmarks_start_fresh(installed, opened, capsys):
    fresh = build_detector(opened.params.model, SMALL, seed=opened.params.train.seed)
    started = start_detector(opened, SMALL, ALONE)

    heads = ("center_heatmap", "landmark_vectors", "landmark_heatmap")
    assert f"heads left: {', '.join(f'heads.{name}' for name in heads)}" in capsys.readouterr().err
    for name, value in fresh.state_dict().items():
        of_vocabulary = name.startswith(tuple(f"heads.{head}." for head in heads))
        if name.endswith("weight") and value.ndim == 4:
            assert torch.equal(started.state_dict()[name], value) == of_vocabulary


def test_a_training_from_a_model_that_is_not_there_is_refused(folder, opened):
    with pytest.raises(DeepmarkError, match=f"{NONE}.*set train.init to null"):
        start_detector(opened, DEEPFASHION2, ALONE)


def test_a_start_of_another_name_is_told_open(opened):
    with pytest.raises(DeepmarkError, match=r"train: init: .*opne is not there\. `open` is the model that comes with"):
        start_detector(set_params(opened, train={"init": "opne"}), DEEPFASHION2, ALONE)


@pytest.mark.parametrize("words", [("detect", "a.png", "--strategy", "flip"), ("adapt", "--images", "a.png")])
def test_without_its_weights_a_command_says_what_else_there_is(deepmark, installed, photo, words, tmp_path):
    (installed / room.WEIGHTS).unlink()
    out = ("--out", tmp_path / "new.safetensors") if words[0] == "adapt" else ()
    done = deepmark(*words, *out, "--model", "open")

    assert (done.code, done.out) == (1, "")
    other = "or name a model file" if words[0] == "adapt" else "or take --strategy nms, for which they are not needed"
    assert done.err.endswith(f"{other}.\n")
