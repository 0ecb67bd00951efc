from dataclasses import replace

import numpy as np
import pytest
from test_find_issues import RIGHT, VEST, one

from deepmark.audit.issue_images import Exhibit, Panel, label_panels
from deepmark.audit.label_issue import Suspicion
from deepmark.audit.page import write_page

BLACK = np.zeros((400, 400, 3), np.uint8)


def suspect(**facts) -> Suspicion:
    known = {"split": "validation", "image_id": 1, "item": "item1", "category": "vest", "kind": "elsewhere"}
    return Suspicion(**{**known, "score": 0.9, "reason": "because", **facts})


def panels(suspicion, found=None):
    return label_panels(suspicion, RIGHT[0], BLACK, found)


def test_a_label_is_shown_beside_what_the_model_has_in_its_place():
    assert [panel.caption for panel in panels(suspect())] == ["labelled"]
    assert [panel.caption for panel in panels(suspect(), one("sling", "vest"))] == ["labelled", "found by the model"]


def test_a_found_garment_of_another_category_is_shown_only_where_the_suspicion_is_about_it():
    assert len(panels(suspect(), one("sling"))) == 1
    assert len(panels(suspect(box=RIGHT[0].garments[0].box), one("sling"))) == 2


def test_the_cut_out_holds_the_whole_box_wherever_its_landmarks_are():
    away = replace(RIGHT[0].garments[0], box=np.array([5.0, 5.0, 30.0, 40.0]))
    near, far = (
        label_panels(suspect(), replace(RIGHT[0], garments=(item,)), BLACK[:, :, :], None)[0].image
        for item in (RIGHT[0].garments[0], away)
    )

    assert near.shape != far.shape


def test_exchanged_landmarks_are_written_upon_for_a_skeleton_does_not_show_them():
    plain, numbered = (panels(suspect(landmarks=each))[0].image for each in ((), (2, 6)))
    everything = tuple(number + 1 for number, other in enumerate(VEST.mirror) if number != other)

    assert (plain != numbered).any()
    assert panels(suspect(landmarks=everything))[0].caption == "labelled (L, R: its left, its right)"


@pytest.mark.parametrize("found", [None, one("vest")])
def test_a_picture_without_labelled_items_is_shown_too(found):
    missing = suspect(
        item=None, category=None, kind="missing label", box=None if found is None else found.boxes[0] * 1.0
    )

    assert label_panels(missing, replace(RIGHT[0], garments=()), BLACK, found)


def test_what_stands_in_a_reason_cannot_write_upon_the_page(tmp_path):
    exhibit = Exhibit(
        suspect=suspect(reason="<b>bold</b>"), file="train/image/1.jpg", panels=(Panel(caption="a", image=BLACK),)
    )
    write_page(tmp_path / "index.html", [exhibit.suspect], [exhibit], looked_at="1 picture", faulty_share=0.01)

    assert "<b>" not in (tmp_path / "index.html").read_text("utf-8")


def test_a_page_without_suspects_says_so(tmp_path):
    write_page(tmp_path / "index.html", [], [], looked_at="no pictures", faulty_share=0.01)

    assert "<p>Nothing.</p>" in (tmp_path / "index.html").read_text("utf-8")
