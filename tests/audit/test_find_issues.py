"""Single wrong labels among right ones, and the issues that are reported for them."""

from dataclasses import replace

import numpy as np
import pytest

from deepmark.audit.find_issues import find_label_issues
from deepmark.audit.label_issue import LabelIssue, rank_issues
from deepmark.params import AuditParams
from deepmark.types import Garment, ImageRecord
from deepmark.vocabulary import DEEPFASHION2

pytestmark = pytest.mark.slow

PARAMS = AuditParams(faulty_share=0.01, min_score=0.3, hash_bits=10, pictures=0)
VEST = DEEPFASHION2.by_name["vest"]


def vest(number: int) -> ImageRecord:
    """An image with one vest, labelled about as its category is drawn."""
    rng = np.random.default_rng(number)
    size = np.array([120.0, 150.0]) * rng.uniform(0.8, 1.2)
    corner = rng.uniform(40, 80, 2)
    points = corner + np.array(VEST.shape.points) * size + rng.normal(0, 2, (VEST.landmarks, 2))
    item = Garment(
        item="item1",
        category=VEST.index,
        style=0,
        box=np.concatenate([points.min(axis=0) - 3, points.max(axis=0) + 3]),
        landmarks=np.column_stack([points, np.full(VEST.landmarks, 2.0)]),
        polygons=(),
        scale=2,
        occlusion=1,
        zoom_in=1,
        viewpoint=2,
    )
    return ImageRecord(
        id=number,
        file=f"image/{number:06d}.jpg",
        sha256="0" * 64,
        bytes=1,
        width=400,
        height=400,
        source="shop",
        pair_id=1,
        garments=(item,),
    )


RIGHT = [vest(number) for number in range(1, 61)]


def with_change(**fields) -> list[ImageRecord]:
    """The vests, the first of them changed."""
    first = RIGHT[0]
    return [replace(first, garments=(replace(first.garments[0], **fields),)), *RIGHT[1:]]


def audit(train):
    return find_label_issues({"train": train, "validation": ()}, {}, PARAMS, vocabulary=DEEPFASHION2).issues


def test_right_labels_are_no_issue():
    assert audit(RIGHT) == []


def test_landmarks_under_their_partners_numbers_are_mirrored():
    landmarks = RIGHT[0].garments[0].landmarks[list(VEST.mirror)]
    (issue,) = audit(with_change(landmarks=landmarks))

    assert (issue.split, issue.image_id, issue.item, issue.category) == ("train", 1, "item1", "vest")
    assert issue.kind == "mirrored landmarks"
    assert "all of them" in issue.reason
    assert {number - 1 for number in issue.landmarks} == {a for a, b in enumerate(VEST.mirror) if a != b}


def test_one_swapped_mirror_pair_is_named():
    landmarks = RIGHT[0].garments[0].landmarks.copy()
    a = VEST.parts.index("left hem corner")
    landmarks[[a, VEST.mirror[a]]] = landmarks[[VEST.mirror[a], a]]
    (issue,) = audit(with_change(landmarks=landmarks))

    assert issue.kind == "mirrored landmarks"
    assert f"left hem corner ({a + 1}) and right hem corner ({VEST.mirror[a] + 1})" in issue.reason


def test_two_swapped_landmarks_that_are_no_mirror_pair_are_named():
    landmarks = RIGHT[0].garments[0].landmarks.copy()
    a, b = VEST.parts.index("left hem corner"), VEST.parts.index("right neck")
    landmarks[[a, b]] = landmarks[[b, a]]
    (issue,) = audit(with_change(landmarks=landmarks))

    assert issue.kind == "swapped landmarks"
    assert issue.landmarks == (min(a, b) + 1, max(a, b) + 1)


def test_a_box_away_from_its_landmarks_is_reported_with_pixels():
    (issue,) = audit(with_change(box=RIGHT[0].garments[0].box + np.array([60, 0, 60, 0])))

    assert issue.kind == "box without its landmarks"
    assert "landmarks lie outside the box, up to" in issue.reason


def test_a_side_at_the_border_of_the_image_is_not_judged():
    box = RIGHT[0].garments[0].box.copy()
    box[1] = 0.0

    assert audit(with_change(box=box)) == []


def test_items_without_landmarks_are_no_issue():
    assert audit(with_change(landmarks=np.zeros((VEST.landmarks, 3)))) == []


def test_without_labels_there_is_no_issue():
    assert audit(()) == []


def test_an_item_has_one_entry_that_names_its_other_issues():
    facts = {"split": "train", "image_id": 1, "category": "vest"}
    weak = LabelIssue(**facts, item="item1", kind="elsewhere", score=0.4, reason="b")
    strong = LabelIssue(**facts, item="item1", kind="mirrored landmarks", score=0.9, reason="a")
    other = LabelIssue(**facts, item="item2", kind="elsewhere", score=0.6, reason="c")
    first, second = rank_issues([weak, other, strong])

    assert (first.item, first.kind, first.reason) == ("item1", "mirrored landmarks", "a. Also elsewhere (0.40): b")
    assert second == other


@pytest.mark.slow
@pytest.mark.parametrize("category", DEEPFASHION2.categories, ids=lambda category: category.name)
def test_the_only_item_of_a_category_is_judged_by_the_drawing(category):
    points = 50 + np.array(category.shape.points) * [200 * category.shape.aspect, 200]
    landmarks = np.column_stack([points, np.full(category.landmarks, 2.0)])
    item = replace(
        RIGHT[0].garments[0],
        category=category.index,
        box=np.concatenate([points.min(axis=0), points.max(axis=0)]),
        landmarks=landmarks[list(category.mirror)],
    )

    assert [each.kind for each in audit([replace(RIGHT[0], garments=(item,))])] == ["mirrored landmarks"]
    right = replace(item, landmarks=landmarks)
    assert audit([replace(RIGHT[0], garments=(right,))]) == []
