"""The model file: its content, the same bytes for the same model, and the reason where a file is refused."""

import json
from dataclasses import replace
from pathlib import Path

import pytest
import torch
from safetensors.torch import save_file
from vocabularies import MANY, SMALL
from workspaces import REPOSITORY

from deepmark.errors import DeepmarkError
from deepmark.files import new_file
from deepmark.model import detector as detector_module
from deepmark.model.detector import (
    build_detector,
    load_network,
    save_detector,
)
from deepmark.model.landmark_channels import landmark_layout
from deepmark.params import ModelParams, load_params
from deepmark.vocabulary import DEEPFASHION2

MOBILE = ModelParams(backbone="mobile", input_size=(64, 96))


GROUPED = ModelParams(backbone="mobile", input_size=(64, 96), landmark_maps="grouped")


def description_in(file: Path) -> dict[str, str]:
    """What the header of a model file says of it."""
    content = file.read_bytes()
    metadata = json.loads(content[8 : 8 + int.from_bytes(content[:8], "little")])["__metadata__"]
    return json.loads(metadata["deepmark"])


def test_the_mean_of_the_pictures_is_kept_with_the_weights(tmp_path):
    detector = build_detector(MOBILE, DEEPFASHION2, seed=0)
    detector.mean.fill_(0.25)

    save_detector(detector, tmp_path / "model.safetensors")

    assert load_network(tmp_path / "model.safetensors").mean.tolist() == [0.25] * 3


def test_the_file_says_what_it_holds_to_any_reader(tmp_path):
    save_detector(build_detector(MOBILE, DEEPFASHION2, seed=0), tmp_path / "model.safetensors")

    description = description_in(tmp_path / "model.safetensors")

    assert json.loads(description["model"])["backbone"] == "mobile"
    assert json.loads(description["categories"]) == [category.name for category in DEEPFASHION2.categories]


@pytest.mark.parametrize("vocabulary", [SMALL, MANY], ids=lambda one: one.name)
def test_the_vocabulary_comes_back_with_the_model(vocabulary, tmp_path):
    save_detector(build_detector(GROUPED, vocabulary, seed=0), tmp_path / "model.safetensors")
    loaded = load_network(tmp_path / "model.safetensors")

    assert loaded.vocabulary == vocabulary
    assert loaded.vocabulary.name == vocabulary.name
    assert loaded.layout == landmark_layout(vocabulary, "grouped")


def test_the_file_of_a_model_of_deepfashion2_does_not_hold_its_vocabulary(tmp_path):
    save_detector(build_detector(MOBILE, DEEPFASHION2, seed=0), tmp_path / "model.safetensors")

    assert "vocabulary" not in description_in(tmp_path / "model.safetensors")
    assert load_network(tmp_path / "model.safetensors").vocabulary is DEEPFASHION2


def test_the_same_model_is_the_same_file_every_time(tmp_path):
    detector = build_detector(MOBILE, DEEPFASHION2, seed=0)
    for name in "abcdef":
        save_detector(detector, tmp_path / name, facts={"run": "7", "data": "3"})

    assert len({(tmp_path / name).read_bytes() for name in "abcdef"}) == 1


def test_a_model_whose_maps_show_other_groups_of_landmarks_is_refused(tmp_path, monkeypatch):
    detector = build_detector(GROUPED, DEEPFASHION2, seed=0)
    detector.heads.layout = replace(detector.layout, channel_of=detector.layout.channel_of[::-1])
    save_detector(detector, tmp_path / "model.safetensors")

    with pytest.raises(DeepmarkError, match=r"model\.safetensors: its maps show other landmarks .* grouped"):
        load_network(tmp_path / "model.safetensors")


def test_the_section_predict_comes_back_with_the_model(tmp_path):
    predict = load_params(REPOSITORY / "params.yaml").predict
    save_detector(build_detector(MOBILE, DEEPFASHION2, seed=0), tmp_path / "with.safetensors", predict=predict)
    save_detector(build_detector(MOBILE, DEEPFASHION2, seed=0), tmp_path / "without.safetensors")

    assert load_network(tmp_path / "with.safetensors").predict_params == predict
    assert load_network(tmp_path / "without.safetensors").predict_params is None


