from dataclasses import fields

import pytest
import torch
import torch.nn.functional as F
from layouts import GROUPED, HEAD_CHANNELS, LAYOUTS, SEPARATE

from deepmark.model.heads import CellIndex, HeadMaps, Heads, head_channels
from deepmark.model.landmark_channels import LandmarkLayout
from deepmark.vocabulary import DEEPFASHION2

each_layout = pytest.mark.parametrize("layout", LAYOUTS.values(), ids=LAYOUTS)


def random_maps(layout: LandmarkLayout = SEPARATE, *, seed: int = 0, size: tuple[int, int] = (4, 5)) -> HeadMaps:
    generator = torch.Generator().manual_seed(seed)
    sizes = head_channels(layout)
    return HeadMaps(**{name: torch.rand(2, c, *size, generator=generator) for name, c in sizes.items()})


def random_cells(number: int, size: tuple[int, int]) -> CellIndex:
    generator = torch.Generator().manual_seed(number)
    image, y, x = (torch.randint(limit, (number,), generator=generator) for limit in (2, *size))
    return CellIndex(image=image, x=x, y=y)


def test_there_are_901_channels_in_the_order_of_the_fields():
    assert sum(HEAD_CHANNELS.values()) == 901
    assert [field.name for field in fields(HeadMaps)] == list(HEAD_CHANNELS)


def test_there_are_259_channels_where_landmarks_are_grouped():
    assert sum(head_channels(GROUPED).values()) == 259


@each_layout
def test_the_mirror_image_of_the_mirror_image_is_the_picture(layout):
    maps = random_maps(layout)
    twice = maps.mirror(layout).mirror(layout)

    for name in HEAD_CHANNELS:
        torch.testing.assert_close(getattr(twice, name), getattr(maps, name))


def test_a_mirrored_landmark_points_the_other_way_under_its_pair_s_name():
    maps = random_maps()
    dress = DEEPFASHION2.categories[-1]
    left = next(i for i in range(dress.span.start, dress.span.stop) if DEEPFASHION2.mirror[i] != i)

    mirrored = maps.mirror(SEPARATE)

    there, here = (1, DEEPFASHION2.mirror[left], 2, 0), (1, left, 2, 4)
    assert mirrored.landmark_heatmap[there] == maps.landmark_heatmap[here]
    assert (
        mirrored.landmark_vectors[1, 2 * DEEPFASHION2.mirror[left], 2, 0] == -maps.landmark_vectors[1, 2 * left, 2, 4]
    )
    assert (
        mirrored.landmark_vectors[1, 2 * DEEPFASHION2.mirror[left] + 1, 2, 0]
        == maps.landmark_vectors[1, 2 * left + 1, 2, 4]
    )
    assert mirrored.center_heatmap[1, 3, 2, 0] == maps.center_heatmap[1, 3, 2, 4]
    assert mirrored.center_offset[1, 0, 2, 0] == 1 - maps.center_offset[1, 0, 2, 4]


def test_grouped_maps_mirror_as_the_landmarks_they_stand_for():
    maps = random_maps(GROUPED)

    mirrored = maps.mirror(GROUPED)

    for landmark, channel in enumerate(GROUPED.channel_of):
        pair = GROUPED.channel_of[DEEPFASHION2.mirror[landmark]]
        assert torch.equal(mirrored.landmark_heatmap[:, channel], maps.landmark_heatmap[:, pair].flip(-1))
        assert torch.equal(mirrored.landmark_vectors[:, 2 * channel], -maps.landmark_vectors[:, 2 * pair].flip(-1))
        assert torch.equal(
            mirrored.landmark_vectors[:, 2 * channel + 1], maps.landmark_vectors[:, 2 * pair + 1].flip(-1)
        )


@each_layout
@pytest.mark.parametrize("number", [0, 1, 50])
def test_values_computed_at_cells_equal_those_of_the_whole_maps(number, layout):
    torch.manual_seed(0)
    heads = Heads(8, hidden=16, layout=layout)
    features = torch.randn(2, 8, 4, 5)
    centers, landmarks = random_cells(number, (4, 5)), random_cells(2 * number, (4, 5))

    few, all_ = heads.gather_at(features, centers, landmarks), heads(features).gather_at(centers, landmarks)

    for field in fields(few):
        torch.testing.assert_close(getattr(few, field.name), getattr(all_, field.name))


def test_before_training_every_cell_is_a_peak_with_probability_a_tenth():
    heads = Heads(8, hidden=16, layout=SEPARATE)
    heads.reset_outputs()

    maps = heads(torch.zeros(1, 8, 4, 4))

    for heatmap in (maps.center_heatmap, maps.landmark_heatmap):
        torch.testing.assert_close(heatmap.sigmoid(), torch.full_like(heatmap, 0.1), atol=0.01, rtol=0)
    assert maps.size.abs().max() < 0.1


def test_vectors_and_heatmaps_cover_every_landmark():
    assert HEAD_CHANNELS["landmark_heatmap"] == DEEPFASHION2.landmarks
    assert HEAD_CHANNELS["landmark_vectors"] == 2 * DEEPFASHION2.landmarks


def test_a_window_past_the_border_sees_zeros():
    heads = Heads(3, hidden=4, layout=SEPARATE)
    features = torch.randn(1, 3, 2, 2)
    corner = CellIndex(image=torch.tensor([0]), x=torch.tensor([1]), y=torch.tensor([1]))
    wide = CellIndex(image=torch.tensor([0]), x=torch.tensor([2]), y=torch.tensor([2]))

    bare, padded = heads.gather_at(features, corner, corner), heads.gather_at(F.pad(features, (1, 1, 1, 1)), wide, wide)

    torch.testing.assert_close(bare.size, padded.size)
