"""Stored predictions are used while they are up to date; otherwise the version predicts again."""

import json

import pytest
from registered import aliases, cannot_predict, flip_bit, load_champion, registered_weights, tags
from workspaces import refused, set_params

from deepmark import predict_images, stages
from deepmark.compute.local import Local
from deepmark.errors import DeepmarkError
from deepmark.files import file_sha256
from deepmark.registry.cached_evaluation import EVALUATION_TAG
from deepmark.registry.promote import PROMOTION_TAG, promote
from deepmark.registry.versions import CHALLENGER, CHAMPION, Registry, with_alias
from deepmark.synthetic import draw_dataset


def test_on_the_same_data_nothing_is_predicted_again(pair, monkeypatch):
    cannot_predict(monkeypatch)

    assert promote(pair).champion == 2


def test_on_new_validation_pictures_both_are_measured_again_with_their_own_weights_once(pair, monkeypatch):
    draw_dataset(pair.root / "new", train=0, validation=4, seed=5, engine=Local(1))
    limits = {"tolerance": 0.5, "max_category_drop": 1.0}  # untrained networks detect next to nothing
    changed = set_params(pair, data={"raw": "new"}, promote=limits)
    stages.ingest(changed, split="validation")
    stages.shard(changed, split="validation")
    found = promote(changed, dry_run=True).comparison.differences
    assert (found[0].a, found[0].b) == pytest.approx((0, 0), abs=0.2)

    cannot_predict(monkeypatch)
    assert promote(changed, dry_run=True).comparison.differences == found
    kept = [json.loads(tags(pair, number)[EVALUATION_TAG])["figures"]["box_ap"] for number in (1, 2)]
    assert kept == [found[0].a, found[0].b]


def test_a_champion_that_cannot_be_measured_any_more_is_replaced_by_force_only(deepmark, pair):
    changed = set_params(pair, predict={"nms_iou": 0.6})
    champion = with_alias(Registry(pair.root).versions(), CHAMPION)
    for file in registered_weights(pair, champion.checkpoint):
        file.unlink()
    done = deepmark("promote", "--workspace", changed.root)

    words = ("version 1, the champion", "cannot be fetched", "Bring its files back", "deepmark promote --force REASON")
    assert refused(done, *words)
    assert promote(changed, force="its files are lost").champion == 2
    assert "cannot be measured: " in json.loads(tags(pair, 2)[PROMOTION_TAG])["failed"][0]


def test_a_champion_whose_weights_rotted_is_compared_with_by_force_only(deepmark, pair):
    champion = with_alias(Registry(pair.root).versions(), CHAMPION)
    flip_bit(*registered_weights(pair, champion.checkpoint))
    done = deepmark("promote", "--workspace", pair.root)

    words = ("version 1, the champion", "its weights were changed since", "deepmark promote --force REASON")
    assert refused(done, *words)
    assert aliases(pair) == {2: ("challenger",), 1: ("champion",)}
    assert promote(pair, force="its weights are damaged").champion == 2


def test_a_champion_with_a_flipped_bit_is_not_served(pair):
    champion = with_alias(Registry(pair.root).versions(), CHAMPION)
    flip_bit(*registered_weights(pair, champion.checkpoint))

    with pytest.raises(DeepmarkError, match=r"model\.safetensors: damaged"):
        load_champion(pair)


@pytest.mark.parametrize("fault", ["changed", "gone"])
def test_a_challenger_whose_weights_are_not_what_was_registered_is_not_promoted_even_by_force(pair, fault):
    challenger = with_alias(Registry(pair.root).versions(), CHALLENGER)
    for file in (pair.root / "mlartifacts").rglob("model.safetensors"):
        if file_sha256(file) == challenger.checkpoint:
            file.write_bytes(b"another") if fault == "changed" else file.unlink()

    with pytest.raises(DeepmarkError, match="weights were changed" if fault == "changed" else "cannot be fetched"):
        promote(pair, force="now")
    assert aliases(pair) == {2: ("challenger",), 1: ("champion",)}


@pytest.mark.slow
def test_a_registered_version_predicts_images_and_its_file_is_removed_afterwards(pair):
    images = sorted((pair.raw / "validation/image").iterdir())
    uri = "models:/deepmark@champion"
    found = list(predict_images(pair.raw / "validation/image", uri, workspace=pair.root, min_score=0.0))

    assert [one.file for one in found] == [str(image) for image in images]
    assert list((pair.root / "runs").iterdir()) == []
