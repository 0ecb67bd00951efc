from dataclasses import replace

import numpy as np
import pytest
from test_find_issues import RIGHT, VEST

from deepmark.audit.issue_images import IllustratedIssue, Panel, label_panels
from deepmark.audit.label_issue import LabelIssue
from deepmark.audit.page import write_page
from deepmark.types import Detections
from deepmark.vocabulary import DEEPFASHION2

BLACK = np.zeros((400, 400, 3), np.uint8)


def make_issue(**facts) -> LabelIssue:
    known = {"split": "validation", "image_id": 1, "item": "item1", "category": "vest", "kind": "elsewhere"}
    return LabelIssue(**{**known, "score": 0.9, "reason": "because", **facts})


def detected_as(*names: str) -> Detections:
    """Confident detections of these categories, all in the place of the first vest."""
    item = RIGHT[0].garments[0]
    landmarks = np.zeros((len(names), 39, 2), np.float32)
    landmarks[:, : VEST.landmarks] = item.landmarks[:, :2]
    return Detections(
        boxes=np.repeat(item.box[None], len(names), axis=0).astype(np.float32),
        scores=np.full(len(names), 0.99, np.float32),
        categories=np.array([DEEPFASHION2.by_name[name].index for name in names], np.int64),
        landmarks=landmarks,
        landmark_scores=np.zeros((len(names), 39), np.float32),
        vocabulary=DEEPFASHION2,
    )


def panels(issue, detections=None):
    return label_panels(issue, RIGHT[0], BLACK, detections, vocabulary=DEEPFASHION2)


def test_a_label_is_shown_beside_the_detection_in_its_place():
    assert [panel.caption for panel in panels(make_issue())] == ["labelled"]
    assert [panel.caption for panel in panels(make_issue(), detected_as("sling", "vest"))] == [
        "labelled",
        "found by the model",
    ]


def test_a_detection_of_another_category_is_shown_only_where_the_issue_is_about_it():
    assert len(panels(make_issue(), detected_as("sling"))) == 1
    assert len(panels(make_issue(box=RIGHT[0].garments[0].box), detected_as("sling"))) == 2


def test_the_crop_holds_the_whole_box_wherever_its_landmarks_are():
    away = replace(RIGHT[0].garments[0], box=np.array([5.0, 5.0, 30.0, 40.0]))
    near, far = (
        label_panels(make_issue(), replace(RIGHT[0], garments=(item,)), BLACK[:, :, :], None, vocabulary=DEEPFASHION2)[
            0
        ].image
        for item in (RIGHT[0].garments[0], away)
    )

    assert near.shape != far.shape


def test_swapped_landmarks_have_their_numbers_written_beside_them():
    plain, numbered = (panels(make_issue(landmarks=each))[0].image for each in ((), (2, 6)))
    everything = tuple(number + 1 for number, other in enumerate(VEST.mirror) if number != other)

    assert (plain != numbered).any()
    assert panels(make_issue(landmarks=everything))[0].caption == "labelled (L, R: its left, its right)"


@pytest.mark.parametrize("detections", [None, detected_as("vest")])
def test_an_image_without_labelled_items_is_shown_too(detections):
    missing = make_issue(
        item=None, category=None, kind="missing label", box=None if detections is None else detections.boxes[0] * 1.0
    )

    assert label_panels(missing, replace(RIGHT[0], garments=()), BLACK, detections, vocabulary=DEEPFASHION2)


def test_html_in_a_reason_is_escaped_on_the_page(tmp_path):
    illustrated = IllustratedIssue(
        issue=make_issue(reason="<b>bold</b>"), file="train/image/1.jpg", panels=(Panel(caption="a", image=BLACK),)
    )
    write_page(tmp_path / "index.html", [illustrated.issue], [illustrated], looked_at="1 image", faulty_share=0.01)

    assert "<b>" not in (tmp_path / "index.html").read_text("utf-8")


def test_a_page_without_issues_says_so(tmp_path):
    write_page(tmp_path / "index.html", [], [], looked_at="no images", faulty_share=0.01)

    assert "<p>Nothing.</p>" in (tmp_path / "index.html").read_text("utf-8")
