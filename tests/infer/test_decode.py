"""Decoding equals the published decoding, whatever the maps."""

import numpy as np
import pytest
import torch
from head_maps import (
    channels_last,
    drawn_sample,
    ideal_maps_of,
    noise_maps,
    picture_of,
    realistic_maps,
    ungrouped,
)
from layouts import GROUPED, SEPARATE, layout_of
from reference import decode_plainly

from deepmark import geometry
from deepmark.infer.decode import decode
from deepmark.model.heads import STRIDE, HeadMaps
from deepmark.types import COLUMNS, Detections
from deepmark.vocabulary import DEEPFASHION2

AFFINE = np.array([[0.7, 0.0, 3.0], [0.0, 0.7, 9.0]])


SIZE = (700, 600)


def decoded(maps: HeadMaps, *, most: int = 100, threshold: float = 0.1, blend: float = 0.0) -> list[Detections]:
    count = len(maps.size)
    return decode(
        maps,
        layout=layout_of(maps),
        affines=[AFFINE] * count,
        sizes=[SIZE] * count,
        max_detections=most,
        landmark_threshold=threshold,
        landmark_blend=blend,
    )


def assert_as_published(maps: HeadMaps, *, most: int = 100, threshold: float = 0.1) -> None:
    for i, found in enumerate(decoded(maps, most=most, threshold=threshold)):
        wanted = decode_plainly(
            picture_of(maps, i), affine=AFFINE, size=SIZE, max_detections=most, landmark_threshold=threshold
        )
        np.testing.assert_array_equal(found.categories, wanted.categories)
        np.testing.assert_array_equal(found.boxes, wanted.boxes)
        np.testing.assert_array_equal(found.landmarks, wanted.landmarks)
        # The sigmoid of a few numbers and that of a whole map may differ in the last bit.
        np.testing.assert_allclose(found.scores, wanted.scores, rtol=3e-7)
        np.testing.assert_allclose(found.landmark_scores, wanted.landmark_scores, rtol=3e-7)


@pytest.mark.parametrize("seed", range(4))
def test_decoding_noise_equals_the_published_way(seed: int) -> None:
    assert_as_published(noise_maps(seed, pictures=2))


@pytest.mark.parametrize("seed", range(2))
def test_decoding_a_picture_of_garments_equals_the_published_way(seed: int) -> None:
    maps = realistic_maps(seed, side=64)

    assert_as_published(maps)
    assert sum((found.landmark_scores > 0).sum() for found in decoded(maps)) > 100


@pytest.mark.parametrize("seed", range(2))
def test_grouped_maps_decode_as_maps_of_all_landmarks_in_which_groups_say_the_same(seed: int) -> None:
    maps = noise_maps(seed, pictures=2, layout=GROUPED)

    for grouped, separate in zip(decoded(maps), decoded(ungrouped(maps)), strict=True):
        for name in COLUMNS:
            np.testing.assert_array_equal(getattr(grouped, name), getattr(separate, name))


def test_decoding_equals_the_published_way_where_most_cells_are_equal() -> None:
    maps = noise_maps(0, pictures=2)
    maps.center_heatmap.round_()
    maps.landmark_heatmap.round_()
    maps.landmark_offset.fill_(0.5)
    maps.landmark_vectors.round_()

    assert_as_published(maps, most=30)


def test_more_than_a_hundred_peaks_of_one_landmark_are_cut_as_published() -> None:
    maps = noise_maps(0, size=(64, 48))
    maps.landmark_heatmap.add_(4)

    assert_as_published(maps, most=20)


@pytest.mark.parametrize("threshold", [0.0, 0.6, 1.0])
def test_the_landmark_threshold_may_be_anything(threshold: float) -> None:
    assert_as_published(noise_maps(1), threshold=threshold, most=20)


@pytest.mark.parametrize("size", [(1, 1), (1, 7), (7, 1)])
def test_a_map_may_be_one_cell_wide(size: tuple[int, int]) -> None:
    assert_as_published(noise_maps(2, size=size))


def test_blended_landmarks_lie_on_the_way_from_the_peak_to_the_vectors_position() -> None:
    maps = realistic_maps(1, side=64)
    (peaks,), (vectors,) = decoded(maps), decoded(maps, threshold=1.0)  # no peak is above 1
    blended, whole = (decoded(maps, blend=share)[0] for share in (0.25, 1.0))

    assert (peaks.landmark_scores > 0).sum() > 100
    np.testing.assert_allclose(blended.landmarks, 0.75 * peaks.landmarks + 0.25 * vectors.landmarks, atol=1e-3)
    np.testing.assert_allclose(whole.landmarks, vectors.landmarks, atol=1e-3)
    for name in ("boxes", "scores", "categories", "landmark_scores"):
        np.testing.assert_array_equal(getattr(blended, name), getattr(peaks, name))


def test_the_order_of_the_maps_in_memory_does_not_matter() -> None:
    maps = noise_maps(3, pictures=2)

    for plain, last in zip(decoded(maps), decoded(channels_last(maps)), strict=True):
        np.testing.assert_array_equal(plain.landmarks, last.landmarks)
        np.testing.assert_array_equal(plain.boxes, last.boxes)


def test_a_batch_decodes_like_its_pictures_one_by_one() -> None:
    maps = noise_maps(4, pictures=3)

    for i, found in enumerate(decoded(maps)):
        (alone,) = decoded(picture_of(maps, i))
        np.testing.assert_array_equal(found.landmarks, alone.landmarks)
        np.testing.assert_array_equal(found.scores, alone.scores)


