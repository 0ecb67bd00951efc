"""What drawing changes, and what it leaves alone."""

import dataclasses

import numpy as np
import pytest
from vocabularies import MANY, SMALL, random_detections, random_record

from deepmark.draw import PALETTE, SMALLEST, contact_sheet, draw_detections, draw_truth
from deepmark.types import Detections, Garment, ImageRecord
from deepmark.vocabulary import DEEPFASHION2, Vocabulary

GREY = 128
BOX = (100.0, 150.0, 300.0, 450.0)
VEST = DEEPFASHION2.by_name["vest"]


def grey(height: int = 600, width: int = 480) -> np.ndarray:
    return np.full((height, width, 3), GREY, np.uint8)


def in_box(name: str, box: tuple[float, ...]) -> np.ndarray:
    corners = np.array(box).reshape(2, 2)
    return corners[0] + np.array(DEEPFASHION2.by_name[name].shape.points) * (corners[1] - corners[0])


def found(name: str = "vest", box: tuple[float, ...] = BOX, *, score: float = 0.9, peak: float = 1.0) -> Detections:
    landmarks = np.zeros((1, DEEPFASHION2.most_landmarks, 2), np.float32)
    points = in_box(name, box)
    landmarks[0, : len(points)] = points
    return Detections(
        boxes=np.array([box], np.float32),
        scores=np.array([score], np.float32),
        categories=np.array([DEEPFASHION2.by_name[name].index]),
        landmarks=landmarks,
        landmark_scores=np.full((1, DEEPFASHION2.most_landmarks), peak, np.float32),
    )


def labelled(v: list[int]) -> ImageRecord:
    points = np.concatenate([in_box("vest", BOX), np.array(v)[:, None]], axis=1)
    garment = Garment(
        item="item1",
        category=VEST.index,
        style=0,
        box=np.array(BOX),
        landmarks=np.where(points[:, 2:] > 0, points, 0.0),
        polygons=(),
        scale=1,
        occlusion=1,
        zoom_in=1,
        viewpoint=1,
    )
    return ImageRecord(
        id=1,
        file="image/000001.jpg",
        sha256="0" * 64,
        bytes=1,
        width=480,
        height=600,
        source="shop",
        pair_id=1,
        garments=(garment,),
    )


def pixel(image: np.ndarray, point: np.ndarray) -> tuple[int, ...]:
    x, y = np.floor(point).astype(int)
    return tuple(image[y, x].tolist())


def test_the_input_stays_as_it_was():
    image = grey()
    draw_detections(image, found(), min_score=0.0)
    draw_truth(image, labelled([2] * 15), vocabulary=DEEPFASHION2)

    assert (image == GREY).all()


def test_box_and_landmarks_are_where_the_detection_says():
    drawn = draw_detections(grey(), found(), min_score=0.0)
    color = PALETTE[VEST.index]
    points = in_box("vest", BOX)

    assert drawn.shape == (600, 480, 3)
    assert drawn.dtype == np.uint8
    assert [pixel(drawn, point) for point in points] == [color] * 15
    assert pixel(drawn, np.array([300, 160])) == color
    assert (drawn[480:] == GREY).all()
    assert (drawn[:, 330:] == GREY).all()


def test_a_peak_is_a_filled_dot_and_a_guess_a_hollow_one():
    point = in_box("vest", BOX)[10]

    assert pixel(draw_detections(grey(), found(peak=0.4), min_score=0.0), point) == PALETTE[VEST.index]
    assert pixel(draw_detections(grey(), found(peak=0.0), min_score=0.0), point) == (255, 255, 255)


def test_a_visible_landmark_is_filled_an_occluded_one_hollow_and_an_unlabelled_one_not_drawn():
    states = [2] * 15
    lower = 10
    states[lower], states[lower + 1] = 1, 0
    drawn = draw_truth(grey(), labelled(states), vocabulary=DEEPFASHION2)
    points = in_box("vest", BOX)

    assert pixel(drawn, points[lower - 1]) == PALETTE[VEST.index]
    assert pixel(drawn, points[lower]) == (255, 255, 255)
    assert pixel(drawn, points[lower + 1] - [6, 0]) == (GREY,) * 3
    assert (drawn[:8, :8] == GREY).all()


