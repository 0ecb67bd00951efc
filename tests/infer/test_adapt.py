"""Batch normalisation takes its statistics from unlabelled images, exactly, and nothing else of a network changes."""

from copy import deepcopy

import numpy as np
import pytest
import torch
from bad_images import bad_images
from PIL import Image
from small_detector import small_detector

from deepmark.data.degrade import degrade
from deepmark.errors import DeepmarkError
from deepmark.infer.adapt import BATCH, FEWEST, adapt, adapt_file, shifts
from deepmark.model.detector import build_detector, load_network, save_detector
from deepmark.params import ModelParams, load_params
from deepmark.synthetic.scene import draw_image
from deepmark.vocabulary import DEEPFASHION2
from deepmark.workspace.init import profile_file

PARAMS = ModelParams(backbone="mobile", input_size=(64, 64))
SHIFTED = {"white_balance": 0.4, "noise": 40.0}


def canvases(seed: int, count: int = 6) -> np.ndarray:
    """Canvases whose channels differ, each with noise of its own."""
    rng = np.random.default_rng(seed)
    return rng.integers(0, rng.integers(80, 256, (count, 1, 1, 3)), (count, 64, 64, 3)).astype(np.uint8)


def layers_of(detector):
    return [one for one in detector.modules() if isinstance(one, torch.nn.BatchNorm2d)]


def plain_statistics(detector, batches):
    """Mean and unbiased variance of all that each layer gets while the network is in training mode, layer by layer."""
    network = deepcopy(detector)
    network.train()
    seen = [[] for _ in layers_of(network)]
    for layer, kept in zip(layers_of(network), seen, strict=True):
        layer.register_forward_pre_hook(lambda _, maps, kept=kept: kept.append(maps[0].clone()))
    with torch.no_grad():
        for batch in batches:
            network(network.normalize(torch.from_numpy(batch)))
    every = [torch.cat(kept).double().transpose(0, 1).flatten(1) for kept in seen]
    return [one.mean(1) for one in every], [one.var(1) for one in every]


@pytest.mark.parametrize("share", [1.0, 0.25])
def test_the_statistics_are_those_of_all_cells_in_training_mode(share):
    detector = build_detector(PARAMS, DEEPFASHION2, seed=1).eval()
    before = deepcopy(detector)
    batches = [canvases(1, 6), canvases(2, 3)]  # of different sizes: every cell counts alike
    means, variances = plain_statistics(detector, batches)

    adapt(detector, batches, share=share)

    for old, new, mean, variance in zip(layers_of(before), layers_of(detector), means, variances, strict=True):
        for was, is_, wanted in (
            (old.running_mean, new.running_mean, mean),
            (old.running_var, new.running_var, variance),
        ):
            torch.testing.assert_close(is_.double(), (1 - share) * was + share * wanted, rtol=1e-4, atol=1e-5)


def test_nothing_else_changes():
    detector = build_detector(PARAMS, DEEPFASHION2, seed=1).eval()
    before = deepcopy(detector)

    adapt(detector, [canvases(1)])

    assert not any(module.training for module in detector.modules())
    for name, value in before.state_dict().items():
        assert torch.equal(value, detector.state_dict()[name]) == (not name.endswith(("running_mean", "running_var")))
    assert [one.momentum for one in layers_of(detector)] == [one.momentum for one in layers_of(before)]


def features(detector, images):
    with torch.no_grad():
        (maps,) = detector.backbone(detector.normalize(torch.from_numpy(images)))
    return maps.mean((0, 2, 3)), maps.std((0, 2, 3))


def test_features_of_images_that_look_otherwise_come_back():
    """Of drawings with other white balance and with noise, the features' statistics come near those of the drawings."""
    drawings = [Image.fromarray(draw_image(seed=5, split="train", index=one).image) for one in range(12)]
    clean = np.stack([np.asarray(one.resize((64, 64))) for one in drawings])
    augment = load_params(profile_file("demo")).augment.model_copy(update=SHIFTED)
    shifted = np.stack([degrade(one, augment, np.random.default_rng(place)) for place, one in enumerate(clean)])
    trained = build_detector(PARAMS, DEEPFASHION2, seed=1).eval()
    adapt(trained, [clean])  # as training leaves them
    adapted = deepcopy(trained)

    adapt(adapted, [shifted])

    (mean, deviation), far, near = features(trained, clean), features(trained, shifted), features(adapted, shifted)
    for wanted, without, with_ in zip((mean, deviation), far, near, strict=True):
        assert (with_ - wanted).abs().mean() < (without - wanted).abs().mean() / 3
    moved = shifts(trained, adapted)
    assert moved[0].stage == "stem"
    assert [one.layers for one in moved][:3] == [2, 2, 5]
    assert moved[0].spread > 1.03


