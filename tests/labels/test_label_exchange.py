"""Labels out to people and back: what nobody touched stays to the last digit, what somebody changed arrives."""

import json
import shutil
from pathlib import Path

import numpy as np
import pytest
from label_tasks import IMAGE, answered, exported, moved
from ruamel.yaml import YAML
from workspaces import set_params

from deepmark import stages
from deepmark.data.corrections import Action, Decision, read_corrections
from deepmark.data.predictions import write_predictions
from deepmark.data.records import read_records
from deepmark.errors import DeepmarkError
from deepmark.files import file_sha256
from deepmark.labels.choose import asked_for_uncertainty, make_tasks, raw_items
from deepmark.labels.coco_tasks import write_tasks
from deepmark.labels.exchange import drop_corrections, import_answers
from deepmark.schema import AskedFrom, LabelTool
from deepmark.types import Detections
from deepmark.vocabulary import DEEPFASHION2
from deepmark.workspace.layout import Workspace


def records(workspace: Workspace) -> dict[int, object]:
    stages.ingest(workspace, split="validation")
    return {record.id: record for record in read_records(workspace.records_file("validation"))}


def test_tasks_show_labels_detections_and_reasons(asked):
    folder = exported(asked, LabelTool.LABEL_STUDIO)
    tasks = json.loads((folder / "tasks.json").read_text("utf-8"))

    assert [task["data"]["deepmark"]["image_id"] for task in tasks] == [IMAGE, 5]
    assert tasks[0]["data"]["image"] == "/data/local-files/?d=validation/image/000002.jpg"
    assert tasks[0]["data"]["reasons"] == "item1 (vest): wrong category (0.80): it looks so."
    labels, found = tasks[0]["predictions"]
    boxes = {one["id"]: one for one in labels["result"] if one["type"] == "rectanglelabels"}
    raw = raw_items(asked, "validation", IMAGE)
    assert set(boxes) == set(raw)
    one, value = boxes["item1"], boxes["item1"]["value"]
    shares = np.array([value["x"], value["y"], value["x"] + value["width"], value["y"] + value["height"]])
    size = [one["original_width"], one["original_height"]]
    np.testing.assert_allclose(shares * [*size, *size] / 100, raw["item1"]["bounding_box"])
    points = [one for one in labels["result"] if one.get("parentID") == "item1"]
    assert len(points) == sum(v > 0 for v in raw["item1"]["landmarks"][2::3])
    hidden = {one["id"] for one in labels["result"] if one["type"] == "choices"}
    assert len(hidden & {one["id"] for one in points}) == raw["item1"]["landmarks"][2::3].count(1)
    # What the model found where a label is carries its key, so that taking it over replaces the label.
    assert {one["id"] for one in found["result"] if one["type"] == "rectanglelabels"} == {"item1", "model2"}
    config = (folder / "config.xml").read_text("utf-8")
    assert all(f'<Label value="{name}"/>' in config for name in [*DEEPFASHION2.by_name, *set(DEEPFASHION2.parts)])


@pytest.mark.parametrize("tool", [LabelTool.LABEL_STUDIO, LabelTool.CVAT])
def test_labels_that_nobody_changed_are_fine_and_records_stay_as_they_were(asked, tool):
    before = records(asked)
    digest = file_sha256(asked.records_file("validation"))
    file = answered(asked) if tool is LabelTool.LABEL_STUDIO else exported(asked, tool) / "annotations.json"
    facts = import_answers(asked, file, tool)

    made = read_corrections(asked.corrections_file)
    assert facts["decisions"] == facts["nothing"] == len(made) == len(before[IMAGE].garments) + len(before[5].garments)
    assert {(each.decision, each.action) for each in made} == {(Decision.FINE, Action.NOTHING)}
    records(asked)
    assert file_sha256(asked.records_file("validation")) == digest
    if tool is LabelTool.LABEL_STUDIO:
        assert {(each.by, each.at) for each in made} == {("ada@example.com", "2026-01-30T10:00:00Z")}


def test_landmarks_that_a_tool_has_in_another_order_are_told_by_their_names(asked):
    file = exported(asked, LabelTool.CVAT) / "annotations.json"
    content = json.loads(file.read_text("utf-8"))
    for category in content["categories"]:
        category["keypoints"].reverse()
    for one in content["annotations"]:
        one["keypoints"] = np.reshape(one["keypoints"], (-1, 3))[::-1].ravel().tolist()
    file.write_text(json.dumps(content), "utf-8")
    facts = import_answers(asked, file)
    assert facts["decisions"] == facts["nothing"]

    content["categories"][0]["keypoints"][0] = "nose"
    file.write_text(json.dumps(content), "utf-8")
    with pytest.raises(DeepmarkError, match=r"has a keypoint 'nose' of .* Give the points of the skeleton the names"):
        import_answers(asked, file)


