"""Files of labelling tools with faults: an image is set aside with the reason, a file of something else refused."""

import json
from pathlib import Path

import pytest
from vocabularies import SMALL, image_of

from deepmark.errors import DeepmarkError
from deepmark.importing.cvat import read_cvat
from deepmark.importing.labelled import LabelledImage
from deepmark.importing.studio import FURTHER, read_studio
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
        ({"train": None}, "has no `train:`. Name its folder of images there"),
        ({"test": "images"}, "has no `val:`. Name its folder of images there; with `train:` alone, images are divided"),
    ],
)
def test_a_data_yaml_that_fits_nothing_is_refused(tmp_path, changes, message):
    with pytest.raises(DeepmarkError, match=message):
        list(read_yolo(yolo(tmp_path, "", **changes), SMALL))


@pytest.mark.parametrize(
    ("content", "message"),
    [
        ("<annotations", "is not XML"),
        ("", "is an empty file, not CVAT for images. Was it copied whole"),
        ("<annotations/>", "names no image. Export as CVAT for images 1.1"),
        ("<annotations><track/></annotations>", "is CVAT for video, tracks over frames .* as CVAT for images 1.1"),
        ('[{"data": {}}]', "is a Label Studio export, not CVAT for images. `deepmark import --from label-studio`"),
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

    assert (image.name, image.garments, image.fault) == ("x y/a.jpg", (), "nobody has labelled it")


@pytest.mark.parametrize(
    ("content", "message"),
    [
        ("", "is an empty file, not the JSON export of a Label Studio project"),
        ("PK\x03\x04", "is a ZIP archive, not the JSON export of a Label Studio project. Unpack it"),
        ('[{"id": 1, "image": "a.jpg", "annotation_id": 3}]', "is a JSON-MIN export of Label Studio, which does not"),
        ('{"images": [], "annotations": []}', "is a COCO data set, not .* `deepmark import --from coco` reads it"),
        ("[]", r"holds no task\. Export the project as JSON"),
        ("{", "is not JSON"),
    ],
)
def test_a_file_that_is_no_export_of_label_studio_is_told(tmp_path, content, message):
    (tmp_path / "a.json").write_text(content)
    with pytest.raises(DeepmarkError, match=message):
        list(read_studio(tmp_path / "a.json", tmp_path, SMALL))


def test_a_yolo_data_set_without_splits_is_divided_by_us(tmp_path):
    (image,) = read_yolo(yolo(tmp_path, "2 .5 .5 .2 .2"), SMALL)
    assert image.split is None

    kept = [one.split for one in read_yolo(yolo(tmp_path, "2 .5 .5 .2 .2", val="images"), SMALL)]
    assert kept == ["train", "validation"]


def test_further_annotations_of_a_task_are_counted(tmp_path):
    size = {"original_width": 60, "original_height": 80}
    box = {"x": 10, "y": 10, "width": 50, "height": 50, "rectanglelabels": ["hat"]}
    result = [{"id": "a", "type": "rectanglelabels", "value": box, **size}]
    older = {"result": result, "updated_at": "2026-01-01"}
    later = {"result": [], "updated_at": "2026-01-02"}
    task = {"data": {"image": "a.jpg"}, "annotations": [later, older, {"result": [], "was_cancelled": True}]}

    def read(task: dict) -> LabelledImage:
        (tmp_path / "a.json").write_text(json.dumps([task]))
        (image,) = read_studio(tmp_path / "a.json", tmp_path, SMALL)
        return image

    assert (len(read(task).garments), read(task).notes) == (0, (FURTHER,))
    older["ground_truth"] = True
    assert (len(read(task).garments), read(task).notes) == (1, (FURTHER,))


@pytest.mark.parametrize("broken", [5, None, {"data": [1]}, {"data": {"image": "a.jpg"}, "annotations": 5}])
def test_a_task_that_is_no_task_sets_nothing_else_aside(tmp_path, broken):
    (tmp_path / "a.json").write_text(json.dumps([broken, {"data": {"image": "b.jpg"}}]))
    first, second = read_studio(tmp_path / "a.json", tmp_path, SMALL)

    assert "is not as Label Studio writes it" in first.fault
    assert second.name == "b.jpg"