def test_half_precision_maps_decode_to_single_precision() -> None:
    maps = noise_maps(5)
    half = HeadMaps(**{name: getattr(maps, name).bfloat16() for name in HeadMaps.__slots__})

    (found,) = decoded(half)

    assert len(found) == 100
    assert {found.boxes.dtype, found.scores.dtype, found.landmarks.dtype} == {np.dtype(np.float32)}


def empty_maps() -> HeadMaps:
    maps = ideal_maps_of([drawn_sample([], (64, 64), AFFINE)])
    # A slope, so that an empty map has one peak and not one in every cell.
    maps.center_heatmap.add_(torch.arange(16) * 1e-3)
    return maps


def test_a_weaker_neighbour_is_not_a_second_detection() -> None:
    maps = empty_maps()
    maps.center_heatmap[0, 3, 8, 4], maps.center_heatmap[0, 3, 8, 5] = 3.0, 2.0

    (found,) = decoded(maps)

    assert found.categories[0] == 3
    assert (found.scores > 0.5).sum() == 1


def test_a_picture_has_at_most_the_asked_number_of_detections_and_the_best_ones() -> None:
    maps = noise_maps(6)

    few, many = decoded(maps, most=7)[0], decoded(maps, most=70)[0]

    np.testing.assert_array_equal(few.scores, many.scores[:7])
    assert (np.diff(many.scores) <= 0).all()


@pytest.fixture
def one_vest() -> tuple[HeadMaps, int]:
    """A vest whose box is 6 to 10 cells in x and 4 to 12 in y, its landmarks all in the middle; and a free channel."""
    maps, vest = empty_maps(), DEEPFASHION2.categories[4]
    maps.center_heatmap[0, vest.index, 8, 8] = 5.0
    maps.size[0, :, 8, 8] = torch.tensor([4.0, 8.0])
    return maps, vest.start


def first_landmark(maps: HeadMaps) -> tuple[list[float], float]:
    found = decode(
        maps, layout=SEPARATE, affines=[np.eye(2, 3)], sizes=[(64, 64)], max_detections=1, landmark_threshold=0.1
    )[0]
    return (found.landmarks[0, 0] / STRIDE).tolist(), float(found.landmark_scores[0, 0])


def test_a_landmark_moves_to_the_nearest_peak_and_not_to_the_strongest(one_vest: tuple[HeadMaps, int]) -> None:
    maps, channel = one_vest
    maps.landmark_heatmap[0, channel, 7, 8], maps.landmark_heatmap[0, channel, 10, 8] = 1.0, 4.0

    position, score = first_landmark(maps)

    assert position == [8, 7]
    assert score == pytest.approx(torch.tensor(1.0).sigmoid().item())


@pytest.mark.parametrize(
    ("row", "column", "logit"),
    [(8, 11, 4.0), (11, 8, 4.0), (9, 8, -3.0)],
    ids=["outside the box", "further than 0.3 of its longer side", "below the threshold"],
)
def test_a_landmark_does_not_move_to_a_peak(
    one_vest: tuple[HeadMaps, int], row: int, column: int, logit: float
) -> None:
    maps, channel = one_vest
    maps.landmark_heatmap[0, channel, row, column] = logit

    assert first_landmark(maps) == ([8, 8], 0)


def test_a_nearest_peak_outside_the_box_hides_a_good_one_as_published(one_vest: tuple[HeadMaps, int]) -> None:
    maps, channel = one_vest
    maps.landmark_vectors[0, 2 * channel, 8, 8] = 2.0
    maps.landmark_heatmap[0, channel, 8, 11], maps.landmark_heatmap[0, channel, 8, 8] = 1.0, 4.0

    assert first_landmark(maps) == ([10, 8], 0)


def test_a_negative_size_gives_an_empty_box(one_vest: tuple[HeadMaps, int]) -> None:
    maps, _ = one_vest
    maps.size.neg_()

    found = decoded(maps, most=1)[0]

    assert geometry.box_areas(found.boxes).tolist() == [0]


def test_boxes_are_clipped_to_the_picture_and_landmarks_are_not(one_vest: tuple[HeadMaps, int]) -> None:
    maps, channel = one_vest
    maps.size.fill_(100)
    maps.landmark_vectors[0, 2 * channel : 2 * channel + 2, 8, 8] = torch.tensor([-30.0, 30.0])

    found = decode(
        maps, layout=SEPARATE, affines=[np.eye(2, 3)], sizes=[(50, 60)], max_detections=1, landmark_threshold=0.1
    )[0]

    assert found.boxes.tolist() == [[0, 0, 60, 50]]
    assert found.landmarks[0, 0].tolist() == [-88, 152]


def test_rows_past_the_own_landmarks_are_zero() -> None:
    (found,) = decoded(noise_maps(7))

    for category, landmarks, scores in zip(found.categories, found.landmarks, found.landmark_scores, strict=True):
        own = DEEPFASHION2.categories[category].landmarks
        assert not landmarks[own:].any()
        assert not scores[own:].any()


@pytest.mark.gpu
@pytest.mark.skipif(not torch.cuda.is_available(), reason="no CUDA device")
def test_a_gpu_finds_what_a_cpu_finds() -> None:
    maps = noise_maps(8, pictures=2)
    there = HeadMaps(**{name: getattr(maps, name).cuda() for name in HeadMaps.__slots__})

    for a, b in zip(decoded(maps), decoded(there), strict=True):
        np.testing.assert_array_equal(a.categories, b.categories)
        np.testing.assert_allclose(a.landmarks, b.landmarks, rtol=1e-5)
        np.testing.assert_allclose(a.scores, b.scores, rtol=1e-6)
