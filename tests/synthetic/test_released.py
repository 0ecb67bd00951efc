"""Drawn data with the frequencies and the shapes of DeepFashion2."""

import json

import numpy as np
import pytest

from deepmark.compute.local import Local
from deepmark.errors import DeepmarkError
from deepmark.schema import Statistics
from deepmark.synthetic import draw_dataset
from deepmark.synthetic.released import leading_shares, sample_released_kinds, sample_released_size
from deepmark.synthetic.scene import draw_image
from deepmark.vocabulary import DEEPFASHION2

RELEASED = np.array([category.released_items["train"] for category in DEEPFASHION2.categories])


def test_items_are_as_frequent_as_those_released():
    rng = np.random.default_rng(0)
    outfits = [sample_released_kinds(rng) for _ in range(40_000)]
    counts = np.bincount([one for outfit in outfits for (one,) in outfit], minlength=13)
    wanted = RELEASED / RELEASED.sum() * counts.sum()

    assert (np.abs(counts - wanted) < 5 * np.sqrt(wanted)).all()
    assert counts[2] == counts.min()
    assert counts.sum() / len(outfits) == pytest.approx(312_186 / 191_961, abs=0.15)
    assert sum(leading_shares()) == pytest.approx(1)
    assert min(leading_shares()) > 0


def test_images_have_the_shapes_that_are_known():
    rng = np.random.default_rng(0)
    sizes = np.array([sample_released_size(rng) for _ in range(4000)])

    assert sizes[:, 0].max() <= 1100
    assert sizes[:, 1].min() >= 470
    assert sizes[:, 1].max() <= 750
    assert (sizes[:, 1] / sizes[:, 0]).mean() == pytest.approx(0.74, abs=0.01)


@pytest.mark.slow
def test_training_images_are_as_released_and_validation_images_have_every_category(tmp_path):
    facts = draw_dataset(tmp_path / "raw", train=60, validation=60, seed=3, statistics="deepfashion2", engine=Local(1))
    names = {split: [] for split in ("train", "validation")}
    for split, found in names.items():
        for file in sorted((tmp_path / "raw" / split / "annos").iterdir()):
            items = json.loads(file.read_text("utf-8"))
            found += [item["category_name"] for key, item in items.items() if key.startswith("item")]
    rare = {"short sleeve outwear", "sling"}

    assert facts["garments"] == sum(map(len, names.values()))
    assert len(set(names["validation"])) == 13
    assert sum(name in rare for name in names["train"]) < sum(name in rare for name in names["validation"])
    assert names["train"].count("short sleeve top") > 2 * names["validation"].count("short sleeve top")
    assert json.loads((tmp_path / "raw/synthetic.json").read_text("utf-8"))["statistics"] == "deepfashion2"


def test_an_image_depends_on_the_statistics_and_even_ones_are_as_they_were():
    even, other = (draw_image(seed=1, split="train", index=0, statistics=one) for one in Statistics)
    plain = draw_image(seed=1, split="train", index=0)

    assert (plain.image == even.image).all()
    assert plain.annotation == even.annotation
    assert even.image.shape != other.image.shape or (even.image != other.image).any()


def test_other_statistics_are_told(tmp_path):
    with pytest.raises(DeepmarkError, match="Give one of even, deepfashion2"):
        draw_dataset(tmp_path / "raw", train=1, validation=0, seed=1, statistics="coco")
