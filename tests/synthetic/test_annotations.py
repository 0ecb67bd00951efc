"""Annotations of drawn images have the format of DeepFashion2 and agree with what was drawn."""

import json
from collections import Counter
from pathlib import Path

import cv2
import numpy as np
import pytest
from tiny_dataset import landmarks_of

from deepmark.schema import SUBSETS
from deepmark.synthetic.scene import draw_image
from deepmark.vocabulary import DEEPFASHION2


@pytest.fixture(scope="module")
def files(drawn: Path) -> list[tuple[dict, tuple[int, int]]]:
    """Every annotation file of the training split with its picture's height and width."""
    found = []
    for path in sorted((drawn / "train/annos").iterdir()):
        picture = cv2.imread(str(drawn / "train/image" / f"{path.stem}.jpg"))
        found.append((json.loads(path.read_text("utf-8")), picture.shape[:2]))
    return found


@pytest.fixture(scope="module")
def items(files: list) -> list[tuple[dict, tuple[int, int]]]:
    return [(item, size) for file, size in files for key, item in file.items() if key.startswith("item")]


def test_a_file_holds_what_the_datasets_files_hold(files: list):
    for number, (file, _) in enumerate(files):
        keys = [key for key in file if key not in ("source", "pair_id")]
        assert keys == [f"item{n}" for n in range(1, len(keys) + 1)]
        assert 1 <= len(keys) <= 3
        assert file["source"] == ("shop", "user")[number % 2]
        assert file["pair_id"] == number // 2 + 1


def test_an_item_has_the_datasets_keys_and_whole_numbers(items: list):
    names = "bounding_box category_id category_name landmarks occlusion scale segmentation style viewpoint zoom_in"
    for item, _ in items:
        assert " ".join(sorted(item)) == names
        numbers = [*item["bounding_box"], *item["landmarks"], *(n for part in item["segmentation"] for n in part)]
        assert all(type(number) is int for number in numbers)


def test_every_category_appears_with_its_own_number_and_landmarks(items: list):
    counts = Counter(item["category_name"] for item, _ in items)

    assert counts.keys() == DEEPFASHION2.by_name.keys()
    assert min(counts.values()) >= 0.03 * len(items)
    for item, _ in items:
        category = DEEPFASHION2.by_name[item["category_name"]]
        assert item["category_id"] == category.index + 1
        assert len(item["landmarks"]) == 3 * category.landmarks


def test_an_unlabelled_landmark_lies_at_zero_and_any_other_inside_the_image(items: list):
    for item, (height, width) in items:
        for x, y, v in landmarks_of(item).tolist():
            assert v in (0, 1, 2)
            assert (v == 0) == ((x, y) == (0, 0))
            assert 0 <= x < width
            assert 0 <= y < height


def test_a_box_lies_in_the_image_and_holds_every_labelled_landmark(items: list):
    for item, (height, width) in items:
        x0, y0, x1, y1 = item["bounding_box"]
        assert 0 <= x0 < x1 <= width
        assert 0 <= y0 < y1 <= height
        labelled = landmarks_of(item)
        labelled = labelled[labelled[:, 2] > 0]
        # A pixel for rounding, and for the half width of a strap's end.
        assert (labelled[:, :2] >= np.array([x0, y0]) - 1).all()
        assert (labelled[:, :2] <= np.array([x1, y1]) + 1).all()


def test_a_box_is_the_tight_frame_of_the_polygons(items: list):
    for item, _ in items:
        corners = np.concatenate([np.array(part).reshape(-1, 2) for part in item["segmentation"]])
        assert item["bounding_box"] == [*corners.min(axis=0), *corners.max(axis=0)]


def test_polygons_have_corners_and_an_area_inside_the_image(items: list):
    for item, (height, width) in items:
        parts = [np.array(part).reshape(-1, 2) for part in item["segmentation"]]
        assert all(len(part) >= 3 and (part >= 0).all() and (part <= (width, height)).all() for part in parts)
        assert sum(cv2.contourArea(part.astype(np.int32)) for part in parts) > 0


def test_the_subset_fields_follow_from_the_geometry(items: list):
    for item, (height, width) in items:
        assert all(item[field] in words for field, words in SUBSETS.items())
        x0, y0, x1, y1 = item["bounding_box"]
        share = (x1 - x0) * (y1 - y0) / (height * width)
        assert item["scale"] == (1 if share < 0.1 else 2 if share <= 0.4 else 3)
        visibility = landmarks_of(item)[:, 2]
        if visibility.any():
            hidden, outside = np.mean(visibility == 1), np.mean(visibility == 0)
            assert item["occlusion"] == (1 if hidden < 0.2 else 2 if hidden <= 0.5 else 3)
            assert item["zoom_in"] == (1 if outside == 0 else 2 if outside <= 0.3 else 3)


def test_all_values_of_the_subset_fields_occur(items: list):
    for field, words in SUBSETS.items():
        assert {item[field] for item, _ in items} == set(words), field


@pytest.mark.slow
def test_the_same_style_is_the_same_piece_of_clothing_in_both_images_of_a_pair():
    found = 0
    for pair in range(12):
        shop, user = (draw_image(seed=5, split="train", index=2 * pair + n).painted for n in range(2))
        styles = [{one.placed.design.style: one.placed.design for one in painted} for painted in (shop, user)]
        for style in (styles[0].keys() & styles[1].keys()) - {0}:
            one, other = styles[0][style], styles[1][style]
            assert one.category == other.category
            assert (one.texture.tile == other.texture.tile).all()
            found += 1
    assert found > 5


@pytest.mark.slow
def test_some_items_have_no_labelled_landmark_as_in_the_real_files():
    empty = 0
    for index in range(200):
        annotation = draw_image(seed=1, split="train", index=index).annotation
        empty += sum(not any(item["landmarks"]) for key, item in annotation.items() if key.startswith("item"))
    assert 0 < empty < 8


def test_annotated_landmarks_are_the_rounded_places_of_the_drawn_ones():
    for index in range(10):
        picture = draw_image(seed=8, split="train", index=index)
        annotated = [item for key, item in picture.annotation.items() if key.startswith("item")]
        truths = {one.placed.design.category: one.placed.landmarks for one in picture.painted}
        for item in annotated:
            landmarks = landmarks_of(item)
            seen = landmarks[:, 2] > 0
            assert (landmarks[seen, :2] == np.rint(truths[item["category_id"] - 1])[seen]).all()
