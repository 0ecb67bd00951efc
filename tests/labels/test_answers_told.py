"""Answers that cannot be taken: each is told with its place, and nothing is written."""

import json

import pytest
from label_tasks import answered

from deepmark.errors import DeepmarkError
from deepmark.labels.exchange import import_answers


@pytest.mark.parametrize(
    ("content", "message"),
    [
        ("{", "is not JSON. Export from Label Studio as JSON, from CVAT as COCO Keypoints"),
        ("[{}]", r"task 1 is not as Label Studio writes it \(KeyError: 'data'\)"),
        ('[{"id": 4, "data": {"image": "a.jpg"}}]', "task 4 was not made by `deepmark label export`"),
        ('{"format": "deepmark decisions, version 1", "decisions": [{"split": "train"}]}', "decision 1 is not as"),
    ],
)
def test_a_file_of_something_else_is_told_and_nothing_is_written(asked, content, message):
    file = asked.root / "answers.json"
    file.write_text(content, "utf-8")

    with pytest.raises(DeepmarkError, match=message):
        import_answers(asked, file)
    assert not asked.corrections_file.exists()


def two_of_a_name(result: list[dict]) -> list[dict]:
    point = next(one for one in result if one["type"] == "keypointlabels")
    return [*result, point | {"id": "other"}]


def of_another_category(result: list[dict]) -> list[dict]:
    box = next(one for one in result if one["type"] == "rectanglelabels")
    box["value"]["rectanglelabels"] = ["toga"]
    return result


def without_its_box(result: list[dict]) -> list[dict]:
    return [one | {"parentID": "gone"} if one["type"] == "keypointlabels" else one for one in result]


def turned(result: list[dict]) -> list[dict]:
    next(one for one in result if one["type"] == "rectanglelabels")["value"]["rotation"] = 12
    return result


def far_away(result: list[dict]) -> list[dict]:
    next(one for one in result if one["type"] == "rectanglelabels")["value"]["x"] = 1e6
    return result


def inverted(result: list[dict]) -> list[dict]:
    next(one for one in result if one["type"] == "rectanglelabels")["value"]["width"] = -5
    return result


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (far_away, r"image 2 of validation, item1: what was made of it is no label: item1: .* Mend it in the tool"),
        (inverted, "item1: what was made of it is no label: item1: bounding_box: .* is empty or inverted"),
        (two_of_a_name, 'task 1 has two points ".+" on one ".+". Take one away'),
        (of_another_category, 'task 1 has a category "toga" that the vocabulary DeepFashion2 has not'),
        (without_its_box, 'task 1 has a point ".+" that belongs to no box. Drag it onto its box'),
        (turned, 'task 1 has a box of ".+" that is turned. Set its rotation to 0'),
    ],
)
def test_an_answer_that_cannot_be_a_label_is_told_with_its_task(asked, change, message):
    with pytest.raises(DeepmarkError, match=message):
        import_answers(asked, answered(asked, change))
    assert not asked.corrections_file.exists()


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"image_id": 999999}, "999999.json: cannot be read"),
        ({"split": "../x"}, "there is no such split"),
        ({"item": "item77"}, "its annotation file has no such item"),
    ],
)
def test_a_decision_about_what_is_not_there_is_told(asked, changes, message):
    decision = {"split": "validation", "image_id": 2, "item": "item1", "decision": "fine", "reason": "x", "at": "y"}
    file = asked.root / "decisions.json"
    content = {"format": "deepmark decisions, version 1", "by": "Ada", "decisions": [decision | changes]}
    file.write_text(json.dumps(content), "utf-8")

    with pytest.raises(DeepmarkError, match=message):
        import_answers(asked, file)
    assert not asked.corrections_file.exists()
