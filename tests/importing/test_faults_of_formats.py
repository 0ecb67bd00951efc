"""Files of labelling tools with faults: an image is set aside with the reason, a file of something else refused."""

import json
from pathlib import Path

import pytest
from vocabularies import SMALL, image_of

from deepmark.errors import DeepmarkError
from deepmark.importing.coco import read_own_coco
from deepmark.importing.cvat import read_cvat
from deepmark.importing.studio import read_studio
from deepmark.importing.yolo import read_yolo


def yolo(folder: Path, line: str, **changes: object) -> Path:
    """A data set of one image and one line of labels."""
    for kind in ("images", "labels"):
        (folder / kind).mkdir(exist_ok=True)
    (folder / "images/a.jpg").write_bytes(image_of(1))
    (folder / "labels/a.txt").write_text(line)
    values = {"train": "images", "names": ["bag", "shoe", "hat"], "kpt_shape": [6, 3]} | changes
    file = folder / "data.yaml"
    file.write_text(json.dumps({name: value for name, value in values.items() if value is not None}))
    return file


@pytest.mark.parametrize(
    ("line", "message"),
    [
        ("2 .5 .5 .2", "line 1 of its labels has 4 numbers, not 23"),
        ("2 .5 .5 .2 x", "line 1 of its labels has words that are no numbers"),
        ("2 .5 .5 .2 nan", "line 1 of its labels has 5 numbers"),
        ("7 .5 .5 .2 .2", "is of class 7, which data.yaml does not name"),
        ("0.5 .5 .5 .2 .2", "is of class 0.5, which data.yaml does not name"),
        ("0 .5 .5 .2 .2" + " .5 .5 3" * 6, "has a landmark whose visibility is not 0, 1 or 2"),
    ],
)
def test_a_line_of_yolo_that_cannot_be_used_is_told(tmp_path, line, message):
    (image,) = read_yolo(yolo(tmp_path, line), SMALL)

    assert message in image.fault


def test_boxes_alone_and_images_without_labels_are_read(tmp_path):
    (image,) = read_yolo(yolo(tmp_path, "0 .5 .5 .2 .2\n\n2 .5 .5 .4 .4\n"), SMALL)
    assert [(one.category.name, one.landmarks.any()) for one in image.garments] == [("bag", False), ("hat", False)]

    (tmp_path / "labels/a.txt").unlink()
    (image,) = read_yolo(tmp_path / "data.yaml", SMALL)
    assert (image.garments, image.fault) == ((), "")


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"names": None}, "is no data.yaml of a YOLO data set: it has no `names`"),
        ({"kpt_shape": [5, 3]}, 'kpt_shape has 5 landmarks, and "shoe" has 6'),
        ({"kpt_shape": [6, 4]}, r"kpt_shape should be \[number of landmarks, 2 or 3\], found \[6, 4\]"),
        ({"train": "pictures"}, "pictures: no such folder or list of images"),
        ({"train": None}, "names no images: it has neither train, val nor test"),
    ],
)
def test_a_data_yaml_that_fits_nothing_is_refused(tmp_path, changes, message):
    with pytest.raises(DeepmarkError, match=message):
        list(read_yolo(yolo(tmp_path, "", **changes), SMALL))


@pytest.mark.parametrize(
    ("content", "message"),
    [
        ("<annotations", "is not XML"),
        ("<a/>", "has <a>, and CVAT for images has <annotations>"),
        ('<!DOCTYPE a [<!ENTITY b "c">]><annotations/>', "declares entities"),
    ],
)
def test_xml_of_something_else_is_refused(tmp_path, content, message):
    (tmp_path / "a.xml").write_text(content)
    with pytest.raises(DeepmarkError, match=message):
        list(read_cvat(tmp_path / "a.xml", tmp_path, SMALL))


@pytest.mark.parametrize(
    ("inside", "message"),
    [
        ('<box label="toga" xtl="1" ytl="1" xbr="5" ybr="5"/>', 'has a garment "toga", and the vocabulary'),
        ('<box label="hat" xtl="1" ytl="1" xbr="5" ybr="5" rotation="30"/>', "has a box that is turned"),
        ('<box label="hat" xtl="1"/>', "is not as CVAT writes it"),
        ('<skeleton label="bag"><points label="heel" points="1,2"/></skeleton>', 'has a point "heel" on "bag"'),
        ('<skeleton label="bag"/>', "has a skeleton without a box and with fewer than two points"),
    ],
)
def test_an_image_of_cvat_that_cannot_be_used_is_told(tmp_path, inside, message):
    text = f'<annotations><image name="a.jpg" width="60" height="80">{inside}</image></annotations>'
    (tmp_path / "a.xml").write_text(text)
    (image,) = read_cvat(tmp_path / "a.xml", tmp_path, SMALL)

    assert message in image.fault


def test_polygons_of_cvat_are_left_out_with_a_word(tmp_path):
    inside = '<box label="hat" xtl="1" ytl="1" xbr="5" ybr="5"/><polygon label="hat" points="1,1;2,2;3,1"/>'
    text = f'<annotations><image name="a.jpg" width="60" height="80">{inside}</image></annotations>'
    (tmp_path / "a.xml").write_text(text)
    (image,) = read_cvat(tmp_path / "a.xml", tmp_path, SMALL)

    assert (len(image.garments), image.notes) == (1, ("polygon left out",))


@pytest.mark.parametrize(
    ("result", "message"),
    [
        ([{"type": "rectanglelabels"}], "is not as Label Studio writes it (KeyError: 'id')"),
        (
            [
                {
                    "id": "a",
                    "type": "rectanglelabels",
                    "original_width": 60,
                    "original_height": 80,
                    "value": {"x": 1, "y": 1, "width": 9, "height": 9, "rectanglelabels": ["toga"]},
                }
            ],
            'has a category "toga" that the vocabulary',
        ),
    ],
)
def test_a_task_that_cannot_be_used_is_told(tmp_path, result, message):
    (tmp_path / "a.json").write_text(json.dumps([{"data": {"image": "a.jpg"}, "annotations": [{"result": result}]}]))
    (image,) = read_studio(tmp_path / "a.json", tmp_path, SMALL)

    assert message in image.fault


def test_a_task_that_nobody_has_answered_has_no_garments(tmp_path):
    skipped = {"result": [], "was_cancelled": True}
    task = {"data": {"image": "/data/local-files/?d=x%20y/a.jpg"}, "annotations": [skipped]}
    (tmp_path / "a.json").write_text(json.dumps([task]))
    (image,) = read_studio(tmp_path / "a.json", tmp_path, SMALL)

    assert (image.name, image.garments, image.fault) == ("x y/a.jpg", (), "")


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"category_id": 9}, 'has a garment "toga"'),
        ({"iscrowd": 1}, "has a crowd"),
        ({"keypoints": [1, 2]}, "'keypoints' should be"),
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
