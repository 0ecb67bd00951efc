"""The table of measurements: what it may hold, and what is told of one that holds something else."""

import pytest
from vocabularies import SMALL

from deepmark.errors import DeepmarkError
from deepmark.measure.table import read_table
from deepmark.vocabulary import DEEPFASHION2


def written(tmp_path, text):
    file = tmp_path / "table.yaml"
    file.write_text(text, "utf-8")
    return file


def test_every_category_has_measurements_and_those_of_its_sides_are_mirror_images():
    table = read_table(None, DEEPFASHION2)

    for category in DEEPFASHION2.categories:
        paths = {one.name: one.landmarks for one in table[category.name]}
        assert len(paths) >= 4
        for name, path in paths.items():
            if name.startswith("left "):
                mirrored = tuple(category.mirror[landmark] for landmark in path)
                assert paths[f"right {name.removeprefix('left ')}"] in (mirrored, mirrored[::-1])


def test_landmarks_are_named_or_numbered_from_one_and_a_key_names_several_categories(tmp_path):
    table = read_table(written(tmp_path, "vest, sling:\n  width: {straight: [left armpit, 14]}\n"), DEEPFASHION2)

    for name in ("vest", "sling"):
        parts = DEEPFASHION2.by_name[name].parts
        (one,) = table[name]
        assert one.name == "width"
        assert [parts[landmark] for landmark in one.landmarks] == ["left armpit", "right armpit"]
    assert table["skirt"] == ()


def test_deepmarks_own_table_is_of_deepfashion2_and_says_so_and_another_may_be_given(tmp_path):
    with pytest.raises(DeepmarkError, match="DeepFashion2's garments, and this model is of the vocabulary accessories"):
        read_table(None, SMALL)
    table = read_table(written(tmp_path, "bag:\n  width: {straight: [left bottom, right bottom]}\n"), SMALL)

    assert [one.landmarks for one in table["bag"]] == [(3, 2)]
    assert table["hat"] == ()


@pytest.mark.parametrize(
    ("text", "line", "told"),
    [
        ("skirt:\n  length: {straight: [1, 6]\nvest: 1\n", 3, "not YAML"),
        ("- vest\n", 1, "expected categories with their measurements, found ['vest']"),
        ("", 1, "expected categories with their measurements, found None"),
        ("skirt:\n  length: {straight: [1, 6]}\n\nvests:\n", 4, "'vests' is not a category. Did you mean 'vest'?"),
        ("vest:\n", 1, "expected measurements, such as"),
        ("vest:\n  width: 7\n", 2, "'width': expected {straight: [A, B]} or {along: [A, B, C]}, found 7"),
        ("vest:\n  width: {round: [1, 2]}\n", 2, "or {along: [A, B, C]}, found 'round'"),
        ("vest:\n  width: {straight: [1, 2], along: [1, 2, 3]}\n", 2, "found 'straight', 'along'"),
        ("vest:\n  width: {straight: [1, 2, 3]}\n", 2, "straight takes a list of two landmarks, found [1, 2, 3]"),
        ("vest:\n  width:\n    along: [1, 2]\n", 3, "along takes a list of three landmarks or more"),
        ("vest:\n  width: {straight: left armpit}\n", 2, "straight takes a list of two landmarks"),
        (
            "vest:\n  width:\n    straight:\n    - left armpit\n    - right armpitt\n",
            5,
            "'right armpitt' is not a landmark of vest (1 to 15). Did you mean 'right armpit'?",
        ),
        (
            "vest:\n  width: {straight: [1, 16]}\n",
            2,
            "16 is not a landmark of vest (1 to 15). Its landmarks are: 1",
        ),
        ("vest:\n  width: {straight: [0, 1]}\n", 2, "0 is not a landmark of vest"),
        ("vest:\n  width: {straight: [true, 2]}\n", 2, "True is not a landmark of vest"),
        ("vest:\n  width: {straight: [left armpit, 8]}\n", 2, "the same landmark twice in a row"),
        (
            "vest:\n  width: {straight: [1, 2]}\nsling, vest:\n  width: {straight: [1, 2]}\n",
            4,
            "'width' of vest stands above already",
        ),
    ],
)
def test_a_bad_table_is_told_with_its_line(tmp_path, text, line, told):
    file = written(tmp_path, text)

    with pytest.raises(DeepmarkError) as error:
        read_table(file, DEEPFASHION2)

    assert str(error.value).startswith(f"{file}, line {line}: ")
    assert told in str(error.value)


def test_a_file_that_is_no_text_is_told(tmp_path):
    file = tmp_path / "table.yaml"
    file.write_bytes(b"\xff\xfe\x00")

    with pytest.raises(DeepmarkError, match=r"table\.yaml: not YAML"):
        read_table(file, DEEPFASHION2)
