"""Peaks and the heatmaps drawn from them, against CenterNet's definition in numpy."""

import pickle

import numpy as np
import pytest
import torch
from head_maps import draw_heatmap

from deepmark.model.heads import STRIDE
from deepmark.train.gaussians import Peaks, gaussian_radius
from deepmark.train.targets import collate, make_targets
from deepmark.types import Sample
from deepmark.vocabulary import DEEPFASHION2

HEIGHT, WIDTH = 128, 96


def published_radius(height: float, width: float, overlap: float = 0.7) -> int:
    """The smallest of the three solutions, each divided as in the published code."""
    solutions = []
    for a, b, c in (
        (1, height + width, width * height * (1 - overlap) / (1 + overlap)),
        (4, 2 * (height + width), (1 - overlap) * width * height),
        (4 * overlap, -2 * overlap * (height + width), (overlap - 1) * width * height),
    ):
        solutions.append((b + np.sqrt(b**2 - 4 * a * c)) / 2)
    return max(0, int(min(solutions)))


def published_heatmap(peaks: Peaks, shape: tuple[int, int, int, int]) -> np.ndarray:
    """One Gaussian after the other, each inside a window of its radius."""
    heatmap = np.zeros(shape, np.float32)
    columns = (peaks.image, peaks.channel, peaks.x, peaks.y, peaks.radius)
    for image, channel, x, y, radius in zip(*(column.tolist() for column in columns), strict=True):
        sigma = (2 * radius + 1) / 6
        rows, cells = np.ogrid[-radius : radius + 1, -radius : radius + 1]
        gaussian = np.exp(-(cells * cells + rows * rows) / (2 * sigma * sigma))
        gaussian[gaussian < np.finfo(gaussian.dtype).eps * gaussian.max()] = 0
        top, left = max(0, y - radius), max(0, x - radius)
        part = heatmap[image, channel, top : y + radius + 1, left : x + radius + 1]
        window = gaussian[top - y + radius :, left - x + radius :][: part.shape[0], : part.shape[1]]
        np.maximum(part, window, out=part, casting="same_kind")
    return heatmap


def make_sample(*categories: int, seed: int = 0, labelled: bool = True) -> Sample:
    """An image of noise with garments at random places and landmarks at random places inside them."""
    rng = np.random.default_rng(seed)
    corners = rng.uniform(0, 1, (len(categories), 2, 2)) * [WIDTH, HEIGHT]
    boxes = np.concatenate([corners.min(axis=1), corners.max(axis=1)], axis=1)
    landmarks = np.zeros((len(categories), 39, 3), np.float32)
    for box, points, category in zip(boxes, landmarks, categories, strict=True):
        number = DEEPFASHION2.categories[category].landmarks
        points[:number, :2] = rng.uniform(box[:2], box[2:], (number, 2))
        points[:number, 2] = rng.integers(0, 3, number) * labelled
    landmarks[landmarks[..., 2] == 0] = 0
    return Sample(
        image=rng.integers(0, 256, (HEIGHT, WIDTH, 3), dtype=np.uint8),
        boxes=boxes.astype(np.float32),
        categories=np.array(categories, np.int64),
        landmarks=landmarks,
        affine=np.eye(2, 3),
    )


def one_garment(box: list[float], *points: tuple[float, float, int], category: int = 0) -> Sample:
    landmarks = np.zeros((1, 39, 3), np.float32)
    landmarks[0, : len(points)] = np.reshape(points, (-1, 3))
    return Sample(
        image=np.zeros((HEIGHT, WIDTH, 3), np.uint8),
        boxes=np.array([box], np.float32),
        categories=np.array([category]),
        landmarks=landmarks,
        affine=np.eye(2, 3),
    )


def test_garments_of_all_pictures_are_in_one_list():
    batch = collate([make_sample(0, 5), make_sample(), make_sample(12, seed=1)])

    assert batch.images.shape == (3, HEIGHT, WIDTH, 3)
    assert batch.categories.tolist() == [0, 5, 12]
    assert batch.image_index.tolist() == [0, 0, 2]


def test_the_images_of_a_batch_move_and_its_garments_stay_on_the_host():
    batch = collate([make_sample(0, 5), make_sample(3)]).to("meta")

    devices = {name: getattr(batch, name).device.type for name in batch.__slots__}
    assert devices == dict.fromkeys(batch.__slots__, "cpu") | {"images": "meta"}


def test_a_sample_carries_at_most_10_kb_of_targets():
    sample = make_sample(*range(13))
    arrays = {
        "boxes": sample.boxes,
        "categories": sample.categories,
        "landmarks": sample.landmarks,
        "affine": sample.affine,
    }

    assert len(pickle.dumps(arrays)) < 10_000


