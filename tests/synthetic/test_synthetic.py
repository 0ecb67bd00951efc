"""Drawn data: the files' format to the letter, landmarks where the paint is, the same bytes from the same seed."""

import hashlib
import json
from collections import Counter
from dataclasses import replace
from pathlib import Path

import cv2
import numpy as np
import pytest

from deepmark.errors import DeepmarkError
from deepmark.schema import CATEGORIES, CATEGORY_BY_NAME, SUBSETS, Category
from deepmark.synthetic import draw_dataset
from deepmark.synthetic.annotate import annotate, clip, read_landmarks
from deepmark.synthetic.camera import Camera
from deepmark.synthetic.canvas import Canvas
from deepmark.synthetic.garment_shape import Arm, cut, joint_of, left_sleeve
from deepmark.synthetic.outfit import design
from deepmark.synthetic.outlines import contour
from deepmark.synthetic.render_garment import Painted, paint_cloth, paint_lining, place
from deepmark.synthetic.scene import draw_picture

PICTURES = 90
"""45 pairs: every category leads one at least."""

CAMERA = Camera(
    mirrored=False,
    turn=1.0,
    recede=0.0,
    sway=(0.0, 1.0, 0.0),
    view=np.array([[1.0, 0, 0], [0, 1.0, 0], [0, 0, 1.0]]),
)
"""Shows its points where they are."""


@pytest.fixture(scope="module")
def drawn(tmp_path_factory: pytest.TempPathFactory) -> Path:
    out = tmp_path_factory.mktemp("drawn") / "raw"
    draw_dataset(out, train=PICTURES, validation=8, seed=5, workers=1)
    return out


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


def landmarks_of(item: dict) -> np.ndarray:
    return np.array(item["landmarks"]).reshape(-1, 3)


def digest(folder: Path) -> dict[str, str]:
    paths = sorted(path for path in folder.rglob("*") if path.is_file())
    return {str(path.relative_to(folder)): hashlib.sha256(path.read_bytes()).hexdigest() for path in paths}


def figure(category: Category) -> np.ndarray:
    """The dataset's own figure of a category, 300 pixels high."""
    return np.array(category.shape.points) * (300 * category.shape.aspect, 300) + (40.3, 30.7)


def painted_figure(
    category: Category, *, camera: Camera = CAMERA, from_behind: bool = False
) -> tuple[Canvas, Painted, np.ndarray]:
    """The figure seen by the camera, painted on black."""
    rng, points = np.random.default_rng(1), figure(category)
    canvas = Canvas(np.zeros((400, 460, 3), np.uint8))
    placed = place(design(rng, category.index), points, camera, from_behind=from_behind, viewpoint=2)
    lining = paint_lining(canvas, placed)
    return canvas, paint_cloth(rng, canvas, placed, lining=lining), points


each_category = pytest.mark.parametrize("category", CATEGORIES, ids=lambda category: category.name)


def test_every_picture_has_its_annotation_and_a_number_of_six_digits(drawn: Path):
    for split, count in (("train", PICTURES), ("validation", 8)):
        names = [f"{number:06d}" for number in range(1, count + 1)]
        assert sorted(path.name for path in (drawn / split / "image").iterdir()) == [f"{name}.jpg" for name in names]
        assert sorted(path.name for path in (drawn / split / "annos").iterdir()) == [f"{name}.json" for name in names]


@pytest.mark.slow
def test_the_same_seed_gives_the_same_bytes_for_any_number_of_workers(tmp_path: Path):
    done: list[int] = []
    alone = draw_dataset(tmp_path / "alone", train=18, validation=3, seed=9, workers=1)
    together = draw_dataset(tmp_path / "together", train=18, validation=3, seed=9, workers=2, progress=done.append)

    assert alone == together
    assert sum(done) == 21
    assert digest(tmp_path / "alone") == digest(tmp_path / "together")


def test_another_seed_gives_other_pictures(tmp_path: Path):
    draw_dataset(tmp_path / "one", train=2, validation=0, seed=1, workers=1)
    draw_dataset(tmp_path / "two", train=2, validation=0, seed=2, workers=1)

    one, two = digest(tmp_path / "one"), digest(tmp_path / "two")
    assert one.keys() == two.keys()
    assert all(one[path] != two[path] for path in one)


def test_the_splits_show_different_pictures():
    pictures = [draw_picture(seed=3, split=split, index=0).image for split in ("train", "validation")]
    assert pictures[0].shape != pictures[1].shape or (pictures[0] != pictures[1]).any()


def test_a_picture_does_not_depend_on_how_many_are_drawn(tmp_path: Path, drawn: Path):
    draw_dataset(tmp_path / "few", train=3, validation=0, seed=5, workers=1)

    few, many = digest(tmp_path / "few" / "train"), digest(drawn / "train")
    assert few.items() <= many.items()


def test_a_split_without_pictures_has_its_empty_folders(tmp_path: Path):
    counts = draw_dataset(tmp_path / "raw", train=0, validation=1, seed=0, workers=1)

    assert list((tmp_path / "raw/train/image").iterdir()) == []
    assert list((tmp_path / "raw/train/annos").iterdir()) == []
    assert (counts["train"], counts["validation"]) == (0, 1)
    assert counts["garments"] >= 1


