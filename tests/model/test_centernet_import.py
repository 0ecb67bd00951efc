"""Published checkpoints become models that give the published output, or are refused with the reason."""

import json
import os
import pickle

import pytest
import torch
from published import DLA, HOURGLASS, Published, check_maps
from torch import Tensor

from deepmark.errors import DeepmarkError
from deepmark.files import file_sha256
from deepmark.model.centernet_import import import_checkpoint
from deepmark.model.detector import MEAN, STD, build_detector, load_network
from deepmark.model.torch_checkpoint import read_checkpoint
from deepmark.params import ModelParams
from deepmark.vocabulary import DEEPFASHION2

PARAMS = ModelParams(backbone="dla34", input_size=(64, 96))


@pytest.fixture(scope="module")
def dla_weights() -> dict[str, Tensor]:
    return DLA.weights()


def write(path, weights, **more):
    """A checkpoint file as CenterNet's, saved from several GPUs."""
    torch.save({"epoch": 230, "state_dict": {f"module.{key}": value for key, value in weights.items()}, **more}, path)
    return path


def import_and_compare(deepmark, folder, published: Published, weights: dict[str, Tensor], backbone: str) -> dict:
    """Import by the command, and compare maps: the published network takes images in the order B G R, ours in R G B."""
    source, out = write(folder / "published.pth", weights), folder / "imported.safetensors"
    done = deepmark("import-checkpoint", source, "--backbone", backbone, "--out", out, "--json")
    assert done.code == 0, done.err

    detector = load_network(out)
    with torch.no_grad():
        maps = detector(published.picture().flip(1))
    check_maps(published, {"wh": maps.size, "reg": maps.center_offset})
    return done.facts


@pytest.mark.slow
def test_imported_dla34_answers_as_published(deepmark, tmp_path, dla_weights):
    facts = import_and_compare(deepmark, tmp_path, DLA, dla_weights, "dla34")

    assert facts["heads_taken"] == ["heads.size", "heads.center_offset"]
    assert facts["left"]["heads.center_heatmap"] == "at its start values: hm has 80 channels, 13 are needed"
    assert facts["left"]["heads.landmark_vectors"] == "at its start values: no hps in the file"
    assert facts["left"]["base.fc"] == "not needed: no image passes it"
    assert facts["backbone_tensors_taken"] == sum(map(DLA.of_backbone, DLA.shapes))


@pytest.mark.slow  # 195 million random weights are written, imported and read
def test_imported_hourglass_answers_as_published(deepmark, tmp_path):
    facts = import_and_compare(deepmark, tmp_path, HOURGLASS, HOURGLASS.weights(), "hourglass104")

    taken = {"heads.size", "heads.center_offset", "earlier_heads.0.size", "earlier_heads.0.center_offset"}
    assert set(facts["heads_taken"]) == taken
    assert facts["backbone_tensors_taken"] == sum(map(HOURGLASS.of_backbone, HOURGLASS.shapes))


@pytest.mark.slow
def test_what_was_taken_and_left_is_told_to_people(deepmark, tmp_path, dla_weights):
    source = write(tmp_path / "published.pth", dla_weights)
    done = deepmark(
        "import-checkpoint", source, "--backbone", "dla34", "--out", tmp_path / "m", "--input-size", 256, 192
    )

    lines = [" ".join(line.split()) for line in done.out.splitlines()]
    assert "heads taken heads.size, heads.center_offset" in lines
    assert "left heads.center heatmap at its start values: hm has 80 channels, 13 are needed" in lines
    assert load_network(tmp_path / "m").params.input_size == (256, 192)


