"""Records and detections become COCO's structures."""

import numpy as np
from eval_samples import detections, garment, prediction, record

from deepmark.data.coco.convert import coco_results, coco_truth
from deepmark.vocabulary import DEEPFASHION2


def test_an_annotation_has_the_official_converters_layout():
    vest = garment("vest", (10, 20, 50, 100), v=[2, 1, 0] * 5)
    truth = coco_truth([record(7), record(32153, garment("skirt"), vest)], vocabulary=DEEPFASHION2)

    annotation = truth["annotations"][1]
    flat = np.asarray(annotation["keypoints"])
    start = DEEPFASHION2.by_name["vest"].start * 3
    assert [image["id"] for image in truth["images"]] == [7, 32153]
    assert truth["images"][1]["file_name"] == "032153.jpg"
    assert (truth["categories"][4]["id"], truth["categories"][4]["name"]) == (5, "vest")
    assert (annotation["id"], annotation["image_id"], annotation["category_id"]) == (2, 32153, 5)
    assert (annotation["bbox"], annotation["area"], annotation["iscrowd"]) == ([10, 20, 40, 80], 3200, 0)
    assert annotation["num_keypoints"] == 10
    assert flat.shape == (882,)
    assert flat[start : start + 45].tolist() == vest.landmarks.ravel().tolist()
    assert np.count_nonzero(flat) == np.count_nonzero(vest.landmarks)


def test_visible_only_turns_occluded_into_unlabelled_and_counts_again():
    vest = garment("vest", v=[2, 1, 0] * 5)
    (both,) = coco_truth([record(1, vest)], vocabulary=DEEPFASHION2)["annotations"]
    (visible,) = coco_truth([record(1, vest)], visible_only=True, vocabulary=DEEPFASHION2)["annotations"]

    assert (both["num_keypoints"], visible["num_keypoints"]) == (10, 5)
    assert set(np.asarray(visible["keypoints"])[2::3].tolist()) == {0, 2}
    assert vest.landmarks[1, 2] == 1


def test_a_result_carries_its_box_its_own_categorys_landmarks_and_its_score_unrounded():
    score = float(np.float32(0.123456789))
    found = detections(("skirt", (0, 0, 10, 20), 0.123456789))
    (result,) = coco_results([prediction(5, found)])

    flat = np.asarray(result["keypoints"]).reshape(DEEPFASHION2.landmarks, 3)
    skirt = DEEPFASHION2.by_name["skirt"]
    assert (result["image_id"], result["category_id"], result["bbox"]) == (5, 9, [0, 0, 10, 20])
    assert result["score"] == score
    assert flat[skirt.span, :2].tolist() == found.landmarks[0, :8].tolist()
    assert np.count_nonzero(flat[:, 2]) == 8
