"""A vocabulary made of a COCO file: the file's names, guessed pairs, sigmas of garments that were labelled twice."""

import json
import random
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from vocabularies import SMALL, random_record

from deepmark.data.coco.guess_vocabulary import DEFAULT_SIGMA, ENOUGH, guess_vocabulary
from deepmark.data.coco.writer import write_coco
from deepmark.errors import DeepmarkError
from deepmark.vocabulary import DEEPFASHION2

SIGMAS = (0.02, 0.05, 0.08)
"""Of the labels of `labelled_twice`: left ear, right ear, nose."""


def coco(folder: Path, **changed: Any) -> Path:
    """Faces with two ears and a nose, and hats, in COCO's own layout."""
    values = {
        "images": [{"id": i, "file_name": f"{i}.jpg", "width": 200, "height": 200} for i in range(1, 41)],
        "categories": [
            {"id": 90, "name": "hat"},
            {
                "id": 7,
                "name": "face",
                "keypoints": ["left_ear", "right_ear", "nose"],
                "skeleton": [[1, 3], [3, 2], [9, 1], "x"],
            },
        ],
        "annotations": [
            *(annotation(i, i, [50, 100, 2, 150, 100, 2, 100, 150 + i % 3, 1]) for i in range(1, 41)),
            {"id": 99, "image_id": 1, "category_id": 90, "bbox": [0, 0, 80, 40]},
        ],
    } | changed
    (folder / "faces.json").write_text(json.dumps(values))
    return folder / "faces.json"


def annotation(number: int, image: int, keypoints: list[float], **changed: Any) -> dict[str, Any]:
    fields = {"id": number, "image_id": image, "category_id": 7, "bbox": [50, 50, 100, 200], "keypoints": keypoints}
    return fields | changed


def labelled_twice(folder: Path, count: int = 2000) -> Path:
    """Two people label each image; both miss the truth by a normal deviation of SIGMAS times sqrt(area)."""
    rng, places, annotations = np.random.default_rng(0), np.array([(50, 100), (150, 100), (100, 150)]), []
    for image in range(1, count + 1):
        for person in range(2):
            # sigma is of the distance, so each coordinate has its share of it
            wrong = rng.normal(0, 1, (3, 2)) * np.array(SIGMAS)[:, None] / np.sqrt(2) * np.sqrt(100 * 200)
            points = np.concatenate([places + wrong, np.full((3, 1), 2)], axis=1)
            annotations.append(annotation(2 * image + person, image, points.ravel().tolist()))
    images = [{"id": i, "file_name": f"{i}.jpg", "width": 200, "height": 300} for i in range(1, count + 1)]
    return coco(folder, images=images, annotations=annotations)


def test_names_order_pairs_and_shapes_are_those_of_the_file(tmp_path):
    found = guess_vocabulary(coco(tmp_path), "faces")
    face, hat = found.vocabulary.categories

    assert (face.name, hat.name, face.parts, hat.landmarks) == ("face", "hat", ("left_ear", "right_ear", "nose"), 0)
    assert (face.mirror, found.pairs) == ((1, 0, 2), 1)
    assert face.shape.points[:3] == ((0.0, 0.25), (1.0, 0.25), (0.5, 0.505))
    assert face.shape.aspect == 0.5
    assert sorted(face.shape.outline) == [0, 1, 2]
    assert face.shape.inner_lines == ((0, 2), (2, 1))
    assert (found.as_boxes, hat.shape.aspect) == (("hat",), 2.0)
    assert set(found.vocabulary.sigmas) == {DEFAULT_SIGMA}
    assert (found.estimated, found.labelled_twice) == (0, 0)


@pytest.mark.slow
def test_sigmas_are_the_deviation_of_one_person_from_the_truth(tmp_path):
    found = guess_vocabulary(labelled_twice(tmp_path), "faces")

    of_pair = float(np.sqrt((SIGMAS[0] ** 2 + SIGMAS[1] ** 2) / 2))  # both ears are one landmark, mirrored
    assert found.vocabulary.sigmas == pytest.approx((of_pair, of_pair, SIGMAS[2]), rel=0.04)
    assert (found.estimated, found.labelled_twice) == (3, 2000)