def test_a_peak_is_the_cell_of_its_point_and_the_rest_is_its_offset():
    targets = make_targets(
        collate([one_garment([10, 20, 31, 60], (17.0, 30.0, 2), (11.0, 22.0, 1), category=2)]), DEEPFASHION2
    )

    centers, landmarks = targets.centers, targets.landmarks
    assert (centers.x.item(), centers.y.item(), centers.channel.item()) == (5, 10, 2)
    assert centers.offset.tolist() == [[20.5 / STRIDE - 5, 0.0]]
    assert targets.sizes.tolist() == [[21 / STRIDE, 40 / STRIDE]]
    assert landmarks.x.tolist() == [4, 2]
    assert landmarks.y.tolist() == [7, 5]
    assert landmarks.offset.tolist() == [[0.25, 0.5], [0.75, 0.5]]
    assert landmarks.channel.tolist() == [DEEPFASHION2.categories[2].start, DEEPFASHION2.categories[2].start + 1]
    assert targets.landmark_garment.tolist() == [0, 0]
    assert targets.landmark_vectors.tolist() == [[-3.5 / STRIDE, -10 / STRIDE], [-9.5 / STRIDE, -18 / STRIDE]]


def test_only_labelled_landmarks_inside_the_picture_count():
    points = [(5.0, 5.0, 0), (-0.1, 5.0, 2), (5.0, HEIGHT + 0.0, 2), (WIDTH + 0.0, 5.0, 1), (0.0, 0.0, 1)]

    landmarks = make_targets(collate([one_garment([0, 0, 50, 50], *points)]), DEEPFASHION2).landmarks

    assert landmarks.channel.tolist() == [4]


def test_a_garment_without_landmarks_still_has_its_centre():
    targets = make_targets(collate([make_sample(4, labelled=False)]), DEEPFASHION2)

    assert targets.counts.tolist() == [1, 0]
    assert targets.landmark_vectors.shape == (0, 2)