def test_an_interrupted_draw_is_repeated_over_what_it_left(tmp_path: Path):
    draw_dataset(tmp_path / "raw", train=2, validation=1, seed=4, workers=1)
    whole = digest(tmp_path / "raw")
    (tmp_path / "raw/train/image/000001.jpg").write_bytes(b"half a pict")
    (tmp_path / "raw/validation/annos/000001.json").unlink()

    draw_dataset(tmp_path / "raw", train=2, validation=1, seed=4, workers=1)

    assert digest(tmp_path / "raw") == whole


def test_a_folder_with_other_data_is_refused_and_left_alone(tmp_path: Path):
    (tmp_path / "thesis.txt").write_text("three years of work")

    with pytest.raises(DeepmarkError, match=r"holds other data already \(thesis.txt\).*Name a new or an empty folder"):
        draw_dataset(tmp_path, train=1, validation=0, seed=1)

    assert [path.name for path in tmp_path.iterdir()] == ["thesis.txt"]


def test_a_draw_of_other_numbers_is_refused(tmp_path: Path):
    draw_dataset(tmp_path / "raw", train=0, validation=0, seed=1)

    with pytest.raises(DeepmarkError, match=r"drawn data set of other numbers .*synthetic.json.*name another folder"):
        draw_dataset(tmp_path / "raw", train=0, validation=0, seed=2)


def test_a_file_in_the_folders_place_is_refused(tmp_path: Path):
    (tmp_path / "raw").write_text("")

    with pytest.raises(DeepmarkError, match=r"raw: is a file\. Name a folder"):
        draw_dataset(tmp_path / "raw", train=1, validation=0, seed=1)


@pytest.mark.parametrize("name", ["train", "validation", "seed"])
def test_a_negative_number_is_refused(tmp_path: Path, name: str):
    numbers = {"train": 1, "validation": 1, "seed": 1, name: -1}

    with pytest.raises(DeepmarkError, match=f"{name} is -1. Give 0 or more"):
        draw_dataset(tmp_path / "raw", **numbers)


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

    assert counts.keys() == CATEGORY_BY_NAME.keys()
    assert min(counts.values()) >= 0.03 * len(items)
    for item, _ in items:
        category = CATEGORY_BY_NAME[item["category_name"]]
        assert item["category_id"] == category.index + 1
        assert len(item["landmarks"]) == 3 * category.landmarks


def test_an_unlabelled_landmark_lies_at_zero_and_any_other_inside_the_picture(items: list):
    for item, (height, width) in items:
        for x, y, v in landmarks_of(item).tolist():
            assert v in (0, 1, 2)
            assert (v == 0) == ((x, y) == (0, 0))
            assert 0 <= x < width
            assert 0 <= y < height


def test_a_box_lies_in_the_picture_and_holds_every_labelled_landmark(items: list):
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


def test_polygons_have_corners_and_an_area_inside_the_picture(items: list):
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


def test_the_same_style_is_the_same_piece_of_clothing_in_both_pictures_of_a_pair():
    found = 0
    for pair in range(12):
        shop, user = (draw_picture(seed=5, split="train", index=2 * pair + n).painted for n in range(2))
        styles = [{one.placed.look.style: one.placed.look for one in painted} for painted in (shop, user)]
        for style in (styles[0].keys() & styles[1].keys()) - {0}:
            one, other = styles[0][style], styles[1][style]
            assert one.category == other.category
            assert (one.fabric.tile == other.fabric.tile).all()
            found += 1
    assert found > 5


@pytest.mark.slow
def test_some_items_have_no_labelled_landmark_as_in_the_real_files():
    empty = 0
    for index in range(200):
        annotation = draw_picture(seed=1, split="train", index=index).annotation
        empty += sum(not any(item["landmarks"]) for key, item in annotation.items() if key.startswith("item"))
    assert 0 < empty < 8


def test_annotated_landmarks_are_the_rounded_places_of_the_drawn_ones():
    for index in range(10):
        picture = draw_picture(seed=8, split="train", index=index)
        annotated = [item for key, item in picture.annotation.items() if key.startswith("item")]
        truths = {one.placed.look.category: one.placed.landmarks for one in picture.painted}
        for item in annotated:
            landmarks = landmarks_of(item)
            seen = landmarks[:, 2] > 0
            assert (landmarks[seen, :2] == np.rint(truths[item["category_id"] - 1])[seen]).all()


@each_category
def test_a_garment_seen_straight_has_its_landmarks_where_the_figure_has_them(category: Category):
    canvas, painted, points = painted_figure(category)

    landmarks = read_landmarks(canvas, painted)

    assert (landmarks[:, :2] == np.rint(points)).all()
    assert (landmarks[:, 2] == 2).all()


