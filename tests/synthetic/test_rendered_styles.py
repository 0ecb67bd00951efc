"""The styles of rendered images: what may be worn over what, and which styles are refused."""

import json
from dataclasses import replace

import numpy as np
import pytest

from deepmark.compute.local import Local
from deepmark.errors import DeepmarkError
from deepmark.schema import DRAWN_MARK, SPLITS
from deepmark.synthetic.outfit import BOTTOMS, DRESSES, OUTWEAR, TOPS
from deepmark.synthetic.rendered import dataset, outfit
from deepmark.synthetic.rendered.design import Design
from deepmark.synthetic.rendered.figure import Figure
from deepmark.synthetic.rendered.styles import HELD_OUT, STYLES, TRAINING, check_styles

OUTFITS = 150


@pytest.fixture
def categories(monkeypatch):
    """The categories of an outfit in these styles, without a figure."""

    def design(rng, figure, category):
        found = object.__new__(Design)
        object.__setattr__(found, "category", category)
        return found

    monkeypatch.setattr(outfit, "sample_design", design)
    monkeypatch.setattr(outfit, "tucked", lambda top, lower: top)
    rng, figure = np.random.default_rng(4), object.__new__(Figure)
    return lambda styles, number: [one.category for one in outfit.sample_outfit(rng, figure, styles, number)]


def test_the_usual_styles_have_coats_over_tops_and_over_dresses(categories):
    found = [categories(TRAINING, number) for number in range(OUTFITS)]

    layered = [set(one) for one in found if set(one) & set(OUTWEAR)]
    assert any(one & set(TOPS) for one in layered)
    assert any(one & set(DRESSES) for one in layered)
    assert all(one & {*TOPS, *DRESSES} for one in layered)


def test_without_layers_nothing_is_worn_over_another_upper_garment(categories):
    bare = replace(TRAINING, layered=0.0, under_outwear=(0.0, 0.0, 1.0))
    found = [categories(bare, number) for number in range(OUTFITS)]

    assert all(len(set(one) & {*TOPS, *DRESSES, *OUTWEAR}) == 1 for one in found)
    assert all(set(one) & {*BOTTOMS, *DRESSES} for one in found)
    assert {category for one in found for category in one} == {*TOPS, *BOTTOMS, *DRESSES, *OUTWEAR}


def test_a_top_is_the_innermost_where_it_is_tucked_in(categories):
    for tucked, place in ((0.0, 1), (1.0, 0)):
        styles = replace(TRAINING, tucked=tucked)
        found = [categories(styles, number) for number in range(OUTFITS)]
        assert {one.index(top) for one in found for top in set(one) & set(TOPS)} == {place}


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (
            {"fabrics": {"plain": 0.5, "silk": 0.5}},
            "styles of train: fabrics: 'silk' is no kind. Give shares of blossoms",
        ),
        ({"grounds": {"beach": 1.0}}, "styles of train: grounds: 'beach' is no kind. Give shares of clutter"),
        ({"surfaces": {"lawn": 1.0}}, "styles of train: surfaces: 'lawn' is no kind. Give shares of boards, carpet"),
        ({"shown": {"folded": 1.0}}, "styles of train: shown: 'folded' is no kind. Give shares of flat, hanging, worn"),
        ({"legs": (0.5, 0.5, 0.5, 0.5, 0.0, 0.0)}, "styles of train: legs: give shares in 0..1 whose sum is 1"),
        ({"under_outwear": (1.5, -0.5, 0.0)}, "styles of train: under_outwear: give shares"),
        ({"layered": 1.2}, "styles of train: layered: give"),
    ],
)
def test_styles_that_cannot_be_sampled_are_refused(change, message):
    with pytest.raises(DeepmarkError, match=message):
        check_styles({**STYLES, "train": replace(TRAINING, **change)})


def test_styles_are_given_for_both_splits():
    with pytest.raises(DeepmarkError, match=r"styles: none for validation. Give them for train and validation"):
        check_styles({"train": HELD_OUT})
    check_styles(dict.fromkeys(SPLITS, TRAINING))


def test_a_data_set_records_its_styles_only_where_they_are_not_the_usual_ones(tmp_path, monkeypatch):
    monkeypatch.setattr(dataset, "prepare", lambda: "a renderer")
    bare = {split: replace(one, layered=0.0) for split, one in STYLES.items()}
    for name, styles in (("usual", STYLES), ("bare", bare)):
        dataset.render_dataset(tmp_path / name, train=0, validation=0, seed=1, styles=styles, engine=Local(1))

    usual, other = (json.loads((tmp_path / name / DRAWN_MARK).read_text("utf-8")) for name in ("usual", "bare"))
    assert "styles" not in usual
    assert json.loads(other["styles"])["validation"]["layered"] == 0
    assert other.keys() - usual.keys() == {"styles"}
    with pytest.raises(DeepmarkError, match="holds a drawn data set that differs in styles "):
        dataset.render_dataset(tmp_path / "usual", train=0, validation=0, seed=1, styles=bare, engine=Local(1))


def test_a_data_set_does_not_go_on_with_another_renderer(tmp_path, monkeypatch):
    monkeypatch.setattr(dataset, "prepare", lambda: "deepmark 0.1.0, anny 0.6.2, llvmpipe, Mesa 22.3.6")
    dataset.render_dataset(tmp_path, train=0, validation=0, seed=1, engine=Local(1))
    before = (tmp_path / DRAWN_MARK).read_bytes()

    monkeypatch.setattr(dataset, "prepare", lambda: "deepmark 0.1.0, anny 0.6.2, llvmpipe, Mesa 25.0.1")
    with pytest.raises(DeepmarkError, match=r"differs in rendered_with .*Go on with the same options and versions"):
        dataset.render_dataset(tmp_path, train=0, validation=0, seed=1, engine=Local(1))
    assert (tmp_path / DRAWN_MARK).read_bytes() == before