def test_a_batch_without_garments_has_no_targets():
    targets = make_targets(collate([make_sample(), make_sample()]), DEEPFASHION2)

    assert targets.maps == (2, HEIGHT // STRIDE, WIDTH // STRIDE)
    assert targets.counts.tolist() == [0, 0]
    assert not draw_heatmap(targets.landmarks, shape=(2, DEEPFASHION2.landmarks, 32, 24)).any()


def test_the_middle_of_an_empty_box_on_the_far_border_stays_on_the_map():
    centers = make_targets(collate([one_garment([WIDTH, HEIGHT, WIDTH, HEIGHT])]), DEEPFASHION2).centers

    assert (centers.x.item(), centers.y.item()) == (WIDTH // STRIDE - 1, HEIGHT // STRIDE - 1)


def test_landmarks_have_the_radius_of_their_box():
    targets = make_targets(collate([make_sample(0, 7, seed=3)]), DEEPFASHION2)

    assert targets.landmarks.radius.tolist() == targets.centers.radius[targets.landmark_garment].tolist()


def test_a_precisely_placed_landmark_has_a_smaller_radius_than_a_vague_one_of_the_same_garment():
    """The neck of a top (sigma 0.012) and its side (sigma 0.0574)."""
    points = [(20.0, 20.0, 2)] * 14
    sample = one_garment([0, 0, 90, 120], *points)

    radius = make_targets(collate([sample]), DEEPFASHION2, landmark_radius="sigma").landmarks.radius

    assert radius[0] < radius[13]
    order = np.argsort(DEEPFASHION2.sigmas[:14])
    assert (np.diff(radius.numpy()[order]) >= 0).all()


def test_the_radius_of_a_landmark_grows_with_its_garment():
    boxes = [[0, 0, 24, 24], [0, 0, 48, 96], [0, 0, 96, 128]]
    samples = [one_garment(box, (5.0, 5.0, 2), category=8) for box in boxes]

    radius = make_targets(collate(samples), DEEPFASHION2, landmark_radius="sigma").landmarks.radius.tolist()

    assert radius == sorted(set(radius))


def test_the_radius_of_a_landmark_equals_the_formula_by_hand():
    """A skirt of 20 x 24 cells; its landmarks' sigmas are written out."""
    skirt = one_garment([4, 8, 84, 104], *[(30.0, 30.0, 2)] * 8, category=8)
    sigmas = [0.0253, 0.0195, 0.0253, 0.0513, 0.0543, 0.0415, 0.0543, 0.0513]

    radius = make_targets(collate([skirt]), DEEPFASHION2, landmark_radius="sigma").landmarks.radius.tolist()

    assert radius == [int(6 * sigma * np.sqrt(20 * 24)) for sigma in sigmas]
    for found, sigma in zip(radius, sigmas, strict=True):
        oks, further = (np.exp(-(d**2) / (2 * 20 * 24 * (2 * sigma) ** 2)) for d in (found, found + 1))
        assert further < np.exp(-4.5) <= oks


def test_heat_around_a_landmark_is_the_similarity_that_it_would_earn_there():
    """But for whole cells: the radius is cut to one, which moves the Gaussian's deviation by half a cell in three."""
    dress = one_garment([0, 0, 96, 128], (50.0, 60.0, 2), category=11)
    targets = make_targets(collate([dress]), DEEPFASHION2, landmark_radius="sigma")
    deviation = 2 * DEEPFASHION2.sigmas[DEEPFASHION2.categories[11].start] * np.sqrt(24 * 32)

    drawn = (2 * targets.landmarks.radius.item() + 1) / 6

    assert drawn == pytest.approx(deviation, abs=1 / 6)


def test_the_smallest_garment_s_landmarks_still_have_neighbours_that_are_nearly_right():
    tiny = one_garment([0, 0, 0, 0], (0.0, 0.0, 2), category=2)

    assert make_targets(collate([tiny]), DEEPFASHION2, landmark_radius="sigma").landmarks.radius.tolist() == [1]


def test_only_the_radius_of_landmarks_depends_on_how_precisely_people_place_them():
    batch = collate([make_sample(0, 7, seed=3), make_sample(2, 12, seed=4)])
    box, default, sigma = (
        make_targets(batch, DEEPFASHION2, landmark_radius="box"),
        make_targets(batch, DEEPFASHION2),
        make_targets(batch, DEEPFASHION2, landmark_radius="sigma"),
    )

    assert default.landmarks.radius.tolist() == box.landmarks.radius.tolist() != sigma.landmarks.radius.tolist()
    assert torch.equal(sigma.centers.radius, box.centers.radius)
    assert torch.equal(sigma.landmarks.offset, box.landmarks.offset)
    assert torch.equal(sigma.landmark_vectors, box.landmark_vectors)


def test_the_radius_is_the_published_one_for_every_size():
    sizes = np.stack(np.meshgrid(np.arange(0, 129), np.arange(0, 129)), axis=-1).reshape(-1, 2)

    radii = gaussian_radius(torch.from_numpy(sizes).float())

    assert radii.tolist() == [published_radius(height, width) for width, height in sizes]


def test_the_radius_is_that_of_the_size_rounded_up():
    assert gaussian_radius(torch.tensor([[9.1, 30.0]])).item() == published_radius(30, 10)


@pytest.mark.parametrize("seed", range(5))
def test_heatmaps_equal_the_published_definition(seed):
    rng = np.random.default_rng(seed)
    samples = [make_sample(*rng.integers(0, 13, rng.integers(0, 6)), seed=seed + i) for i in range(4)]
    targets = make_targets(collate(samples), DEEPFASHION2)

    for peaks, channels in (
        (targets.centers, len(DEEPFASHION2.categories)),
        (targets.landmarks, DEEPFASHION2.landmarks),
    ):
        shape = (4, channels, *targets.maps[1:])
        np.testing.assert_array_equal(draw_heatmap(peaks, shape=shape).numpy(), published_heatmap(peaks, shape))


def test_where_gaussians_overlap_the_greatest_counts():
    peaks = Peaks(
        image=torch.tensor([0, 0]),
        channel=torch.tensor([0, 0]),
        x=torch.tensor([2, 4]),
        y=torch.tensor([3, 3]),
        offset=torch.zeros(2, 2),
        radius=torch.tensor([2, 3]),
    )

    row = draw_heatmap(peaks, shape=(1, 1, 8, 8))[0, 0, 3]

    assert row[2] == row[4] == 1
    assert row[3] == pytest.approx(np.exp(-1 / (2 * (7 / 6) ** 2)))
    assert row[0] == pytest.approx(np.exp(-4 / (2 * (5 / 6) ** 2)))


def test_a_mirrored_picture_has_mirrored_targets():
    sample = make_sample(1, 8, seed=4)
    mirrored = Sample(
        image=sample.image[:, ::-1],
        boxes=np.stack(
            [WIDTH - sample.boxes[:, 2], sample.boxes[:, 1], WIDTH - sample.boxes[:, 0], sample.boxes[:, 3]], 1
        ),
        categories=sample.categories,
        landmarks=sample.landmarks * np.float32([-1, 1, 1])
        + np.float32([WIDTH, 0, 0]) * (sample.landmarks[..., 2:] > 0),
        affine=sample.affine,
    )

    there, here = (make_targets(collate([one]), DEEPFASHION2) for one in (mirrored, sample))

    assert there.centers.x.tolist() == (WIDTH // STRIDE - 1 - here.centers.x).tolist()
    torch.testing.assert_close(there.landmark_vectors.float(), here.landmark_vectors * torch.tensor([-1.0, 1.0]))
    torch.testing.assert_close(there.sizes, here.sizes)