def test_what_somebody_changed_is_in_the_records_and_all_else_is_as_before(asked):
    before = records(asked)[IMAGE]
    import_answers(asked, answered(asked, moved))
    after = records(asked)[IMAGE]

    old, new = before.garments[0], after.garments[0]
    labelled = np.flatnonzero(old.landmarks[:, 2] > 0)
    first, last = labelled[0], labelled[-1]
    assert new.landmarks[first, 2] == 1
    assert new.landmarks[first, 0] == pytest.approx(old.landmarks[first, 0] + before.width / 10, abs=0.01)
    assert new.landmarks[last].tolist() == [0, 0, 0]
    others = [row for row in range(len(old.landmarks)) if row not in (first, last)]
    np.testing.assert_array_equal(new.landmarks[others], old.landmarks[others])
    np.testing.assert_array_equal(new.box, old.box)
    assert (new.style, new.viewpoint, len(new.polygons)) == (old.style, old.viewpoint, len(old.polygons))
    added = after.garments[-1]
    assert (len(after.garments), added.item) == (len(before.garments) + 1, f"item{len(before.garments) + 1}")
    assert DEEPFASHION2.categories[added.category].name == "shorts"
    assert added.box.tolist() == pytest.approx(
        [0.1 * before.width, 0.2 * before.height, 0.4 * before.width, 0.6 * before.height], abs=0.01
    )
    assert added.landmarks[0, 2] == 2
    assert not added.landmarks[1:].any()

    # Asked once more, people see the corrected labels, and what they leave so stays so.
    again = asked.root / "again"
    again.mkdir()
    write_tasks(again, make_tasks(asked, {("validation", IMAGE): ["again"]}), DEEPFASHION2)
    import_answers(asked, again / "annotations.json")
    assert [garment.box.tolist() for garment in records(asked)[IMAGE].garments] == [
        garment.box.tolist() for garment in after.garments
    ]


def test_people_see_what_held_out_networks_detect_in_training_images(asked):
    shutil.copyfile(asked.predictions_file("multiscale"), asked.held_out_file)
    assert asked_for_uncertainty(asked, 9).keys() == {("validation", IMAGE)}

    asked = set_params(asked, audit={"folds": 2})
    chosen = asked_for_uncertainty(asked, 9)
    assert chosen.keys() == {("train", IMAGE), ("validation", IMAGE)}
    for task in make_tasks(asked, chosen):
        assert len(task.detections) == 2


def test_a_garment_that_somebody_took_away_is_gone(asked):
    asked = set_params(asked, ingest={"max_rejected_share": 0.5})  # an image without garments is set aside
    count = len(records(asked)[5].garments)
    folder = exported(asked, LabelTool.COCO)
    content = json.loads((folder / "annotations.json").read_text("utf-8"))
    image = next(one["id"] for one in content["images"] if one["file_name"].endswith("000005.jpg"))
    gone = next(one for one in content["annotations"] if one["image_id"] == image)
    content["annotations"] = [one | {"item": None} for one in content["annotations"] if one is not gone]
    (folder / "annotations.json").write_text(json.dumps(content), "utf-8")

    facts = import_answers(asked, folder / "annotations.json")
    assert facts["remove"] == 1
    assert stages.ingest(asked, split="validation")["corrections"]["remove"] == 1
    after = {record.id: record for record in read_records(asked.records_file("validation"))}
    assert len(after.get(5).garments if 5 in after else ()) == count - 1


def test_a_correction_of_a_label_that_has_changed_since_is_refused_until_it_is_dropped(asked):
    import_answers(asked, answered(asked, moved))
    file = asked.raw / f"validation/annos/{IMAGE:06d}.json"
    fields = json.loads(file.read_bytes())
    fields["item1"]["style"] += 1
    file.write_text(json.dumps(fields), "utf-8")
    with pytest.raises(DeepmarkError, match=r"000002\.json: item1 has changed since ada@example\.com corrected it"):
        stages.ingest(asked, split="validation")

    assert drop_corrections(asked, IMAGE, "item1") == 1
    assert stages.ingest(asked, split="validation")["corrections"]["add"] == 1
    with pytest.raises(DeepmarkError, match="says nothing of image 2, item1"):
        drop_corrections(asked, IMAGE, "item1")


def test_a_corrected_image_that_is_gone_is_told(asked):
    import_answers(asked, answered(asked, moved))
    for file in (f"annos/{IMAGE:06d}.json", f"image/{IMAGE:06d}.jpg"):
        (asked.raw / "validation" / file).unlink()

    with pytest.raises(DeepmarkError, match=rf"image {IMAGE} is not there any more, and somebody corrected its labels"):
        stages.ingest(asked, split="validation")