def test_a_network_without_batch_normalisation_is_refused():
    with pytest.raises(DeepmarkError, match="no batch normalisation"):
        adapt(small_detector(), [canvases(1)])


@pytest.fixture
def model(tmp_path):
    network = build_detector(PARAMS, DEEPFASHION2, seed=1)
    save_detector(network, tmp_path / "model.safetensors", facts={"mlflow_run": "abc"})
    return tmp_path / "model.safetensors"


@pytest.fixture
def photos(tmp_path):
    (tmp_path / "photos").mkdir()
    for number in range(FEWEST + 8):
        size = (40 + number, 50)
        pixels = np.random.default_rng(number).integers(0, 256, (*size, 3)).astype(np.uint8)
        Image.fromarray(pixels).save(tmp_path / f"photos/{number:02}.png")
    return tmp_path / "photos"


def test_a_model_is_adapted_to_a_folder(deepmark, model, photos, tmp_path):
    kinds = bad_images((photos / "00.png").read_bytes())
    (photos / "broken.png").write_bytes(kinds["a PNG that is cut off"][0])
    words = ("adapt", "--model", model, "--images", photos, "--json", "--out")
    done = deepmark(*words, tmp_path / "new.safetensors")
    again = deepmark(*words, tmp_path / "again.safetensors")

    assert done.code == 0, done.err
    assert "broken.png" in done.err
    assert (done.facts["images"], done.facts["unreadable"]) == (FEWEST + 8, [str(photos / "broken.png")])
    assert done.facts["stages"][0]["stage"] == "stem"
    assert (tmp_path / "new.safetensors").read_bytes() == (tmp_path / "again.safetensors").read_bytes()
    new = load_network(tmp_path / "new.safetensors")
    assert (new.facts["mlflow_run"], new.facts["adapted_images"]) == ("abc", str(FEWEST + 8))
    assert again.facts["stages"] == done.facts["stages"]
    assert "How far the statistics moved" in deepmark(*words[:-2], "--out", tmp_path / "third.safetensors").out


def test_the_model_that_comes_with_deepmark_can_be_named(deepmark, photos, tmp_path):
    done = deepmark("adapt", "--model", "open", "--images", photos, "--out", tmp_path / "new.safetensors")

    assert done.code == 0, done.err
    assert load_network(tmp_path / "new.safetensors").facts["adapted_images"] == str(FEWEST + 8)


def test_batches_hold_every_image_once(model, photos, tmp_path, monkeypatch):
    sizes = []
    monkeypatch.setattr("deepmark.infer.adapt.adapt", lambda network, batches, **_: sizes.extend(map(len, batches)))

    adapt_file(model, sorted(photos.iterdir()), tmp_path / "new.safetensors")

    assert sum(sizes) == FEWEST + 8
    assert all(BATCH // 2 <= size <= BATCH for size in sizes)


@pytest.mark.parametrize(
    ("change", "words"),
    [
        (lambda photos, words: [one.unlink() for one in sorted(photos.iterdir())[20:]], "20 images, and 32 are needed"),
        (
            lambda photos, words: [one.write_bytes(b"none") for one in sorted(photos.iterdir())[10:]],
            "10 images of 40 can be read, and 32 are needed",
        ),
        (lambda photos, words: words.update({"--out": photos / "00.png"}), "Name a file .safetensors"),
        (lambda photos, words: words.update({"--out": words["--model"]}), "is there already, and nothing is replaced"),
        (lambda photos, words: words.update({"--share": 0}), "--share 0: give a number above 0"),
        (lambda photos, words: words.update({"--model": "model.onnx"}), "comes before `deepmark export`"),
        (lambda photos, words: words.update({"--device": "cuda:77"}), "device 'cuda:77'"),
    ],
)
def test_what_cannot_be_is_refused_and_nothing_is_written(deepmark, model, photos, tmp_path, change, words):
    options = {"--model": model, "--images": photos, "--out": tmp_path / "new.safetensors"}
    change(photos, options)
    before = sorted(tmp_path.rglob("*"))

    done = deepmark("adapt", *(part for option in options.items() for part in option))

    assert (done.code, done.out) == (1, "")
    assert words in done.err
    assert sorted(tmp_path.rglob("*")) == before