@pytest.mark.slow
def test_the_model_knows_its_origin_and_how_pictures_are_normalised(tmp_path, dla_weights):
    source = write(tmp_path / "ctdet_coco_dla_2x.pth", dla_weights)
    import_checkpoint(source, tmp_path / "model.safetensors", PARAMS)

    detector = load_network(tmp_path / "model.safetensors")

    assert detector.facts["source"] == "ctdet_coco_dla_2x.pth"
    assert detector.facts["source_sha256"] == file_sha256(source)
    assert "heads.center_heatmap" in json.loads(detector.facts["heads_at_start"])
    torch.testing.assert_close(detector.mean, torch.tensor(MEAN))
    torch.testing.assert_close(detector.std, torch.tensor(STD))


@pytest.mark.slow
def test_a_head_that_does_not_fit_has_its_start_values(tmp_path, dla_weights):
    import_checkpoint(write(tmp_path / "a.pth", dla_weights), tmp_path / "model.safetensors", PARAMS)

    found = load_network(tmp_path / "model.safetensors").heads.center_heatmap.state_dict()

    start = build_detector(PARAMS, DEEPFASHION2, seed=0).heads.center_heatmap.state_dict()
    assert all(torch.equal(found[name], start[name]) for name in start)


@pytest.mark.slow
def test_heads_for_pose_are_taken_where_they_fit(tmp_path, dla_weights):
    pose = {
        f"{name}.{layer}.{kind}": torch.full((*shape, *tail), 0.25)
        for name, channels in (("hps", 588), ("hm_hp", 17), ("hp_offset", 2))
        for layer, shape, size in (("0", (256,), (64, 3, 3)), ("2", (channels,), (256, 1, 1)))
        for kind, tail in (("weight", size), ("bias", ()))
    }
    facts = import_checkpoint(write(tmp_path / "a.pth", dla_weights | pose), tmp_path / "model.safetensors", PARAMS)

    heads = load_network(tmp_path / "model.safetensors").heads
    assert {"heads.landmark_vectors", "heads.landmark_offset"} <= set(facts["heads_taken"])
    assert (heads.landmark_vectors[2].weight == 0.25).all()
    assert facts["left"]["heads.landmark_heatmap"] == "at its start values: hm_hp has 17 channels, 294 are needed"


@pytest.mark.slow
def test_the_same_checkpoint_is_the_same_model_every_time(tmp_path, dla_weights):
    source = write(tmp_path / "a.pth", dla_weights)
    for name in "bc":
        import_checkpoint(source, tmp_path / name, PARAMS)

    assert (tmp_path / "b").read_bytes() == (tmp_path / "c").read_bytes()


def test_files_of_older_torches_are_read(tmp_path):
    content = {"state_dict": {"module.a": torch.arange(3.0)}}
    torch.save(content, tmp_path / "old.pth", _use_new_zipfile_serialization=False)

    assert read_checkpoint(tmp_path / "old.pth")["a"].tolist() == [0, 1, 2]


def refused(file, match):
    out = file.with_name("model.safetensors")
    with pytest.raises(DeepmarkError, match=match) as caught:
        import_checkpoint(file, out, PARAMS)
    assert str(file) in str(caught.value)
    assert not out.exists()


def test_a_missing_file_is_named(tmp_path):
    refused(tmp_path / "nothing.pth", "no such file")


@pytest.mark.parametrize(
    "content",
    [b"", b"\xff\xd8\xff\xe0 a picture", b"words\n" * 40, b"PK\x03\x04 half an archive", pickle.dumps([1, 2], 4)],
    ids=["empty", "picture", "text", "archive", "pickle"],
)
def test_what_is_not_a_checkpoint_is_refused(tmp_path, content):
    (tmp_path / "a.pth").write_bytes(content)

    refused(tmp_path / "a.pth", "damaged, or not a file of torch.save|no 'state_dict'")


