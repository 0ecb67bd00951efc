"""The vocabulary agrees with DeepFashion2's public definition."""

from deepmark.vocabulary import DEEPFASHION2


def test_there_are_13_categories_and_294_landmarks():
    assert len(DEEPFASHION2.categories) == 13
    assert DEEPFASHION2.landmarks == 294
    assert DEEPFASHION2.most_landmarks == 39


def test_the_categories_tile_the_flat_list_without_gaps():
    covered = [j for category in DEEPFASHION2.categories for j in range(DEEPFASHION2.landmarks)[category.span]]
    assert covered == list(range(DEEPFASHION2.landmarks))


def test_mirroring_twice_is_no_mirroring():
    assert [DEEPFASHION2.mirror[j] for j in DEEPFASHION2.mirror] == list(range(DEEPFASHION2.landmarks))


def test_mirroring_stays_inside_a_category():
    for category in DEEPFASHION2.categories:
        assert sorted(DEEPFASHION2.mirror[category.span]) == list(range(DEEPFASHION2.landmarks))[category.span]


def test_mirror_pairs_have_equal_sigmas_but_for_the_one_official_exception():
    unequal = {
        tuple(sorted((j, DEEPFASHION2.mirror[j])))
        for j in range(DEEPFASHION2.landmarks)
        if DEEPFASHION2.sigmas[j] != DEEPFASHION2.sigmas[DEEPFASHION2.mirror[j]]
    }
    dress = DEEPFASHION2.categories[10]
    assert dress.name == "long sleeve dress"
    assert unequal == {(dress.start + 14, dress.start + 28)}


def test_short_sleeve_outwear_pairs_its_collar_as_the_data_do_not_as_the_figure_prints():
    outwear = DEEPFASHION2.categories[2]
    assert outwear.name == "short sleeve outwear"
    assert [outwear.mirror[i - 1] + 1 for i in (2, 4)] == [6, 26]


def test_mirror_pairs_lie_left_and_right_in_the_figure():
    for category in DEEPFASHION2.categories:
        points = category.shape.points
        for i, j in enumerate(category.mirror):
            assert abs(points[i][0] + points[j][0] - 1) < 1e-3
            assert abs(points[i][1] - points[j][1]) < 1e-3
