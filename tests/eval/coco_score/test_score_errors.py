"""A file that cannot be scored is refused in one message: which file, where in it, and what to do."""

import json
from typing import Any

import pytest
from coco_cases import dataset, item, result, without, write

from deepmark.errors import DeepmarkError
from deepmark.eval.coco_score.score import score_files


def refused(folder, truth: Any, results: Any, kind: str = "keypoints") -> str:
    for engine in ("pycocotools", "hotcoco"):
        with pytest.raises(DeepmarkError) as error:
            score_files(
                write(folder / "truth.json", truth),
                write(folder / "results.json", results),
                kind=kind,
                engine=engine,
                scratch=folder,
            )
    return str(error.value)


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("", "not JSON"),
        ('{"images": [', "not JSON"),
        ('{"images": [{"id": NaN}]}', "holds NaN"),
        ('{"images": [], "images": []}', "the key 'images' appears twice"),
        ("<html>", "is an HTML page, not JSON"),
        ("[]", "not a COCO data set but a list, as results are. Give the data set first."),
        ('{"images": []}', "'categories' should be a list of objects, found None"),
        (
            '{"images": [{}], "categories": [], "annotations": []}',
            "images[0] (None): 'id' should be a whole number, 0 or more, found None",
        ),
        ('{"images": [], "categories": [], "annotations": [1]}', "'annotations' should be a list of objects"),
    ],
)
def test_what_is_no_coco_data_set(tmp_path, text, words):
    message = refused(tmp_path, text, [])

    assert message.startswith(f"{tmp_path / 'truth.json'}: ")
    assert words in message


@pytest.mark.parametrize(
    ("annotation", "words"),
    [
        (item(image=9), "'image_id' is 9, which is not among the file's images"),
        (item() | {"category_id": 14}, "'category_id' is 14, which is not among the file's categories"),
        (item() | {"id": -1}, "'id' should be a whole number, 0 or more"),
        (item() | {"id": 2**63}, "'id' should be a whole number, 0 or more"),
        (item() | {"id": 0}, "'id' is 0. Number annotations from 1"),
        (without(item(), "id"), "(id 'none'): 'id' should be a whole number"),
        (item(bbox=[1, 2, 3]), "'bbox' should be four numbers"),
        (
            item(bbox=[1, 2, -5, 4]),
            "'bbox' is [1, 2, -5, 4], of negative width or height. Write x, y of the upper left",
        ),
        (item(bbox=[1, 2, 5, -0.5]), "of negative width or height"),
        (without(item(), "area"), "'area' is missing"),
        (item(area=-1), "'area' is missing, not a number, or negative"),
        (
            item(keypoints=[3, 4, 7] + [0] * 879),
            "a visibility in 'keypoints' is 7. Write 0 (not labelled), 1 (occluded)",
        ),
        (item(keypoints=[3, 4, 0.5] + [0] * 879), "a visibility in 'keypoints' is 0.5"),
        (without(item(), "iscrowd"), "'iscrowd' is missing"),
        (without(item(), "num_keypoints"), "'num_keypoints' is missing"),
        (without(item(), "keypoints"), "294 * 3 = 882 numbers, x, y, v of all categories' landmarks; found None"),
        (item(keypoints=[0] * 51), "found 51 numbers"),
    ],
)
def test_an_annotation_that_lacks_what_the_metric_needs(tmp_path, annotation, words):
    message = refused(tmp_path, dataset(item(7), annotation), [])

    assert f"{tmp_path / 'truth.json'}: annotations[1] (id " in message
    assert words in message


def test_two_annotations_of_one_number(tmp_path):
    assert "annotations[1] (id 3): another annotation has the same id" in refused(
        tmp_path, dataset(item(3), item(3)), []
    )


def test_two_images_of_one_number(tmp_path):
    truth = dataset(item())
    truth["images"].append(truth["images"][0])

    assert f"images[{len(truth['images']) - 1}] (id 1): another image has the same id. Give each" in refused(
        tmp_path, truth, []
    )


def test_a_box_without_extent_can_be_scored(tmp_path):
    flat = item(7) | {"bbox": [1, 2, 0, 0], "area": 0}
    truth, results = write(tmp_path / "truth.json", dataset(flat)), write(tmp_path / "results.json", [result(flat)])

    assert score_files(truth, results, kind="bbox").results == 1


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("", "byte 0: it does not begin with ["),
        ('{"annotations": []}', "it does not begin with ["),
        ("[1]", "byte 1: expected a result"),
        ("[[]]", "byte 1: expected a result"),
        ("[] []", "there is something after the list"),
        (json.dumps([result(item())] * 2).replace("}, {", "} {"), "the list does not end here, and does not go on"),
        ('[{"image_id": 1', "this result does not end"),
        ('[{"image_id": 1, "note": "}', "this result does not end"),
        ('[{"image_id" 1}]', "byte 1: this result is not JSON"),
        ('[{"score": ' + "1" * 5000 + "}]", "byte 1: this result holds a whole number of more than 4,300 digits"),
        ("[{" + '"a": ' + "[" * 100_000 + "}]", "byte 1: this result is nested too deeply"),
        ('[{"score": 1, "score": 2}]', "byte 1: in this result, the key 'score' appears twice"),
    ],
)
def test_what_is_no_list_of_results(tmp_path, text, words):
    message = refused(tmp_path, dataset(item()), text)

    assert message.startswith(f"{tmp_path / 'results.json'}: not a COCO results file: byte ")
    assert words in message
    assert "A results file is one list" in message