def test_neighbours_on_the_outline_are_joined_and_an_unlabelled_one_breaks_the_line():
    a, b = VEST.shape.outline[7:9]
    middle = in_box("vest", BOX)[[a, b]].mean(axis=0)
    without = [2] * 15
    without[b] = 0

    assert pixel(draw_truth(grey(), labelled([2] * 15), vocabulary=DEEPFASHION2), middle) == PALETTE[VEST.index]
    assert pixel(draw_truth(grey(), labelled(without), vocabulary=DEEPFASHION2), middle) != PALETTE[VEST.index]


def test_detections_below_the_smallest_score_are_not_drawn():
    image = grey()

    assert (draw_detections(image, found(score=0.29), min_score=0.3) == image).all()
    assert (draw_detections(image, found(score=0.31), min_score=0.3) != image).any()


def test_every_category_has_its_own_colour():
    assert len(set(PALETTE)) == len(PALETTE) == len(DEEPFASHION2.categories)
    apart = np.abs(np.array(PALETTE)[:, None] - np.array(PALETTE)[None]).sum(axis=-1)
    assert apart[~np.eye(13, dtype=bool)].min() > 60


def test_a_small_picture_is_enlarged_so_that_it_can_be_read():
    drawn = draw_detections(grey(128, 96), found(box=(20, 30, 70, 100)), min_score=0.0)

    assert max(drawn.shape) == SMALLEST
    assert drawn.shape[0] * 96 == drawn.shape[1] * 128
    assert pixel(drawn, in_box("vest", (20, 30, 70, 100))[8] * SMALLEST / 128) == PALETTE[VEST.index]


@pytest.mark.parametrize("size", [(96, 96), (600, 480), (3000, 2400)])
def test_lines_keep_their_share_of_the_picture(size):
    image = grey(*size)
    height, width = size
    drawn = draw_detections(image, found(box=(0.2 * width, 0.3 * height, 0.7 * width, 0.8 * height)), min_score=0.0)

    changed = (drawn != GREY).any(axis=2).mean()
    assert 0.03 < changed < 0.12


@pytest.mark.parametrize("category", DEEPFASHION2.categories, ids=lambda category: category.name)
def test_garments_partly_outside_the_picture_are_drawn(category):
    image = grey()
    drawn = draw_detections(image, found(category.name, (-150.0, -80.0, 200.0, 700.0)), min_score=0.0)

    assert (drawn != image).any()


def test_labels_of_garments_at_one_place_do_not_hide_each_other():
    one, other = found("vest"), found("sling", score=0.8)
    both = Detections.concatenate([one, other])
    drawn = draw_detections(grey(), both, min_score=0.0)
    above = drawn[:140, :, :]

    for category in (VEST, DEEPFASHION2.by_name["sling"]):
        assert (above == PALETTE[category.index]).all(axis=2).sum() > 200


def label_alone() -> np.ndarray:
    """The label of `found()` where there is room for it."""
    free = draw_detections(grey(), found(), min_score=0.0)[: int(BOX[1]) - 3, :, :]
    rows, columns = (free == PALETTE[VEST.index]).all(axis=2).nonzero()
    return free[rows.min() + 2 : rows.max() - 1, columns.min() + 2 : columns.max() - 1]


def places_of(part: np.ndarray, image: np.ndarray) -> list[tuple[int, int]]:
    """Where an image holds exactly these pixels: left and top."""
    height, width, _ = part.shape
    like = (image[: 1 - height, : 1 - width] == part[0, 0]).all(axis=2)
    tops, lefts = like.nonzero()
    return [
        (left, top)
        for left, top in zip(lefts.tolist(), tops.tolist(), strict=True)
        if (image[top : top + height, left : left + width] == part).all()
    ]


@pytest.mark.parametrize("peak", [0.0, 1.0])
@pytest.mark.parametrize(
    "box",
    [(100.0, 0.0, 300.0, 300.0), (0.0, 0.0, 480.0, 600.0), (100.0, 5.0, 140.0, 45.0), (-50.0, -50.0, 530.0, 650.0)],
)
def test_a_label_lies_above_landmarks_and_can_be_read_wherever_it_stands(box, peak):
    label = label_alone()
    wide = np.hypot(box[2] - box[0], box[3] - box[1]) > 200  # smaller garments have smaller labels
    drawn = draw_detections(grey(), found(box=box, peak=peak), min_score=0.0)

    assert (label < 60).all(axis=2).sum() > 100
    assert len(places_of(label, drawn)) == (1 if wide else 0)