def test_a_missing_model_is_named(tmp_path):
    with pytest.raises(DeepmarkError, match=r"nothing\.safetensors: no such file"):
        load_network(tmp_path / "nothing.safetensors")


def test_a_damaged_model_is_refused(tmp_path):
    path = tmp_path / "model.safetensors"
    save_detector(build_detector(MOBILE, DEEPFASHION2, seed=0), path)
    path.write_bytes(path.read_bytes()[:-1000])

    with pytest.raises(DeepmarkError, match=r"model\.safetensors: damaged.*`deepmark train` again"):
        load_network(path)


def test_one_flipped_bit_of_header_or_weights_is_told(tmp_path):
    path = tmp_path / "model.safetensors"
    save_detector(build_detector(MOBILE, DEEPFASHION2, seed=0), path)
    whole = path.read_bytes()
    header = 8 + int.from_bytes(whole[:8], "little")

    for byte in (0, 9, header // 2, header - 1, header, header + 1001, len(whole) - 1):
        path.write_bytes(whole[:byte] + bytes([whole[byte] ^ 64]) + whole[byte + 1 :])
        with pytest.raises(DeepmarkError, match=r"model\.safetensors: damaged.*`deepmark train` again"):
            load_network(path)


def test_a_model_of_an_earlier_release_without_a_digest_is_loaded(tmp_path, monkeypatch):
    monkeypatch.setattr(detector_module, "new_file_with_digest", new_file)
    monkeypatch.setattr(detector_module, "NO_DIGEST", "none")
    detector = build_detector(MOBILE, DEEPFASHION2, seed=0)
    save_detector(detector, tmp_path / "model.safetensors")

    loaded = load_network(tmp_path / "model.safetensors").state_dict()
    assert all(torch.equal(tensor, loaded[name]) for name, tensor in detector.state_dict().items())


def test_a_picture_is_not_a_model(tmp_path):
    path = tmp_path / "picture.jpg"
    path.write_bytes(b"\xff\xd8\xff\xe0 not weights")

    with pytest.raises(DeepmarkError, match=r"picture\.jpg: damaged, or not a safetensors file"):
        load_network(path)


def test_another_project_s_safetensors_are_refused(tmp_path):
    path = tmp_path / "other.safetensors"
    save_file({"weight": torch.zeros(3)}, path)

    with pytest.raises(DeepmarkError, match=r"other\.safetensors: not a DeepMark model"):
        load_network(path)


def test_a_model_with_an_unreadable_description_is_refused(tmp_path):
    path = tmp_path / "model.safetensors"
    description = {"format": "deepmark detector 1", "model": '{"backbone": "resnet"}'}
    save_file({"weight": torch.zeros(3)}, path, {"deepmark": json.dumps(description)})

    with pytest.raises(DeepmarkError, match=r"model\.safetensors: its description cannot be read"):
        load_network(path)


@pytest.mark.parametrize("change", ["missing", "wrong shape", "extra"])
def test_a_model_whose_tensors_do_not_fit_is_refused(tmp_path, change):
    path = tmp_path / "model.safetensors"
    detector = build_detector(MOBILE, DEEPFASHION2, seed=0)
    head = detector.heads.size[2]
    if change == "missing":
        head.bias = None
    elif change == "wrong shape":
        head.bias = torch.nn.Parameter(torch.zeros(7))
    else:
        head.register_buffer("unknown", torch.zeros(1))
    save_detector(detector, path)

    with pytest.raises(DeepmarkError, match=r"model\.safetensors: 1 tensors? do(es)? not fit .*heads\.size\.2"):
        load_network(path)


def test_a_folder_in_place_of_a_model_is_told_as_that(tmp_path):
    with pytest.raises(
        DeepmarkError, match=rf"{tmp_path}: a folder. Give a file, such as {tmp_path}/model\.safetensors"
    ):
        load_network(tmp_path)


@pytest.mark.parametrize("modern", [True, False])
def test_a_checkpoint_of_torch_is_told_with_the_command_that_converts_some(tmp_path, modern):
    file = tmp_path / "model.pt"
    torch.save({"weight": torch.zeros(1)}, file, _use_new_zipfile_serialization=modern)

    with pytest.raises(DeepmarkError, match=r"model\.pt: a checkpoint of torch\.save\. `deepmark import-checkpoint`"):
        load_network(file)
