"""The audit of other garments than DeepFashion2's: with and without a drawing, of many landmarks, few and none."""

from dataclasses import replace

import numpy as np
import pytest
from faults import decent_model
from vocabularies import MANY, SMALL
from vocabulary_samples import random_case, record

from deepmark.audit.find_issues import find_label_issues
from deepmark.audit.issue_images import label_panels
from deepmark.audit.label_issue import LabelIssue
from deepmark.audit.mean_shape import drawn_shape, fit_mean_shape
from deepmark.errors import DeepmarkError
from deepmark.params import AuditParams
from deepmark.types import Garment, ImageRecord
from deepmark.vocabulary import Category, Vocabulary

PARAMS = AuditParams(faulty_share=0.01, min_score=0.3, hash_bits=10, pictures=0)
UNDRAWN = Vocabulary(
    name="accessories", categories=tuple(replace(category, drawing=None) for category in SMALL.categories)
)


def drawn(category: Category, number: int) -> ImageRecord:
    """An image with one garment, labelled about as its category is drawn."""
    rng = np.random.default_rng(number)
    shape = category.shape
    corner, size = rng.uniform(40, 80, 2), 150 * rng.uniform(0.8, 1.2, 2) * [min(shape.aspect, 1.6), 1]
    points = corner + np.array(shape.points)[: category.landmarks].reshape(-1, 2) * size
    points = points + rng.normal(0, 1.5, points.shape)
    item = Garment(
        item="item1",
        category=category.index,
        style=0,
        box=np.concatenate([corner - 3, corner + size + 3]),
        landmarks=np.column_stack([points, np.full(category.landmarks, 2.0)]),
        polygons=(),
        scale=2,
        occlusion=1,
        zoom_in=1,
        viewpoint=2,
    )
    return record(number, [item])


def changed(records: list[ImageRecord], **fields: np.ndarray) -> list[ImageRecord]:
    """The records, the first one's garment changed."""
    first = records[0]
    return [replace(first, garments=(replace(first.garments[0], **fields),)), *records[1:]]


def issues_of(train: list[ImageRecord], vocabulary: Vocabulary, validation=(), predictions=()) -> list[LabelIssue]:
    return find_label_issues(
        {"train": train, "validation": validation}, {"validation": dict(predictions)}, PARAMS, vocabulary=vocabulary
    ).issues


BAGS = [drawn(SMALL.categories[0], number) for number in range(1, 61)]
SHOES = [drawn(SMALL.categories[1], number) for number in range(101, 161)]
HATS = [drawn(SMALL.categories[2], number) for number in range(201, 241)]
WORDS = ("drawn", "undrawn")


@pytest.mark.parametrize("vocabulary", [SMALL, UNDRAWN], ids=WORDS)
def test_right_labels_are_no_issue(vocabulary):
    assert issues_of([*BAGS, *SHOES, *HATS], vocabulary) == []


@pytest.mark.parametrize("vocabulary", [SMALL, UNDRAWN], ids=WORDS)
def test_landmarks_under_their_partners_numbers_are_mirrored(vocabulary):
    bag = SMALL.categories[0]
    (issue,) = issues_of(changed(BAGS, landmarks=BAGS[0].garments[0].landmarks[list(bag.mirror)]), vocabulary)

    assert (issue.kind, issue.category, issue.landmarks) == ("mirrored landmarks", "bag", (1, 2, 3, 4))


@pytest.mark.parametrize("vocabulary", [SMALL, UNDRAWN], ids=WORDS)
def test_two_swapped_landmarks_of_a_category_without_mirror_pairs_are_named(vocabulary):
    shoe = SMALL.categories[1]
    assert shoe.mirror == tuple(range(6))
    landmarks = SHOES[0].garments[0].landmarks.copy()
    landmarks[[0, 1]] = landmarks[[1, 0]]
    (issue,) = issues_of(changed(SHOES, landmarks=landmarks), vocabulary)

    assert (issue.kind, issue.category, set(issue.landmarks)) == ("swapped landmarks", "shoe", {1, 2})
    assert "heel top (1)" in issue.reason


@pytest.mark.parametrize("vocabulary", [SMALL, UNDRAWN], ids=WORDS)
def test_a_box_away_from_its_landmarks_is_reported(vocabulary):
    (issue,) = issues_of(changed(SHOES, box=SHOES[0].garments[0].box + np.array([120, 40, 120, 40])), vocabulary)

    assert issue.kind == "box without its landmarks"


def test_a_category_without_a_drawing_gets_the_shape_of_its_items():
    bag = SMALL.categories[0]
    points = np.array([item.landmarks[:, 0] + 1j * item.landmarks[:, 1] for one in BAGS for item in one.garments])
    labelled = np.ones(points.shape, bool)
    labelled[::3, 1] = False
    plain = fit_mean_shape(replace(bag, drawing=None), points, labelled).points
    wanted = fit_mean_shape(bag, points, labelled).points

    def normal(shape: np.ndarray) -> np.ndarray:
        moved = shape - shape.mean()
        return moved / np.sqrt((np.abs(moved) ** 2).mean())

    assert np.abs(normal(plain) - normal(wanted)).max() < 0.02
    assert len(drawn_shape(bag).points) == bag.landmarks < len(bag.shape.points)


def test_items_of_boxes_alone_are_compared_with_the_model():
    rng = np.random.default_rng(3)
    images = [*BAGS, *HATS]
    found = [(one.id, decent_model(one, rng, vocabulary=SMALL)) for one in images]
    moved = [*BAGS, *changed(HATS, box=HATS[0].garments[0].box + np.array([70, 40, 70, 40]))]
    params = PARAMS.model_copy(update={"faulty_share": 0.1, "min_score": 0.05})
    issues = find_label_issues({"validation": moved}, {"validation": dict(found)}, params, vocabulary=SMALL).issues
    of_model = [one for one in issues if one.kind != "box without its landmarks"]

    assert (of_model[0].image_id, of_model[0].kind, of_model[0].category) == (HATS[0].id, "elsewhere", "hat")


def test_forty_categories_of_any_number_of_landmarks_are_audited():
    records, predictions = random_case(MANY, 1, images=120)
    issues = issues_of([], MANY, records, [(one.image_id, one.detections) for one in predictions])

    assert {one.category for one in issues} - {None} <= set(MANY.by_name)
    assert all(0 <= one.score <= 1 for one in issues)


def test_predictions_of_another_vocabulary_are_refused_by_name():
    found = [(BAGS[0].id, decent_model(BAGS[0], np.random.default_rng(1), vocabulary=SMALL))]

    with pytest.raises(DeepmarkError, match="the set of predictions has accessories"):
        issues_of([], MANY, BAGS[:1], found)


def test_numbers_stand_at_landmarks_whose_names_do_not_begin_with_left_or_right():
    issue = LabelIssue(
        split="train",
        image_id=101,
        item="item1",
        category="shoe",
        kind="mirrored landmarks",
        score=0.9,
        reason="",
        landmarks=(1, 2, 3),
    )
    image = np.zeros((400, 400, 3), np.uint8)
    (panel,) = label_panels(issue, SHOES[0], image, None, vocabulary=SMALL)

    assert panel.caption == "labelled"
    assert panel.image.any()