@each_category
def test_landmarks_of_the_outline_lie_on_the_edge_of_the_paint(category: Category):
    canvas, _, points = painted_figure(category)
    painted = (canvas.layers > 0).astype(np.uint8)
    edge = cv2.morphologyEx(painted, cv2.MORPH_GRADIENT, np.ones((3, 3), np.uint8))
    far = cv2.distanceTransform(1 - edge, cv2.DIST_L2, 5)

    for x, y in np.floor(points[list(category.shape.outline)]).astype(int):
        # Paint closes the sharp notch under an arm a little.
        assert far[y, x] <= 3


@each_category
def test_a_mirrored_garment_is_numbered_by_the_picture(category: Category):
    mirror = replace(CAMERA, mirrored=True, view=np.array([[1.0, 0, 460], [0, 1, 0], [0, 0, 1]]))
    _, painted, points = painted_figure(category, camera=mirror)

    expected = (points * (-1, 1) + (460, 0))[list(category.mirror)]
    assert painted.placed.landmarks == pytest.approx(expected)


@each_category
def test_the_back_hides_neckline_and_opening_and_nothing_else(category: Category):
    canvas, painted, _ = painted_figure(category, from_behind=True)

    hidden = set(np.flatnonzero(read_landmarks(canvas, painted)[:, 2] == 1).tolist())

    shape = category.shape
    lines = {landmark for line in shape.inner_lines for landmark in line}
    assert hidden == lines - set(shape.outline)


@each_category
def test_a_contour_passes_through_every_landmark(category: Category):
    points = figure(category)
    line = contour(category, points, category.shape.outline)
    distances = np.linalg.norm(line[:, None] - points[list(category.shape.outline)], axis=2)
    assert distances.min(axis=0).max() < 1e-9


def test_left_stays_left_of_right_in_frontal_pictures():
    right_way = wrong_way = 0
    for index in range(60):
        for one in draw_picture(seed=2, split="train", index=index).painted:
            category = CATEGORIES[one.placed.look.category]
            for a, b in enumerate(category.mirror):
                if category.shape.points[a][0] < category.shape.points[b][0]:
                    order = one.placed.landmarks[a, 0] < one.placed.landmarks[b, 0]
                    right_way, wrong_way = right_way + order, wrong_way + (not order)
    assert wrong_way < 0.01 * right_way


def test_an_object_before_a_landmark_makes_it_occluded():
    canvas, painted, points = painted_figure(CATEGORY_BY_NAME["skirt"])
    canvas.fill(points[4] + np.array([[-9, -9], [9, -9], [9, 9], [-9, 9]]), (255, 0, 0))

    assert read_landmarks(canvas, painted)[:, 2].tolist() == [2, 2, 2, 2, 1, 2, 2, 2]


def test_landmarks_outside_the_picture_are_not_labelled_and_the_box_is_clipped():
    shifted = replace(CAMERA, view=np.array([[1.0, 0, -100], [0, 1, 0], [0, 0, 1]]))
    canvas, painted, points = painted_figure(CATEGORY_BY_NAME["skirt"], camera=shifted)

    item = annotate(canvas, painted)

    assert item is not None
    outside = points[:, 0] < 100.5
    assert 0 < outside.sum() < len(points)
    assert (landmarks_of(item)[outside] == 0).all()
    assert (landmarks_of(item)[~outside, 2] == 2).all()
    assert item["bounding_box"][0] == 0


def test_a_garment_that_is_hardly_seen_is_not_annotated():
    canvas, painted, _ = painted_figure(CATEGORY_BY_NAME["vest"])
    canvas.fill(np.array([[0.0, 0], [460, 0], [460, 320], [0, 320]]), (9, 9, 9))

    assert annotate(canvas, painted) is None


def test_a_polygon_across_a_corner_is_clipped_to_it():
    square = np.array([[-5.0, -5], [5, -5], [5, 5], [-5, 5]])

    clipped = clip(square, (20, 30))

    assert {tuple(corner) for corner in clipped.tolist()} == {(0, 0), (5, 0), (5, 5), (0, 5)}
    assert len(clip(square - 50, (20, 30))) == 0


def test_long_sleeved_dresses_reach_farther_down_the_arm_than_short_sleeved_ones():
    arms = (Arm(lift=0.3, bend=0.0), Arm(lift=0.3, bend=0.0))
    reach: dict[str, list[float]] = {"short sleeve dress": [], "long sleeve dress": []}
    for name, found in reach.items():
        category = CATEGORY_BY_NAME[name]
        for seed in range(30):
            points = cut(design(np.random.default_rng(seed), category.index), arms)
            sleeve = points[list(left_sleeve(category))]
            found.append(float(np.linalg.norm(sleeve - joint_of(category, points), axis=1).max()))

    assert max(reach["short sleeve dress"]) < min(reach["long sleeve dress"])


def test_a_side_view_is_narrower():
    widths = []
    for turn in (1.0, 0.6):
        camera = replace(CAMERA, turn=turn)
        _, painted, _ = painted_figure(CATEGORY_BY_NAME["trousers"], camera=camera)
        widths.append(np.ptp(painted.placed.landmarks[:, 0]))
    assert widths[1] == pytest.approx(0.6 * widths[0])
