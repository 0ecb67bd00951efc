"""The vocabulary agrees with DeepFashion2's public definition."""

from deepmark.schema import CATEGORIES, LANDMARKS, MIRROR, MOST_LANDMARKS, SIGMAS


def test_there_are_13_categories_and_294_landmarks():
    assert len(CATEGORIES) == 13
    assert LANDMARKS == 294
    assert MOST_LANDMARKS == 39


def test_the_categories_tile_the_flat_list_without_gaps():
    covered = [j for category in CATEGORIES for j in range(LANDMARKS)[category.span]]
    assert covered == list(range(LANDMARKS))


def test_mirroring_twice_is_no_mirroring():
    assert [MIRROR[j] for j in MIRROR] == list(range(LANDMARKS))


def test_mirroring_stays_inside_a_category():
    for category in CATEGORIES:
        assert sorted(MIRROR[category.span]) == list(range(LANDMARKS))[category.span]


def test_mirror_pairs_have_equal_sigmas_but_for_the_one_official_exception():
    unequal = {tuple(sorted((j, MIRROR[j]))) for j in range(LANDMARKS) if SIGMAS[j] != SIGMAS[MIRROR[j]]}
    dress = CATEGORIES[10]
    assert dress.name == "long sleeve dress"
    assert unequal == {(dress.start + 14, dress.start + 28)}


def test_short_sleeve_outwear_pairs_its_collar_as_the_data_do_not_as_the_figure_prints():
    outwear = CATEGORIES[2]
    assert outwear.name == "short sleeve outwear"
    assert [outwear.mirror[i - 1] + 1 for i in (2, 4)] == [6, 26]


def test_mirror_pairs_lie_left_and_right_in_the_figure():
    for category in CATEGORIES:
        points = category.shape.points
        for i, j in enumerate(category.mirror):
            assert abs(points[i][0] + points[j][0] - 1) < 1e-3
            assert abs(points[i][1] - points[j][1]) < 1e-3
