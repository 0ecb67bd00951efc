"""COCO files of a team's own: any ids, landmarks by their names, and faults that set one image aside."""

import json
from pathlib import Path

import pytest
from vocabularies import SMALL

from deepmark.errors import DeepmarkError
from deepmark.importing.coco import read_own_coco
from deepmark.importing.labelled import LabelledImage, UnplacedLabel


@pytest.mark.parametrize(
    ("content", "message"),
    [
        ("", "is an empty file, not a COCO data set"),
        ("<annotations><image/></annotations>", "is CVAT for images, not a COCO data set"),
        ('[{"image_id": 1, "score": 1}]', "is detections as COCO results, not a COCO data set. Results are no labels"),
        ('{"images": 5}', "'images' should be a list of objects, found 5"),
    ],
)
def test_a_file_that_is_no_coco_data_set_is_told(tmp_path, content, message):
    (tmp_path / "a.json").write_text(content)
    with pytest.raises(DeepmarkError, match=message):
        list(read_own_coco(tmp_path / "a.json", tmp_path, SMALL))


def coco_file(folder: Path, *annotations: object, **changes: list) -> Path:
    """A data set of two images with ids from 0, whose keypoints are named in another order than the vocabulary's."""
    names = ["left bottom", "left handle", "right bottom", "right handle"]
    sized = {"width": 60, "height": 80}
    content = {
        "images": [{"id": 0, "file_name": "a.jpg", **sized}, {"id": 1, "file_name": "b.jpg", **sized}],
        "categories": [{"id": 0, "name": "bag", "keypoints": names}, {"id": 1, "name": "hat"}],
        "annotations": list(annotations),
    }
    file = folder / "own.json"
    file.write_text(json.dumps(content | changes))
    return file


BAG = {
    "id": 0,
    "image_id": 0,
    "category_id": 0,
    "bbox": [1, 1, 40, 40],
    "keypoints": [n for i in range(4) for n in (i, i, 2)],
}
HAT = {"id": 0, "image_id": 1, "category_id": 1, "bbox": [1, 1, 9, 9]}


def test_ids_of_coco_may_be_any_and_landmarks_are_told_by_their_names(tmp_path):
    first, second = read_own_coco(coco_file(tmp_path, BAG, HAT), tmp_path, SMALL)

    assert [one.fault for one in (first, second)] == ["", ""]
    assert first.garments[0].landmarks[:, 0].tolist() == [1, 3, 2, 0]
    text = (tmp_path / "own.json").read_text().replace('"id": 0', '"id": "x"').replace('_id": 0', '_id": "x"')
    (tmp_path / "own.json").write_text(text)
    assert [len(one.garments) for one in read_own_coco(tmp_path / "own.json", tmp_path, SMALL)] == [1, 1]


@pytest.mark.parametrize(
    ("change", "reason"),
    [
        ({"bbox": [1, 2]}, "has a 'bbox' that should be four numbers"),
        ({"bbox": [1, 1, float("nan"), 3]}, "has a 'bbox' that should be four numbers"),
        ({"category_id": 9}, "has a garment of category 9, which the file does not name"),
        ({"category_id": None}, "has a garment of category None, which the file does not name"),
        ({"keypoints": [1, 2]}, "'keypoints' should be 12 numbers"),
        ({"attributes": {"rotation": 30}}, "has a box that is turned"),
    ],
)
def test_a_fault_of_one_annotation_of_coco_sets_its_image_aside_alone(tmp_path, change, reason):
    first, second = read_own_coco(coco_file(tmp_path, BAG | change, HAT), tmp_path, SMALL)

    assert reason in first.fault
    assert first.fault.endswith("(annotations[0])")
    assert (second.fault, len(second.garments)) == ("", 1)


def test_labels_of_coco_without_an_image_and_images_without_an_id_are_reported(tmp_path):
    sized = {"width": 60, "height": 80}
    twice = [{"id": 3, "file_name": f"{name}.jpg", **sized} for name in "cd"]
    entries = [{"id": 1, "file_name": "b.jpg", **sized}, *twice, {"file_name": "e.jpg"}, 5, {"id": 4}]
    lost = [HAT | {"image_id": 7}, HAT | {"image_id": None}, "x"]
    found = list(read_own_coco(coco_file(tmp_path, HAT, *lost, images=entries), tmp_path, SMALL))

    told = {one.name: one.reason for one in found if isinstance(one, UnplacedLabel)}
    assert list(told) == ["annotations[1]", "annotations[2]", "annotations[3]"]
    assert told["annotations[1]"] == "its image_id is 7, and the file names no such image"
    faults = {one.name: one.fault for one in found if isinstance(one, LabelledImage)}
    no_id = "has no id of its own"
    named = {"b.jpg": "", "c.jpg": no_id, "d.jpg": no_id, "e.jpg": no_id, "images[4]": no_id}
    assert faults == named | {"images[5]": "has no file_name"}


@pytest.mark.parametrize(
    ("category", "reason"),
    [
        (
            {"id": 0, "name": "bag", "keypoints": ["left handle", "nose"]},
            "has a keypoint 'nose' of \"bag\", which has no",
        ),
        ({"id": 0, "name": "bag", "keypoints": ["left handle"] * 2}, "has a keypoint 'left handle' of \"bag\", twice"),
        ({"id": 1, "name": "bag"}, "has a garment of category 0, which the file does not name"),
    ],
)
def test_categories_of_coco_that_do_not_fit_set_their_images_aside(tmp_path, category, reason):
    categories = [category, {"id": 1, "name": "hat"}]
    first, second = read_own_coco(coco_file(tmp_path, BAG, HAT, categories=categories), tmp_path, SMALL)

    assert reason in first.fault
    assert bool(second.fault) == (category["id"] == 1)  # then category 1 has two names


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"category_id": 9}, 'has a garment "toga"'),
        ({"iscrowd": 1}, "has a crowd"),
        ({"keypoints": [1, 2]}, "'keypoints' should be 12 or 30 numbers"),
        ({"keypoints": [1, 2, 5] * 4}, "has a landmark whose visibility is not 0, 1 or 2"),
    ],
)
def test_an_image_of_coco_that_cannot_be_used_is_told_and_masks_are_left_out_with_a_word(tmp_path, changes, message):
    entry = {"id": 1, "image_id": 7, "category_id": 5, "bbox": [1, 1, 9, 9], "keypoints": [3, 4, 2] * 4}
    content = {
        "images": [{"id": 7, "file_name": "a.jpg", "width": 60, "height": 80}],
        "categories": [{"id": 5, "name": "bag"}, {"id": 9, "name": "toga"}],
        "annotations": [entry | {"segmentation": {"counts": "x", "size": [80, 60]}}],
    }
    file = tmp_path / "a.json"
    file.write_text(json.dumps(content))
    (image,) = read_own_coco(file, tmp_path, SMALL)
    assert (image.fault, image.notes) == ("", ("mask left out",))

    content["annotations"] = [entry | changes]
    file.write_text(json.dumps(content))
    (image,) = read_own_coco(file, tmp_path, SMALL)
    assert message in image.fault
