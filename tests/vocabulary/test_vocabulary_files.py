"""vocabulary.yaml and its JSON: what is written is read back equal, and whatever is wrong is named with its place."""

import copy
import random
import re
from pathlib import Path
from typing import Any

import pytest
from vocabularies import CONTENT, MANY, SMALL

from deepmark.errors import DeepmarkError
from deepmark.vocabulary import (
    DEEPFASHION2,
    restored_vocabulary,
    stored_vocabulary,
    vocabulary_from_json,
    vocabulary_json,
)
from deepmark.vocabulary.plain_form import checked_vocabulary, plain_form
from deepmark.vocabulary.vocabulary_file import read_vocabulary, vocabulary_yaml

ALL = pytest.mark.parametrize("vocabulary", [SMALL, MANY, DEEPFASHION2], ids=lambda one: one.name)


def written(folder: Path, text: str) -> Path:
    path = folder / "vocabulary.yaml"
    path.write_text(text, "utf-8")
    return path


def changed(*keys: str | int, to: Any) -> dict[str, Any]:
    """The small vocabulary's content with another value at a place; `...` takes it out."""
    content = copy.deepcopy(CONTENT)
    parent: Any = content
    for key in keys[:-1]:
        parent = parent[key]
    if to is ...:
        del parent[keys[-1]]
    else:
        parent[keys[-1]] = to
    return content


@ALL
def test_json_brings_an_equal_vocabulary_back_with_its_drawings(vocabulary):
    back = vocabulary_from_json(vocabulary_json(vocabulary), "a file")

    assert back == vocabulary
    assert back.name == vocabulary.name
    assert [one.drawing for one in back.categories] == [one.drawing for one in vocabulary.categories]
    assert vocabulary_json(back) == vocabulary_json(vocabulary)


@ALL
@pytest.mark.slow
def test_yaml_brings_an_equal_vocabulary_back_with_its_drawings(vocabulary, tmp_path):
    back = read_vocabulary(written(tmp_path, vocabulary_yaml(vocabulary, "Made by a test.")))

    assert back == vocabulary
    assert back.name == vocabulary.name
    assert [one.drawing for one in back.categories] == [one.drawing for one in vocabulary.categories]


def test_only_another_vocabulary_than_the_built_in_one_is_stored():
    assert stored_vocabulary(DEEPFASHION2) is None
    assert stored_vocabulary(vocabulary_from_json(vocabulary_json(DEEPFASHION2), "a copy")) is None
    assert restored_vocabulary(None, "a file") is DEEPFASHION2
    assert restored_vocabulary(stored_vocabulary(SMALL), "a file") == SMALL


def test_the_values_that_follow_from_the_categories():
    assert (len(SMALL.categories), SMALL.landmarks, SMALL.most_landmarks) == (3, 10, 6)
    assert SMALL.mirror == (1, 0, 3, 2, 4, 5, 6, 7, 8, 9)
    assert [one.span for one in SMALL.categories] == [slice(0, 4), slice(4, 10), slice(10, 10)]
    assert SMALL.categories[2].parts == ()
    assert len(SMALL.categories[2].shape.points) == 8


WRONG: list[tuple[tuple[Any, ...], Any, str]] = [
    (("nam",), "x", "nam: this is not a key here. Did you mean 'name'?"),
    (("name",), ..., "'name' is missing"),
    (("name",), "", "name: a name has 1 to 60"),
    (("name",), " x", "no space at its ends"),
    (("name",), 7, "name: expected a text, found 7. Put it in quotes."),
    (("categories",), {}, "categories: expected a list of at least 1"),
    (("categories",), [], "categories: expected a list of at least 1"),
    (("categories",), CONTENT["categories"][2:], "no category has landmarks"),
    (("categories", 1), "shoe", "categories: 2: expected the keys name, landmarks"),
    (("categories", 1, "name"), "BAG", "categories: 2: name: 'BAG' is the name of category 1 already"),
    (("categories", 1, "name"), "a/b", "'a/b' has a '/', which names of files and columns cannot have. Call it 'a b'."),
    (
        ("categories", 1, "name"),
        "b\nag\x07",
        "printable characters and no space at its ends, found 'b\\nag\\x07'. Call",
    ),
    (("categories", 1, "name"), "..", "'..' begins with a dot, as hidden files do, and folders above. Give it another"),
    (("categories", 1, "name"), "../bag", "'../bag' has a '/', which names of files and columns cannot have. Call it"),
    (("categories", 1, "name"), "all", "'all' stands for all categories together in tables. Call it 'all garment'."),
    (("categories", 1, "name"), "Background", "stands for what is no garment in tables. Call it 'Background garment'."),
    (("categories", 1, "name"), "missed", "stands for garments that were not detected in tables. Call it 'missed garm"),
    (
        ("categories", 0, "landmarks", 1, "name"),
        ".x",
        "'.x' begins with a dot, as hidden files do, and folders above. C",
    ),
    (("categories", 1, "colour"), "red", "categories: 2: colour: this is not a key here"),
    (("categories", 0, "landmarks", 1, "name"), "left handle", "is the name of landmark 1 already"),
    (("categories", 0, "landmarks", 1, "sigma"), 0, "landmarks: 2: sigma: expected a number above 0, found 0."),
    (("categories", 0, "landmarks", 1, "sigma"), float("nan"), "sigma: expected a finite number, found nan"),
    (("categories", 0, "landmarks", 1, "sigma"), 10**400, "sigma: expected a finite number, found 1"),
    (("categories", 0, "landmarks", 1, "sigma"), 10**5000, "sigma: expected a finite number"),
    (("categories", 0, "landmarks", 1, "sigma"), True, "sigma: expected a finite number, found True"),
    (("categories", 0, "landmarks", 1, "sigma"), ..., "landmarks: 2: 'sigma' is missing"),
    (("categories", 0, "landmarks", 1, "mirror"), "left hande", "Did you mean 'left handle'?"),
    (("categories", 0, "landmarks", 1, "mirror"), "left bottom", "'right handle' mirrors 'left bottom'"),
    (("categories", 0, "landmarks", 1, "mirror"), ..., "'left handle' mirrors 'right handle', but"),
    (("categories", 0, "landmarks", 1, "at"), ..., "'right handle' has no `at`"),
    (("categories", 0, "landmarks", 1, "at"), [0.5], "at: expected [x, y] in the unit square, found a list of 1"),
    (("categories", 0, "landmarks", 1, "at"), [0.5, 1.2], "from 0 to 1, found [0.5, 1.2]"),
    (("categories", 0, "outline"), ..., "a drawing needs an `outline`"),
    (("categories", 0, "outline"), ["left handle", "right handle"], "expected a list of at least 3"),
    (("categories", 0, "outline", 1), "lid", "outline: 2: 'lid' is no landmark here"),
    (("categories", 0, "outline", 1), 3, "outline: 2: 3 is no landmark here"),
    (("categories", 2, "outline", 1), "lid", "The category has none: give its contours points"),
    (("categories", 0, "aspect"), -1, "aspect: expected a number above 0"),
    (("categories", 0, "straps"), "x", "straps: expected a list (contours), found 'x'"),
    (("categories", 0, "straps", 0), ["left handle"], "straps: 1: expected a list of at least 2"),
]


