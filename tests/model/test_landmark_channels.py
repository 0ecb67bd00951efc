"""Every landmark has a channel, and landmarks that share a channel are the same part of a garment."""

from itertools import combinations

import numpy as np
import pytest
from layouts import GROUPED, LAYOUTS, SEPARATE
from vocabularies import MANY, SMALL

from deepmark.model.landmark_channels import LandmarkLayout, landmark_layout
from deepmark.vocabulary import DEEPFASHION2

OTHERS = {
    f"{vocabulary.name}, {kind}": landmark_layout(vocabulary, kind)
    for vocabulary in (SMALL, MANY)
    for kind in ("separate", "grouped")
}
ALL = LAYOUTS | OTHERS
each_layout = pytest.mark.parametrize("layout", ALL.values(), ids=ALL)


def channel(category: str, number: int) -> int:
    """The group of a landmark by its number in the data set's figure, from 1."""
    return GROUPED.channel_of[DEEPFASHION2.by_name[category].start + number - 1]


def heights(category: str) -> dict[int, float]:
    """The height of each group's landmark in the figure, from the top."""
    entry = DEEPFASHION2.by_name[category]
    return dict(zip(GROUPED.channel_of[entry.span], (y for _, y in entry.shape.points), strict=True))


def test_separate_is_the_flat_list_itself():
    assert SEPARATE.channel_of == tuple(range(DEEPFASHION2.landmarks))
    assert SEPARATE.mirror == DEEPFASHION2.mirror


def test_grouped_makes_80_channels_of_294():
    assert GROUPED.channels == 80


@each_layout
def test_every_landmark_has_one_channel_and_every_channel_a_landmark(layout: LandmarkLayout):
    assert len(layout.channel_of) == layout.vocabulary.landmarks
    assert set(layout.channel_of) == set(range(layout.channels))


@each_layout
def test_no_garment_has_two_landmarks_in_one_channel(layout: LandmarkLayout):
    for category in layout.vocabulary.categories:
        assert len(set(layout.channel_of[category.span])) == category.landmarks, category.name


@each_layout
def test_mirroring_a_landmark_mirrors_its_channel(layout: LandmarkLayout):
    mirror = layout.vocabulary.mirror
    assert [layout.channel_of[mirror[j]] for j in range(len(mirror))] == [layout.mirror[c] for c in layout.channel_of]
    assert [layout.mirror[c] for c in layout.mirror] == list(range(layout.channels))


@each_layout
def test_the_tables_by_category_say_what_the_flat_list_does(layout: LandmarkLayout):
    for category in layout.vocabulary.categories:
        own = layout.channel_of[category.span]
        assert layout.by_category[category.index, : category.landmarks].tolist() == list(own)
        assert set(np.flatnonzero(layout.of_category[category.index]).tolist()) == set(own)


def test_landmarks_of_one_name_share_a_channel_only_where_their_mirror_partners_do():
    grouped = OTHERS["forty garments, grouped"]
    parts, mirror = MANY.parts, MANY.mirror
    for a, b in combinations(range(0, MANY.landmarks, 7), 2):
        alike = parts[a] == parts[b] and parts[mirror[a]] == parts[mirror[b]]
        assert (grouped.channel_of[a] == grouped.channel_of[b]) == alike


def test_the_mirror_image_of_a_group_is_called_right_where_it_is_called_left():
    for name, mirrored in zip(GROUPED.names, GROUPED.mirror, strict=True):
        swapped = {"left": "right", "right": "left"}
        side, _, rest = name.partition(" ")
        assert GROUPED.names[mirrored] == f"{swapped.get(side, side)} {rest}".strip()


def test_a_group_lies_on_the_side_of_the_figure_that_its_name_says():
    for category in DEEPFASHION2.categories:
        for (x, _), group in zip(category.shape.points, GROUPED.channel_of[category.span], strict=True):
            side = "left" if x < 0.5 else "right" if x > 0.5 else "middle"
            said = GROUPED.names[group].split()[0]
            assert side == (said if said in {"left", "right"} else "middle"), (category.name, GROUPED.names[group])


def test_groups_lie_above_each_other_in_the_same_order_in_all_figures():
    """Up to a twelfth of the figure, because one neckline is deeper and one sleeve hangs lower than another."""
    for one, other in combinations(DEEPFASHION2.by_name, 2):
        here, there = heights(one), heights(other)
        for a, b in combinations(sorted(here.keys() & there.keys()), 2):
            apart = here[a] - here[b], there[a] - there[b]
            turned_over = min(abs(each) for each in apart) > 1 / 12 and apart[0] * apart[1] < 0
            assert not turned_over, (one, other, GROUPED.names[a], GROUPED.names[b])


@pytest.mark.parametrize(
    ("name", "landmarks"),
    [
        ("neck back", {"short sleeve top": 1, "long sleeve outwear": 1, "vest": 1, "long sleeve dress": 1}),
        ("left shoulder", {"short sleeve top": 7, "long sleeve outwear": 7, "short sleeve dress": 7}),
        ("left cuff outer", {"long sleeve top": 11, "long sleeve outwear": 11, "long sleeve dress": 11}),
        ("right cuff inner", {"long sleeve top": 28, "long sleeve outwear": 28, "long sleeve dress": 32}),
        ("right short cuff outer", {"short sleeve top": 23, "short sleeve outwear": 23, "short sleeve dress": 27}),
        ("left armpit", {"short sleeve top": 12, "long sleeve top": 16, "vest": 8, "sling dress": 8, "vest dress": 8}),
        ("left strap top", {"sling": 7, "sling dress": 7}),
        ("left front upper", {"short sleeve outwear": 30, "long sleeve outwear": 38}),
        ("right front hem", {"short sleeve outwear": 29, "long sleeve outwear": 37}),
        ("hem middle", {"short sleeve top": 16, "long sleeve top": 20, "vest": 11, "sling": 11}),
        ("skirt hem middle", {"skirt": 6, "short sleeve dress": 18, "long sleeve dress": 22, "sling dress": 13}),
        ("right waistband", {"shorts": 3, "trousers": 3, "skirt": 3}),
        ("crotch", {"shorts": 7, "trousers": 9}),
        ("left ankle inner", {"trousers": 7}),
    ],
)
def test_landmarks_that_are_the_same_part_share_a_channel(name: str, landmarks: dict[str, int]):
    assert {GROUPED.names[channel(*each)] for each in landmarks.items()} == {name}


def test_what_lies_elsewhere_on_the_body_has_another_channel():
    assert channel("short sleeve top", 10) != channel("long sleeve top", 12), "the ends of short and of long sleeves"
    assert channel("long sleeve top", 20) != channel("long sleeve dress", 22), "the hems of tops and of dresses"
    assert channel("shorts", 6) != channel("trousers", 7), "the ends of shorts and of trousers"