def test_a_label_keeps_off_landmarks_where_it_can():
    top = (100.0, 0.0, 300.0, 300.0)  # there is no room above, and landmarks lie inside
    (place,) = places_of(label_alone(), draw_detections(grey(), found(box=top), min_score=0.0))

    assert place[1] > 300


def test_the_legend_stands_below_the_image_and_tells_its_colours_and_dots():
    both = Detections.concatenate([found("vest"), found("sling", score=0.8)])
    plain = draw_detections(grey(), both, min_score=0.0)
    drawn = draw_detections(grey(), both, min_score=0.0, legend=True)
    legend = drawn[len(plain) :]
    colors = {tuple(color) for color in legend.reshape(-1, 3).tolist()}

    assert (drawn[: len(plain)] == plain).all()
    assert 20 < len(legend) < 60
    assert {PALETTE[VEST.index], PALETTE[DEEPFASHION2.by_name["sling"].index], (255, 255, 255), (24, 24, 28)} <= colors
    assert PALETTE[DEEPFASHION2.by_name["skirt"].index] not in colors


def test_a_legend_that_is_too_long_for_a_line_goes_on_in_the_next():
    everything = Detections.concatenate([found(category.name) for category in DEEPFASHION2.categories])
    drawn = draw_detections(grey(), everything, min_score=0.0, legend=True)

    assert drawn.shape[1] == 480
    one = draw_truth(grey(), labelled([2] * 15), DEEPFASHION2, legend=True)
    assert len(drawn) - 600 > 4 * (len(one) - 600) // 2
    for category in DEEPFASHION2.categories:
        assert (drawn[600:] == PALETTE[category.index]).all(axis=2).sum() > 60


def test_nothing_found_is_the_picture_itself():
    nothing = Detections(
        boxes=np.zeros((0, 4), np.float32),
        scores=np.zeros(0, np.float32),
        categories=np.zeros(0, np.int64),
        landmarks=np.zeros((0, DEEPFASHION2.most_landmarks, 2), np.float32),
        landmark_scores=np.zeros((0, DEEPFASHION2.most_landmarks), np.float32),
    )

    assert (draw_detections(grey(), nothing, min_score=0.0) == GREY).all()
    assert draw_detections(grey(), nothing, min_score=0.0, legend=True).shape == grey().shape


def test_a_contact_sheet_holds_every_picture_in_its_cell():
    images = [np.full((20, 30, 3), shade, np.uint8) for shade in (10, 20, 30)]
    sheet = contact_sheet(images, 2, gap=4)

    assert sheet.shape == (44, 64, 3)
    assert sheet[0, 0, 0] == 10
    assert sheet[0, 34, 0] == 20
    assert sheet[24, 0, 0] == 30
    assert sheet[24, 34, 0] == sheet[21, 0, 0] == 255


def test_a_smaller_picture_stands_in_the_middle_of_its_cell():
    sheet = contact_sheet([np.zeros((10, 10, 3), np.uint8), np.zeros((4, 6, 3), np.uint8)], 5, gap=0)

    assert sheet.shape == (10, 20, 3)
    assert np.argwhere(sheet[:, 10:, 0] == 0)[[0, -1]].tolist() == [[3, 2], [6, 7]]


def test_an_empty_contact_sheet_is_refused():
    with pytest.raises(ValueError, match="0 images in 3 columns"):
        contact_sheet([], 3)


@pytest.mark.parametrize("vocabulary", [SMALL, MANY], ids=lambda one: one.name)
def test_garments_of_any_vocabulary_are_drawn_with_their_own_lines_and_names(vocabulary):
    """Also categories without a landmark, without a drawing, and more of them than there are colours."""
    everything = random_detections(vocabulary, np.random.default_rng(0), 60)
    without = [dataclasses.replace(category, drawing=None) for category in vocabulary.categories]
    records = [random_record(vocabulary, number) for number in range(8)]

    assert (draw_detections(grey(), everything, min_score=0.0, legend=True) != 0).any()
    for drawn_by in (vocabulary, Vocabulary(name="no drawing", categories=tuple(without))):
        for record in records:
            drawn = draw_truth(grey(), record, drawn_by, legend=True)
            for garment in record.garments:
                category = drawn_by.categories[garment.category]
                assert (drawn == PALETTE[category.index % len(PALETTE)]).all(axis=2).sum() > 60
