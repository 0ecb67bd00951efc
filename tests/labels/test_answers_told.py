"""Answers that cannot be taken: each is told with its place, and nothing is written."""

import json

import pytest
from label_tasks import answered

from deepmark.data.corrections import read_corrections
from deepmark.errors import DeepmarkError
from deepmark.labels.exchange import drop_corrections, import_answers
from deepmark.workspace.layout import Workspace


@pytest.mark.parametrize(
    ("content", "message"),
    [
        ("{", "is text, not JSON. Export from Label Studio as JSON, from CVAT as COCO Keypoints"),
        ("", "is an empty file, not JSON. Export from Label Studio as JSON"),
        ("<annotations/>", "is CVAT for images, not JSON. Export from Label Studio as JSON, from CVAT as COCO"),
        ("[{}]", "holds no task. Export the project as JSON"),
        ("[]", "holds no task. Export the project as JSON"),
        ('[{"id": 1, "image": "a.jpg", "annotation_id": 3}]', "is a JSON-MIN export of Label Studio, .* as JSON"),
        ('[{"id": 4, "data": 5}]', r"task 4 is not as Label Studio writes it \(AttributeError"),
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


def test_answers_that_nobody_has_given_are_told_and_nothing_is_written(asked):
    tasks = json.loads(answered(asked).read_text("utf-8"))
    file = asked.root / "unlabelled.json"
    file.write_text(json.dumps([task | {"annotations": []} for task in tasks]), "utf-8")

    with pytest.raises(DeepmarkError, match="nobody has decided anything in it, so nothing was written"):
        import_answers(asked, file)
    assert not asked.corrections_file.exists()


def test_further_answers_to_a_task_are_counted_and_that_marked_as_ground_truth_is_taken(asked):
    file = answered(asked)
    tasks = json.loads(file.read_text("utf-8"))
    first = tasks[0]["annotations"][0]
    later = {"result": [], "completed_by": 8, "updated_at": "2026-02-01T10:00:00Z"}
    tasks[0]["annotations"] = [first | {"ground_truth": True}, later]
    file.write_text(json.dumps(tasks), "utf-8")

    facts = import_answers(asked, file)

    assert facts["further_answers_left_out"] == 1
    assert "remove" not in facts
    assert {each.by for each in read_corrections(asked.corrections_file)} == {"ada@example.com"}


def damaged(workspace: Workspace) -> None:
    data = bytearray(workspace.corrections_file.read_bytes())
    data[len(data) // 2] ^= 1
    workspace.corrections_file.write_bytes(data)


@pytest.mark.parametrize("call", [import_answers, lambda asked, file: drop_corrections(asked, 2, None)])
def test_damaged_corrections_are_told_with_the_way_back(asked, call):
    file = answered(asked)
    import_answers(asked, file)
    damaged(asked)
    before = asked.corrections_file.read_bytes()

    with pytest.raises(
        DeepmarkError, match=r"`dvc checkout --force .*corrections\.parquet\.dvc` puts the last one back"
    ):
        call(asked, file)
    assert asked.corrections_file.read_bytes() == before


def test_corrections_that_dvc_knows_of_and_are_not_here_are_not_begun_anew(asked):
    file = answered(asked)
    import_answers(asked, file)
    asked.corrections_file.unlink()

    with pytest.raises(DeepmarkError, match=r"corrections\.parquet: no such file, .* Put it back"):
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