@pytest.mark.parametrize("zipped", [True, False])
def test_half_a_checkpoint_is_refused(tmp_path, zipped):
    torch.save({"state_dict": {"a": torch.zeros(9999)}}, tmp_path / "a.pth", _use_new_zipfile_serialization=zipped)
    content = (tmp_path / "a.pth").read_bytes()
    (tmp_path / "a.pth").write_bytes(content[: len(content) // 2])

    refused(tmp_path / "a.pth", "damaged, or not a file of torch.save")


class Code:
    """Runs a command when it is unpickled without protection."""

    def __init__(self, folder) -> None:
        self.command = f"touch {folder / 'it_ran'}"

    def __reduce__(self):
        return os.system, (self.command,)


@pytest.mark.parametrize("zipped", [True, False])
def test_code_in_a_checkpoint_is_named_and_not_run(tmp_path, zipped):
    content = {"state_dict": {"a": torch.zeros(3)}, "extra": Code(tmp_path)}
    torch.save(content, tmp_path / "a.pth", _use_new_zipfile_serialization=zipped)

    refused(tmp_path / "a.pth", r"holds Python objects \(posix\.system\).*not opened")
    assert not (tmp_path / "it_ran").exists()


@pytest.mark.parametrize(
    "content",
    [{"model": {"a": torch.zeros(1)}}, [torch.zeros(1)], {"state_dict": {"a": 1}}, {"state_dict": {}}],
    ids=["other key", "list", "numbers", "empty"],
)
def test_a_file_without_a_state_dict_is_refused(tmp_path, content):
    torch.save(content, tmp_path / "a.pth")

    refused(tmp_path / "a.pth", "no 'state_dict' of tensors in it")


def test_weights_of_the_other_backbone_are_refused_with_its_name(tmp_path):
    weights = {"kps.0.up1.0.conv1.weight": torch.zeros(1)}

    refused(write(tmp_path / "a.pth", weights), "weights of hourglass104, not of dla34. Give --backbone hourglass104")


def test_weights_of_a_stranger_are_refused_with_what_would_do(tmp_path):
    weights = {"layer1.0.conv1.weight": torch.zeros(1)}

    refused(
        write(tmp_path / "a.pth", weights), r"neither of CenterNet's .*'layer1\.0\.conv1\.weight'.*ctdet_coco_dla_2x"
    )


@pytest.mark.slow
@pytest.mark.parametrize("name", ["base.level2.tree1.conv1.weight", "wh.2.bias"])
def test_a_missing_tensor_is_named(tmp_path, dla_weights, name):
    weights = {key: value for key, value in dla_weights.items() if key != name}

    refused(write(tmp_path / "a.pth", weights), "1 of the network's tensors are missing")


@pytest.mark.slow
def test_a_tensor_of_another_shape_is_named_with_both(tmp_path, dla_weights):
    name = "base.level2.tree1.conv1.weight"

    refused(
        write(tmp_path / "a.pth", dla_weights | {name: torch.zeros(64, 32, 5, 5)}),
        r"'base\.level2\.tree1\.conv1\.weight' has the shape \[64, 32, 5, 5\], \[64, 32, 3, 3\] is needed",
    )


def test_a_mistake_is_one_message_of_the_command(deepmark, tmp_path):
    out = tmp_path / "model.safetensors"
    done = deepmark("import-checkpoint", tmp_path / "nothing.pth", "--backbone", "dla34", "--out", out)

    assert (done.code, done.out) == (1, "")
    assert done.err.startswith(f"deepmark import-checkpoint: {tmp_path}/nothing.pth: no such file")


def test_an_input_size_that_the_backbone_does_not_take_is_refused(deepmark, tmp_path):
    done = deepmark("import-checkpoint", "a.pth", "--backbone", "hourglass104", "--out", "b", "--input-size", 512, 480)

    assert done.code == 1
    assert "[512, 480] must be multiples of 128" in done.err


def test_a_folder_is_no_name_for_a_model(tmp_path):
    with pytest.raises(DeepmarkError, match=r"a folder\. Give --out the name of a file"):
        import_checkpoint(tmp_path / "a.pth", tmp_path, PARAMS)