@pytest.mark.parametrize(("count", "estimated"), [(ENOUGH // 2, 2), (ENOUGH - 1, 2), (ENOUGH, 3), (5, 0)])
def test_few_garments_that_were_labelled_twice_say_nothing(count, estimated, tmp_path):
    """The two ears count together, so half as many garments are enough for them."""
    assert guess_vocabulary(labelled_twice(tmp_path, count), "faces").estimated == estimated


def test_labels_that_agree_to_the_last_digit_are_copies_and_no_measure(tmp_path):
    twice = [annotation(2 * i + j, i, [50, 100, 2, 150, 100, 2, 100, 150, 2]) for i in range(1, 41) for j in (0, 1)]

    found = guess_vocabulary(coco(tmp_path, annotations=twice), "faces")

    assert (found.labelled_twice, found.estimated) == (40, 0)


def test_two_garments_side_by_side_are_not_one_that_was_labelled_twice(tmp_path):
    pair = [
        annotation(2 * i + j, i, [50, 100, 2] * 3, bbox=[60 * j, 0, 100, 100]) for i in range(1, 41) for j in (0, 1)
    ]

    assert guess_vocabulary(coco(tmp_path, annotations=pair), "faces").labelled_twice == 0


def test_a_file_that_convert_wrote_gives_the_names_it_was_written_with(tmp_path):
    write_coco(tmp_path / "coco.json", [random_record(SMALL, number) for number in range(40)], SMALL)

    categories = guess_vocabulary(tmp_path / "coco.json", "again").vocabulary.categories

    assert [(one.name, one.parts) for one in categories] == [(one.name, one.parts) for one in SMALL.categories]
    assert [one.mirror for one in categories] == [one.mirror for one in SMALL.categories]


@pytest.mark.parametrize(
    ("names", "mirror"),
    [
        (["left eye", "right eye"], (1, 0)),
        (["L_eye", "R_eye"], (1, 0)),
        (["eye.l", "eye.r"], (1, 0)),
        (["Left eye", "Right eye"], (1, 0)),
        (["left eye", "nose"], (0, 1)),
        (["bright", "copyleft"], (0, 1)),
        (["left left", "right right", "left right"], (1, 0, 2)),
    ],
)
def test_left_and_right_are_told_by_whole_words(names, mirror, tmp_path):
    category = {"id": 7, "name": "face", "keypoints": names}
    file = coco(tmp_path, categories=[category], annotations=[])

    assert guess_vocabulary(file, "faces").vocabulary.categories[0].mirror == mirror


@pytest.mark.parametrize(
    ("category", "message"),
    [
        ({"id": 7, "name": None}, "category 7: its name is None"),
        ({"id": 7, "name": "a/b", "keypoints": ["x", "y"]}, r"faces\.json: categories: 1: name: 'a/b' has a '/'"),
        ({"id": 7, "name": "face", "keypoints": "nose"}, "'keypoints' should be a list of names"),
        ({"id": 7, "name": "face", "keypoints": ["nose", "nose"]}, "'nose' is the name of landmark 1 already"),
        ({"id": 7, "name": "face"}, "no category has landmarks"),
        ({"id": 7, "name": "face", "keypoints": ["nose"]}, r"annotations\[0\].*should be 1 \* 3 numbers"),
    ],
)
def test_a_file_that_no_vocabulary_can_be_made_of_is_refused(category, message, tmp_path):
    keypoints = [1, 1, 2, 3, 3, 2]
    file = coco(tmp_path, categories=[category], annotations=[annotation(1, 1, keypoints)])

    with pytest.raises(DeepmarkError, match=message):
        guess_vocabulary(file, "faces")


def test_deepfashion2_needs_none(tmp_path):
    write_coco(tmp_path / "coco.json", [random_record(DEEPFASHION2, 3)], vocabulary=DEEPFASHION2)

    with pytest.raises(DeepmarkError, match="its categories are DeepFashion2's, which are built in"):
        guess_vocabulary(tmp_path / "coco.json", "again")


@pytest.mark.slow
def test_mutated_files_give_a_vocabulary_or_a_message(tmp_path):
    rng, right = random.Random(0), json.loads(coco(tmp_path).read_text())
    values = [None, "", "face", -1, 0, 7, 1e300, [], {}, ["nose"], [1, 2, 3], True]
    made = 0
    for _ in range(1000):
        content = json.loads(json.dumps(right))
        parent: Any = content
        while True:
            keys = list(parent) if isinstance(parent, dict) else range(len(parent))
            key = rng.choice(list(keys))
            if not isinstance(parent[key], dict | list) or not parent[key] or rng.random() < 0.15:
                break
            parent = parent[key]
        parent[key] = rng.choice(values)
        (tmp_path / "faces.json").write_text(json.dumps(content))
        try:
            guess_vocabulary(tmp_path / "faces.json", "faces")
            made += 1
        except DeepmarkError:
            pass
    assert 50 < made < 950
