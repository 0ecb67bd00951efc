"""In what a recipe differs from another, in words that its parameters bring along."""

import pytest

from deepmark.params import Params, load_params
from deepmark.params.recipe import RECIPE, param_words, recipe_changes
from deepmark.params.section import Section
from deepmark.workspace.init import profile_file


def paper() -> Params:
    return load_params(profile_file("paper"))


def sections(section: type[Section]) -> list[type[Section]]:
    inner = [field.annotation for field in section.model_fields.values()]
    return [
        section,
        *(one for each in inner if isinstance(each, type) and issubclass(each, Section) for one in sections(each)),
    ]


@pytest.mark.parametrize("section", [one for name in RECIPE for one in sections(Params.model_fields[name].annotation)])
def test_every_parameter_of_a_recipe_says_what_it_is(section):
    words = param_words(section)

    assert words.keys() == section.model_fields.keys()
    assert all(each.endswith((".", "…")) for each in words.values())


def test_a_recipe_differs_in_nothing_from_itself():
    assert recipe_changes(paper(), paper()) == []


def test_changes_are_named_with_both_values_also_inside_a_section_of_a_section():
    other = paper()
    weights = other.train.loss_weights.model_copy(update={"size": 0.5})
    train = other.train.model_copy(update={"ema": 0.999, "loss_weights": weights})

    changes = recipe_changes(other.model_copy(update={"train": train}), other)

    assert [(one.name, one.value, one.other) for one in changes] == [
        ("train.ema", 0.999, None),
        ("train.loss_weights.size", 0.5, 0.1),
    ]
    assert changes[0].words.startswith("Decay per step of the exponential moving average")


def test_what_changes_no_result_is_no_part_of_a_recipe():
    other = paper()
    train = other.train.model_copy(update={"compile": True, "checkpoint_minutes": 1.0, "device_batch": 2})

    assert recipe_changes(other.model_copy(update={"train": train}), other) == []


def test_the_recipe_of_modern_shows_what_it_switches_on():
    names = {one.name for one in recipe_changes(load_params(profile_file("modern")), paper())}

    assert {"model.landmark_maps", "train.ema", "train.clip_norm", "train.optimizer"} <= names