@pytest.mark.parametrize(("place", "value", "message"), WRONG, ids=range(len(WRONG)))
def test_what_is_wrong_is_named_with_its_place(place, value, message):
    with pytest.raises(DeepmarkError) as error:
        checked_vocabulary(changed(*place, to=value), lambda _: "own.yaml")

    assert str(error.value).startswith("own.yaml: ")
    assert message in str(error.value)


def test_a_message_about_a_file_names_the_line(tmp_path):
    text = vocabulary_yaml(SMALL)
    line = next(i for i, one in enumerate(text.splitlines(), 1) if "toe tip" in one and "sigma" in one)
    path = written(tmp_path, text.replace("{name: toe tip, sigma: 0.03", "{name: toe tip, sigma: -0.03"))

    with pytest.raises(
        DeepmarkError, match=rf"^{re.escape(str(path))}, line {line}: categories: 2: landmarks: 4: sigma"
    ):
        read_vocabulary(path)


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("name: [", "not YAML"),
        ("name: x\nname: y\n", "line 2: not YAML"),
        ("", "expected the keys name, categories, found nothing"),
        ("- 1\n", "found a list of 1"),
        ("&a [*a]", "found a list of 1"),
        ("[" * 5000, "nested too deeply"),
        ("name: x\n<<<<<<< HEAD\n", "two versions are in conflict"),
        ("name: x\ncategories: 1" + "0" * 5000, "cannot be read as YAML"),
    ],
)
def test_a_file_that_is_no_vocabulary_is_refused(text, message, tmp_path):
    with pytest.raises(DeepmarkError, match=re.escape(message)):
        read_vocabulary(written(tmp_path, text))


def test_a_file_that_is_missing_is_named(tmp_path):
    with pytest.raises(DeepmarkError, match=r"vocabulary\.yaml: no such file"):
        read_vocabulary(tmp_path / "vocabulary.yaml")


@pytest.mark.parametrize("text", ["", "{", '{"name": "a", "name": "b"}', "[" * 9000, '{"name": 1' + "0" * 5000 + "}"])
def test_json_that_is_no_vocabulary_is_refused(text):
    with pytest.raises(DeepmarkError, match=r"^weights\.pt: its vocabulary cannot be read as JSON"):
        vocabulary_from_json(text, "weights.pt")


def places(value: Any, way: tuple[Any, ...] = ()) -> list[tuple[Any, ...]]:
    entries = value.items() if isinstance(value, dict) else enumerate(value) if isinstance(value, list) else ()
    return [way] * bool(way) + [place for key, one in entries for place in places(one, (*way, key))]


def test_mutated_vocabularies_are_read_right_or_refused_with_a_message():
    rng, every = random.Random(0), places(CONTENT)
    values = [..., None, "", "bag", "toe tip", "left handle", 0, -1, 0.5, float("inf"), [], {}, [0.5, 0.5], [[1, 1]]]
    messages, read = [], 0
    for _ in range(1000):
        content = changed(*rng.choice(every), to=rng.choice(values))
        try:
            vocabulary = checked_vocabulary(content, lambda _: "mutated")
        except DeepmarkError as error:
            messages.append(str(error))
        else:
            read += 1
            assert checked_vocabulary(plain_form(vocabulary), lambda _: "again") == vocabulary
            assert [vocabulary.mirror[i] for i in vocabulary.mirror] == list(range(vocabulary.landmarks))
    assert 50 < read < 950
    assert len(messages) + read == 1000
    assert all(message.startswith("mutated: ") and message[-1] in ".?" for message in messages)


def test_the_text_for_people_has_no_anchors():
    for vocabulary in (SMALL, MANY, DEEPFASHION2):
        text = vocabulary_yaml(vocabulary)

        assert "&id" not in text
        assert "*id" not in text