def test_a_results_file_that_was_cut_off(tmp_path):
    whole = json.dumps([result(item())] * 3)

    for length in (len(whole) - 1, len(whole) // 2, len(whole) // 3 + 5):
        assert "not a COCO results file" in refused(tmp_path, dataset(item()), whole[:length])


def test_results_given_as_the_data_set_are_told_in_one_short_sentence(tmp_path):
    message = refused(tmp_path, [result(item())] * 5, [])

    where = tmp_path / "truth.json"
    assert message == f"{where}: not a COCO data set but a list, as results are. Give the data set first."


def test_a_byte_order_mark_is_skipped_in_both_files(tmp_path):
    files = [
        write(tmp_path / name, values)
        for name, values in (("truth.json", dataset(item())), ("results.json", [result(item())]))
    ]
    for file in files:
        file.write_bytes(b"\xef\xbb\xbf" + file.read_bytes())

    for engine in ("pycocotools", "hotcoco"):
        assert score_files(*files, kind="bbox", engine=engine).as_dict()["stats"]["AP"] == pytest.approx(1)


def test_results_that_are_not_utf8_text(tmp_path):
    truth, results = write(tmp_path / "truth.json", dataset(item())), tmp_path / "results.json"
    results.write_bytes(b'[{"image_id": 1, "note": "\xff"}]')

    with pytest.raises(DeepmarkError, match="byte 1: this result is not UTF-8 text"):
        score_files(truth, results, kind="bbox")


@pytest.mark.parametrize(
    ("wrong", "words"),
    [
        (result(item(), image_id=3), "'image_id' is 3, which is not among the 2 images of the data set"),
        (result(item(), category_id=0), "'category_id' is 0, which is not among the 13 categories of the data set"),
        (without(result(item()), "image_id"), "'image_id' is None"),
        (result(item(), image_id="1"), "'image_id' is '1'"),
        (result(item(), image_id=True), "'image_id' is True"),
        (without(result(item()), "score"), "'score' should be a finite number, found None"),
        (result(item(), float("nan")), "'score' should be a finite number, found nan"),
        (result(item(), 10**400), "'score' should be a finite number"),
        (result(item(), bbox=[1, 2, float("inf"), 4]), "'bbox' should be x, y, width, height"),
        (result(item(), bbox=[1, 2, 3]), "'bbox' should be x, y, width, height, found [1, 2, 3]"),
        (without(result(item()), "bbox"), "has no 'bbox', unlike the first result"),
        (
            without(result(item()), "keypoints"),
            "has no 'keypoints'. Results of boxes alone are scored with --kind bbox",
        ),
        (result(item(), keypoints=[0] * 51), "294 * 3 = 882 finite numbers, found 51"),
        (result(item(), keypoints=[]), "found 0"),
        (result(item(), keypoints=[[1, 2, 1]]), "'keypoints' should be a flat list"),
        (result(item(), keypoints=None), "'keypoints' should be a flat list, found None"),
        (result(item(), keypoints=[float("nan")] * 882), "found 'NaN'"),
        (result(item(), keypoints=[None] * 882), "found 'null'"),
    ],
)
def test_a_result_that_does_not_fit(tmp_path, wrong, words):
    message = refused(tmp_path, dataset(item()), [result(item()), wrong])

    assert message.startswith(f"{tmp_path / 'results.json'}: result 2: ")
    assert words in message


def test_a_box_where_the_first_result_has_none(tmp_path):
    first = without(result(item()), "bbox")

    assert "result 2: has a 'bbox', unlike the first result" in refused(
        tmp_path, dataset(item()), [first, result(item())]
    )


@pytest.mark.parametrize("number", ["1.2.3", "", "-", "01"])
def test_keypoints_that_are_nearly_numbers(tmp_path, number):
    text = json.dumps([result(item(), keypoints=[12345] + [0] * 881)]).replace("12345", number)
    message = refused(tmp_path, dataset(item()), text)

    assert message.startswith(f"{tmp_path / 'results.json'}: ")
    assert "not JSON" in message


def test_boxes_without_boxes_or_keypoints(tmp_path):
    empty = without(result(item()), "bbox", "keypoints")

    assert "result 1: has no 'bbox', and no 'keypoints' to make one of" in refused(
        tmp_path, dataset(item()), [empty], "bbox"
    )


def test_a_file_that_is_not_there_or_cannot_be_read(tmp_path):
    truth, results = write(tmp_path / "truth.json", dataset(item())), write(tmp_path / "results.json", [])

    with pytest.raises(DeepmarkError, match=r"none\.json: no such file\. Give a COCO data set"):
        score_files(tmp_path / "none.json", results, kind="bbox")
    with pytest.raises(DeepmarkError, match=r"cannot be read .*Give a COCO data set"):
        score_files(tmp_path, results, kind="bbox")
    with pytest.raises(DeepmarkError, match=r"none\.json: cannot be read .*Give a file of results"):
        score_files(truth, tmp_path / "none.json", kind="bbox")
    with pytest.raises(DeepmarkError, match=r"cannot be read .*Give a file of results"):
        score_files(truth, tmp_path, kind="bbox")


def test_without_room_for_temporary_files_one_is_told_to_name_another_place(tmp_path):
    truth, results = write(tmp_path / "truth.json", dataset(item())), write(tmp_path / "results.json", [])

    with pytest.raises(DeepmarkError, match=r"nowhere.*Set TMPDIR to a folder with room"):
        score_files(truth, results, kind="bbox", scratch=tmp_path / "nowhere")


def test_an_unknown_kind_is_answered_with_the_choices(tmp_path):
    with pytest.raises(DeepmarkError, match=r"kind 'segm': Choose one of: bbox, keypoints"):
        score_files(tmp_path / "truth.json", tmp_path / "results.json", kind="segm")