def ticked(workspace: Workspace, **changes: object) -> Path:
    decision = {"split": "validation", "image_id": IMAGE, "item": "item1", "decision": "fine", "reason": "x", "at": "y"}
    content = {"format": "deepmark decisions, version 1", "by": "Ada", "decisions": [decision | changes]}
    file = workspace.root / "decisions.json"
    file.write_text(json.dumps(content), "utf-8")
    return file


def test_what_was_ticked_on_the_page_changes_no_label_and_is_not_asked_again(asked):
    before = records(asked)
    import_answers(asked, ticked(asked))
    (made,) = read_corrections(asked.corrections_file)
    assert (made.by, made.decision, made.action, made.source) == ("Ada", "fine", "nothing", "audit page")
    assert [one.box.tolist() for one in records(asked)[IMAGE].garments] == [
        one.box.tolist() for one in before[IMAGE].garments
    ]

    tasks = json.loads((exported(asked, LabelTool.LABEL_STUDIO) / "tasks.json").read_text("utf-8"))
    assert [task["data"]["deepmark"]["image_id"] for task in tasks] == [5]
    import_answers(asked, ticked(asked, image_id=5, item=""))
    with pytest.raises(DeepmarkError, match=r"Nothing is left to ask from `audit`"):
        exported(asked, LabelTool.CVAT)


def test_a_later_decision_takes_the_place_of_an_earlier_one(asked):
    untouched = answered(asked).rename(asked.root / "untouched.json")
    import_answers(asked, answered(asked, moved))
    import_answers(asked, untouched)

    # The garment that the earlier answer had added is gone with it.
    assert {each.action for each in read_corrections(asked.corrections_file)} == {Action.NOTHING}


def test_images_of_which_the_model_is_least_certain_come_first(asked):
    found = [
        (image, f"image/{image:06d}.jpg", one_detection(score)) for image, score in ((1, 0.9), (3, 0.5), (4, 0.06))
    ]
    write_predictions(asked.predictions_file("multiscale"), found, {})
    tasks = json.loads((exported(asked, LabelTool.LABEL_STUDIO, AskedFrom.UNCERTAIN) / "tasks.json").read_text("utf-8"))

    assert [task["data"]["deepmark"]["image_id"] for task in tasks] == [3, 1, 4]
    assert tasks[0]["data"]["reasons"] == "The model expects 0.5 mistakes here."


def one_detection(score: float) -> Detections:
    most = DEEPFASHION2.most_landmarks
    return Detections(
        boxes=np.array([[1, 1, 20, 30]], np.float32),
        scores=np.array([score], np.float32),
        categories=np.array([4]),
        landmarks=np.ones((1, most, 2), np.float32),
        landmark_scores=np.full((1, most), 0.5, np.float32),
        vocabulary=DEEPFASHION2,
    )


def test_ingest_depends_on_the_corrections_and_dvc_keeps_them(asked):
    import_answers(asked, answered(asked))

    graph = YAML(typ="safe").load((asked.root / "dvc.yaml").read_text("utf-8"))
    assert graph["stages"]["ingest"]["do"]["deps"][-1] == "data/corrections.parquet"
    assert (asked.root / "data/corrections.parquet.dvc").is_file() == (asked.root / ".dvc").is_dir()


def test_what_was_ticked_on_the_page_takes_no_corrected_label_away(asked):
    import_answers(asked, answered(asked, moved))
    import_answers(asked, ticked(asked, decision="wrong"))

    (made,) = [
        each for each in read_corrections(asked.corrections_file) if (each.image_id, each.item) == (IMAGE, "item1")
    ]
    assert made.action is Action.REPLACE


def test_an_answer_that_is_older_than_what_is_there_is_left_out_and_counted(asked):
    old = answered(asked)
    old.write_text(old.read_text("utf-8").replace("2026-01-30", "2020-01-30"), "utf-8")
    old = old.rename(asked.root / "old.json")
    import_answers(asked, answered(asked, moved))
    before = read_corrections(asked.corrections_file)

    assert import_answers(asked, old)["older_than_what_is_there"] == 2
    assert read_corrections(asked.corrections_file) == before


def test_a_correction_stays_with_its_image(asked):
    import_answers(asked, answered(asked, moved))
    file = asked.raw / f"validation/image/{IMAGE:06d}.jpg"
    other = (asked.raw / "validation/image/000003.jpg").read_bytes()
    file.unlink()
    file.write_bytes(other)

    with pytest.raises(DeepmarkError, match=r"000002\.jpg: is another image than the one whose item1 ada@example\.com"):
        stages.ingest(asked, split="validation")
