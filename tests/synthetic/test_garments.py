"""Landmarks of drawn garments lie where their paint is, for every category and camera."""

from dataclasses import replace

import cv2
import numpy as np
import pytest
from tiny_dataset import landmarks_of

from deepmark.synthetic.annotate import annotate, clip, read_landmarks
from deepmark.synthetic.camera import Camera
from deepmark.synthetic.canvas import Canvas
from deepmark.synthetic.garment_shape import Arm, left_sleeve, shape_garment, shoulder_joint
from deepmark.synthetic.outfit import sample_design
from deepmark.synthetic.outlines import contour
from deepmark.synthetic.render_garment import PaintedGarment, paint_cloth, paint_lining, place_garment
from deepmark.synthetic.scene import draw_image
from deepmark.vocabulary import DEEPFASHION2, Category

CAMERA = Camera(
    mirrored=False,
    x_scale=1.0,
    x_perspective=0.0,
    bend=(0.0, 1.0, 0.0),
    homography=np.array([[1.0, 0, 0], [0, 1.0, 0], [0, 0, 1.0]]),
)
"""Maps points to themselves."""


def figure(category: Category) -> np.ndarray:
    """The dataset's own figure of a category, 300 pixels high."""
    return np.array(category.shape.points) * (300 * category.shape.aspect, 300) + (40.3, 30.7)


def painted_figure(
    category: Category, *, camera: Camera = CAMERA, from_behind: bool = False
) -> tuple[Canvas, PaintedGarment, np.ndarray]:
    """The figure seen by the camera, painted on black."""
    rng, points = np.random.default_rng(1), figure(category)
    canvas = Canvas(np.zeros((400, 460, 3), np.uint8))
    placed = place_garment(sample_design(rng, category.index), points, camera, from_behind=from_behind, viewpoint=2)
    lining = paint_lining(canvas, placed)
    return canvas, paint_cloth(rng, canvas, placed, lining=lining), points


each_category = pytest.mark.parametrize("category", DEEPFASHION2.categories, ids=lambda category: category.name)


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
def test_a_mirrored_garment_is_numbered_by_the_image(category: Category):
    mirror = replace(CAMERA, mirrored=True, homography=np.array([[1.0, 0, 460], [0, 1, 0], [0, 0, 1]]))
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


@pytest.mark.slow
def test_left_stays_left_of_right_in_frontal_images():
    right_way = wrong_way = 0
    for index in range(60):
        for one in draw_image(seed=2, split="train", index=index).painted:
            category = DEEPFASHION2.categories[one.placed.design.category]
            for a, b in enumerate(category.mirror):
                if category.shape.points[a][0] < category.shape.points[b][0]:
                    order = one.placed.landmarks[a, 0] < one.placed.landmarks[b, 0]
                    right_way, wrong_way = right_way + order, wrong_way + (not order)
    assert wrong_way < 0.01 * right_way


def test_an_object_before_a_landmark_makes_it_occluded():
    canvas, painted, points = painted_figure(DEEPFASHION2.by_name["skirt"])
    canvas.fill(points[4] + np.array([[-9, -9], [9, -9], [9, 9], [-9, 9]]), (255, 0, 0))

    assert read_landmarks(canvas, painted)[:, 2].tolist() == [2, 2, 2, 2, 1, 2, 2, 2]


def test_landmarks_outside_the_image_are_not_labelled_and_the_box_is_clipped():
    shifted = replace(CAMERA, homography=np.array([[1.0, 0, -100], [0, 1, 0], [0, 0, 1]]))
    canvas, painted, points = painted_figure(DEEPFASHION2.by_name["skirt"], camera=shifted)

    item = annotate(canvas, painted)

    assert item is not None
    outside = points[:, 0] < 100.5
    assert 0 < outside.sum() < len(points)
    assert (landmarks_of(item)[outside] == 0).all()
    assert (landmarks_of(item)[~outside, 2] == 2).all()
    assert item["bounding_box"][0] == 0


def test_a_garment_that_is_hardly_visible_is_not_annotated():
    canvas, painted, _ = painted_figure(DEEPFASHION2.by_name["vest"])
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
        category = DEEPFASHION2.by_name[name]
        for seed in range(30):
            points = shape_garment(sample_design(np.random.default_rng(seed), category.index), arms)
            sleeve = points[list(left_sleeve(category))]
            found.append(float(np.linalg.norm(sleeve - shoulder_joint(category, points), axis=1).max()))

    assert max(reach["short sleeve dress"]) < min(reach["long sleeve dress"])


def test_a_side_view_is_narrower():
    widths = []
    for x_scale in (1.0, 0.6):
        camera = replace(CAMERA, x_scale=x_scale)
        _, painted, _ = painted_figure(DEEPFASHION2.by_name["trousers"], camera=camera)
        widths.append(np.ptp(painted.placed.landmarks[:, 0]))
    assert widths[1] == pytest.approx(0.6 * widths[0])
