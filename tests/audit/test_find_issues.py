"""Single faults among right labels, and what is said of them."""

from dataclasses import replace

import numpy as np
import pytest
from faults import decent_model

from deepmark.audit.find_issues import suspected_labels
from deepmark.audit.label_issue import Suspicion, ranked
from deepmark.params import AuditParams
from deepmark.schema import CATEGORIES, CATEGORY_BY_NAME
from deepmark.types import Detections, Garment, ImageRecord

PARAMS = AuditParams(faulty_share=0.01, min_score=0.3, hash_bits=10, pictures=0)
VEST = CATEGORY_BY_NAME["vest"]


def vest(number: int) -> ImageRecord:
    """A picture with one vest, labelled about as its category's drawing."""
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
TRUE_MODEL = [(record.id, decent_model(record, np.random.default_rng(record.id))) for record in RIGHT]


def with_change(**fields) -> list[ImageRecord]:
    """The vests, the first of them changed."""
    first = RIGHT[0]
    return [replace(first, garments=(replace(first.garments[0], **fields),)), *RIGHT[1:]]


def audit(train, validation=(), predictions=()):
    return suspected_labels({"train": train, "validation": validation}, predictions, PARAMS)


def one(*names: str) -> Detections:
    """The first vest's garment found under these names, confidently."""
    item = RIGHT[0].garments[0]
    landmarks = np.zeros((len(names), 39, 2), np.float32)
    landmarks[:, : VEST.landmarks] = item.landmarks[:, :2]
    return Detections(
        boxes=np.repeat(item.box[None], len(names), axis=0).astype(np.float32),
        scores=np.full(len(names), 0.99, np.float32),
        categories=np.array([CATEGORY_BY_NAME[name].index for name in names], np.int64),
        landmarks=landmarks,
        landmark_scores=np.zeros((len(names), 39), np.float32),
    )


def test_right_labels_are_not_suspected():
    assert audit(RIGHT) == []


def test_landmarks_under_their_partners_numbers_are_mirrored():
    landmarks = RIGHT[0].garments[0].landmarks[list(VEST.mirror)]
    (found,) = audit(with_change(landmarks=landmarks))

    assert (found.split, found.image_id, found.item, found.category) == ("train", 1, "item1", "vest")
    assert found.kind == "mirrored landmarks"
    assert "all of them" in found.reason
    assert {number - 1 for number in found.landmarks} == {a for a, b in enumerate(VEST.mirror) if a != b}


def test_one_exchanged_pair_is_named():
    landmarks = RIGHT[0].garments[0].landmarks.copy()
    a = VEST.parts.index("left hem corner")
    landmarks[[a, VEST.mirror[a]]] = landmarks[[VEST.mirror[a], a]]
    (found,) = audit(with_change(landmarks=landmarks))

    assert found.kind == "mirrored landmarks"
    assert f"left hem corner ({a + 1}) and right hem corner ({VEST.mirror[a] + 1})" in found.reason


def test_two_exchanged_landmarks_that_are_no_pair_are_swapped():
    landmarks = RIGHT[0].garments[0].landmarks.copy()
    a, b = VEST.parts.index("left hem corner"), VEST.parts.index("right neck")
    landmarks[[a, b]] = landmarks[[b, a]]
    (found,) = audit(with_change(landmarks=landmarks))

    assert found.kind == "swapped landmarks"
    assert found.landmarks == (min(a, b) + 1, max(a, b) + 1)


def test_a_box_away_from_its_landmarks_is_told_with_pixels():
    (found,) = audit(with_change(box=RIGHT[0].garments[0].box + np.array([60, 0, 60, 0])))

    assert found.kind == "box without its landmarks"
    assert "landmarks lie outside the box, up to" in found.reason


def test_a_side_at_the_pictures_border_tells_nothing():
    box = RIGHT[0].garments[0].box.copy()
    box[1] = 0.0

    assert audit(with_change(box=box)) == []


def test_items_without_landmarks_are_no_reason():
    assert audit(with_change(landmarks=np.zeros((VEST.landmarks, 3)))) == []


def test_another_category_seen_confidently_in_its_place_is_told():
    predictions = [(1, one("sling")), *TRUE_MODEL[1:]]
    found = [each for each in audit((), RIGHT, predictions) if each.image_id == 1]

    assert [each.kind for each in found] == ["wrong category"]
    assert "a sling here" in found[0].reason


def test_both_categories_seen_in_its_place_are_no_reason():
    predictions = [(1, one("vest", "sling")), *TRUE_MODEL[1:]]

    assert [each for each in audit((), RIGHT, predictions) if each.image_id == 1] == []


def test_a_garment_seen_where_nothing_is_labelled_is_missing():
    empty = replace(RIGHT[0], garments=())
    found = [each for each in audit((), [empty, *RIGHT[1:]], [(1, one("vest")), *TRUE_MODEL[1:]]) if each.image_id == 1]

    assert [(each.kind, each.item) for each in found] == [("missing label", None)]


def test_a_garment_seen_in_another_place_than_it_is_labelled_is_elsewhere():
    item = RIGHT[0].garments[0]
    away = replace(item, box=item.box + 200, landmarks=item.landmarks + np.array([200, 200, 0]))
    found = audit((), [replace(RIGHT[0], garments=(away,)), *RIGHT[1:]], [(1, one("vest")), *TRUE_MODEL[1:]])

    assert [(each.kind, each.item) for each in found if each.image_id == 1] == [("elsewhere", "item1")]


def test_without_any_label_nothing_is_suspected():
    assert audit(()) == []


def test_one_entry_an_item_names_its_other_kinds():
    facts = {"split": "train", "image_id": 1, "category": "vest"}
    weak = Suspicion(**facts, item="item1", kind="elsewhere", score=0.4, reason="b")
    strong = Suspicion(**facts, item="item1", kind="mirrored landmarks", score=0.9, reason="a")
    other = Suspicion(**facts, item="item2", kind="elsewhere", score=0.6, reason="c")
    first, second = ranked([weak, other, strong])

    assert (first.item, first.kind, first.reason) == ("item1", "mirrored landmarks", "a. Also elsewhere (0.40): b")
    assert second == other


@pytest.mark.slow
@pytest.mark.parametrize("category", CATEGORIES, ids=lambda category: category.name)
def test_a_lone_item_of_a_category_is_judged_by_its_drawing(category):
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
