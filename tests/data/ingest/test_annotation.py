import copy
import json
import random

import numpy as np
import pytest
from tiny_dataset import HEIGHT, WIDTH, annotation, item, jpeg, same

from deepmark.data.ingest.annotation import MAX_COORDINATE, parse_annotation
from deepmark.data.ingest.strict_json import InvalidInputError
from deepmark.vocabulary import DEEPFASHION2

SIZE = (HEIGHT, WIDTH)


def parse(values):
    return parse_annotation(json.dumps(values).encode(), size=SIZE, vocabulary=DEEPFASHION2)


def one_item(**changes):
    return {"source": "shop", "pair_id": 5, "item1": {**item(), **changes}}


def landmarks(**changes):
    """The landmarks of a short sleeve top, none labelled, with changes by position in the flat list."""
    values = [0] * (3 * DEEPFASHION2.categories[0].landmarks)
    for place, value in changes.items():
        values[int(place[1:])] = value
    return values


def test_every_field_reaches_the_garment():
    values = item(8, seed=3)

    parsed = parse({"pair_id": 9, "item1": values, "source": "user"})

    (garment,) = parsed.garments
    assert (parsed.source, parsed.pair_id) == ("user", 9)
    assert (garment.item, garment.category, garment.style) == ("item1", 7, values["style"])
    assert garment.box.tolist() == values["bounding_box"]
    assert garment.landmarks.ravel().tolist() == values["landmarks"]
    assert [polygon.ravel().tolist() for polygon in garment.polygons] == values["segmentation"]
    assert [garment.scale, garment.occlusion, garment.zoom_in, garment.viewpoint] == [
        values[field] for field in ("scale", "occlusion", "zoom_in", "viewpoint")
    ]
    assert not any(parsed.notes.values())


@pytest.mark.parametrize("category", DEEPFASHION2.categories, ids=lambda category: category.name)
def test_every_category_is_read_with_its_own_number_of_landmarks(category):
    (garment,) = parse({"source": "shop", "pair_id": 1, "item1": item(category.index + 1)}).garments

    assert (garment.category, garment.landmarks.shape) == (category.index, (category.landmarks, 3))


def test_items_come_in_the_order_of_their_numbers_whatever_the_order_of_the_keys():
    keys = ["item10", "source", "item2", "pair_id", "item1"]
    values = {**one_item(), "item10": item(3), "item2": item(2)}

    parsed = parse({key: values[key] for key in keys})

    assert [garment.item for garment in parsed.garments] == ["item1", "item2", "item10"]


def test_fractions_of_a_pixel_are_kept():
    (garment,) = parse(one_item(bounding_box=[0.1, 0.2, 30.3, 40.4])).garments

    assert garment.box.tolist() == [0.1, 0.2, 30.3, 40.4]


def test_a_box_past_the_border_is_clipped_and_noted():
    parsed = parse(one_item(bounding_box=[-4, 10, WIDTH + 0.5, HEIGHT + 9]))

    assert parsed.garments[0].box.tolist() == [0, 10, WIDTH, HEIGHT]
    assert parsed.notes["boxes_clipped"] == 1


def test_a_box_that_touches_the_border_is_not_clipped():
    parsed = parse(one_item(bounding_box=[0, 0, WIDTH, HEIGHT]))

    assert parsed.garments[0].box.tolist() == [0, 0, WIDTH, HEIGHT]
    assert parsed.notes["boxes_clipped"] == 0


def test_a_labelled_landmark_outside_the_image_stays_there_and_is_noted():
    parsed = parse(one_item(landmarks=landmarks(_0=-2.5, _1=7, _2=1)))

    assert parsed.garments[0].landmarks[0].tolist() == [-2.5, 7, 1]
    assert parsed.notes["landmarks_outside"] == 1


def test_an_unlabelled_landmark_loses_its_coordinates_and_is_noted():
    parsed = parse(one_item(landmarks=landmarks(_3=12, _4=13)))

    assert not parsed.garments[0].landmarks.any()
    assert parsed.notes["unlabelled_landmarks_zeroed"] == 1


def test_an_item_without_landmarks_stays_for_its_box():
    (garment,) = parse(one_item(landmarks=landmarks())).garments

    assert not garment.landmarks.any()
    assert garment.box.tolist() == item()["bounding_box"]


def test_a_byte_order_mark_at_the_beginning_is_skipped():
    text = json.dumps(annotation(1)).encode()

    marked, plain = (
        parse_annotation(start + text, size=SIZE, vocabulary=DEEPFASHION2) for start in (b"\xef\xbb\xbf", b"")
    )
    assert same(marked.garments, plain.garments)


UNFIT_ITEMS = {
    "category_0": ({"category_id": 0}, "category_unknown", "category_id: expected 1 to 13, found 0"),
    "category_14": ({"category_id": 14}, "category_unknown", "found 14"),
    "category_true": ({"category_id": True}, "category_unknown", "found True"),
    "category_word": ({"category_id": "1"}, "category_unknown", "found '1'"),
    "another_name": ({"category_name": "vest"}, "category_name_differs", "says 'vest'"),
    "name_null": ({"category_name": None}, "category_name_differs", "says None"),
    "style_negative": ({"style": -1}, "field_invalid", "style: expected a whole number, 0 or more, found -1"),
    "style_fraction": ({"style": 1.5}, "field_invalid", "style"),
    "style_huge": ({"style": 2**63}, "field_invalid", "style"),
    "scale_0": ({"scale": 0}, "field_invalid", "scale: expected 1, 2 or 3, found 0"),
    "occlusion_4": ({"occlusion": 4}, "field_invalid", "occlusion"),
    "zoom_in_null": ({"zoom_in": None}, "field_invalid", "zoom_in"),
    "viewpoint_list": ({"viewpoint": [2]}, "field_invalid", "viewpoint"),
    "box_of_three": ({"bounding_box": [1, 2, 3]}, "field_invalid", "bounding_box: expected four numbers"),
    "box_of_words": ({"bounding_box": ["1", 2, 3, 4]}, "field_invalid", "bounding_box: expected numbers, found '1'"),
    "box_of_bools": ({"bounding_box": [False, 2, 3, 4]}, "field_invalid", "found False"),
    "box_null": ({"bounding_box": None}, "field_invalid", "found None"),
    "box_without_width": ({"bounding_box": [9, 9, 9, 20]}, "box_empty", "empty or inverted"),
    "box_inverted": ({"bounding_box": [9, 20, 30, 9]}, "box_empty", "empty or inverted"),
    "box_inverted_twice": ({"bounding_box": [30, 20, 9, 9]}, "box_empty", "empty or inverted"),
    "box_outside": ({"bounding_box": [WIDTH, 1, WIDTH + 5, 9]}, "box_outside", "outside the image of 60 x 80"),
    "box_far_away": ({"bounding_box": [0, 0, MAX_COORDINATE + 1, 9]}, "coordinate_out_of_range", "65536"),
    "landmarks_missing_one": ({"landmarks": landmarks()[3:]}, "landmarks_wrong_number", "expected 75 numbers"),
    "landmarks_one_more": ({"landmarks": [*landmarks(), 0]}, "landmarks_wrong_number", "found 76"),
    "landmarks_nested": ({"landmarks": [[0, 0, 0]] * 25}, "landmarks_wrong_number", "found 25"),
    "landmarks_object": ({"landmarks": {}}, "field_invalid", "landmarks: expected a list"),
    "visibility_3": ({"landmarks": landmarks(_2=3)}, "field_invalid", "visibilities of 0, 1 or 2, found 3"),
    "visibility_half": ({"landmarks": landmarks(_2=0.5)}, "field_invalid", "found 0.5"),
    "landmark_1e300": ({"landmarks": landmarks(_0=1e300, _2=2)}, "coordinate_out_of_range", "1e+300"),
    "landmark_10_to_400": ({"landmarks": landmarks(_0=10**400, _2=2)}, "coordinate_out_of_range", "landmarks"),
    "polygon_odd": ({"segmentation": [[1, 2, 3, 4, 5, 6, 7]]}, "field_invalid", "three or more points"),
    "polygon_of_two": ({"segmentation": [[1, 2, 3, 4]]}, "field_invalid", "three or more points"),
    "polygon_flat": ({"segmentation": [1, 2, 3, 4, 5, 6]}, "field_invalid", "three or more points"),
    "segmentation_word": ({"segmentation": "none"}, "field_invalid", "expected a list of polygons"),
    "unknown_field": ({"colour": "red"}, "field_unknown", "'colour'"),
}


@pytest.mark.parametrize(("changes", "kind", "words"), UNFIT_ITEMS.values(), ids=UNFIT_ITEMS.keys())
def test_an_item_with_a_wrong_field_is_invalid_and_the_reason_names_it(changes, kind, words):
    with pytest.raises(InvalidInputError) as caught:
        parse({**one_item(), "item2": {**item(), **changes}})

    assert caught.value.kind == kind
    assert caught.value.reason.startswith("item2: ")
    assert words in caught.value.reason


@pytest.mark.parametrize("field", sorted(item()))
def test_an_item_without_one_of_its_fields_is_invalid(field):
    values = one_item()
    del values["item1"][field]

    with pytest.raises(InvalidInputError, match=f"item1: the field '{field}' is missing"):
        parse(values)


UNFIT_FILES = {
    "nan": (b'{"source": NaN}', "number_not_finite", "NaN"),
    "infinity": (b'{"source": [-Infinity]}', "number_not_finite", "-Infinity"),
    "overflow": (b'{"source": 1e999}', "number_not_finite", "1e999"),
    "duplicate_item": (b'{"item1": {}, "item1": {}}', "key_duplicate", "'item1' appears twice"),
    "duplicate_field": (b'{"item1": {"style": 1, "style": 1}}', "key_duplicate", "'style'"),
    "cut_off": (json.dumps(annotation(1)).encode()[:-1], "json_unreadable", "not JSON"),
    "empty": (b"", "json_unreadable", "is an empty file, not JSON"),
    "latin_1": ('{"source": "é"}'.encode("latin-1"), "json_unreadable", "not UTF-8"),
    "utf_16": (json.dumps(annotation(1)).encode("utf-16"), "json_unreadable", "is not UTF-8 text (byte 0)"),
    "a_jpeg": (jpeg(1), "json_unreadable", "is a JPEG, not JSON"),
    "a_page": (b"<!DOCTYPE html><p>Not found", "json_unreadable", "is an HTML page, not JSON"),
    "deep": (b"[" * 200_000, "json_unreadable", "nested too deeply"),
    "five_thousand_digits": (
        b"[" + b"9" * 5000 + b"]",
        "json_unreadable",
        "holds a whole number of more than 4,300 digits",
    ),
    "a_list": (b"[]", "field_invalid", "expected an object"),
    "null": (b"null", "field_invalid", "expected an object"),
    "no_item": (b'{"source": "shop", "pair_id": 1}', "items_missing", "no item"),
    "item_0": (b'{"source": "shop", "pair_id": 1, "item0": {}}', "field_unknown", "'item0'"),
    "item_list": (b'{"source": "shop", "pair_id": 1, "item1": []}', "field_invalid", "item1: expected an object"),
    "lone_surrogate": (b'{"source": "shop", "pair_id": 1, "\\ud800": 1}', "field_unknown", "ud800"),
}


@pytest.mark.parametrize(("text", "kind", "words"), UNFIT_FILES.values(), ids=UNFIT_FILES.keys())
def test_a_file_that_is_not_strict_json_of_the_format_is_invalid(text, kind, words):
    with pytest.raises(InvalidInputError) as caught:
        parse_annotation(text, size=SIZE, vocabulary=DEEPFASHION2)

    assert caught.value.kind == kind
    assert words in caught.value.reason
    assert caught.value.reason.encode("utf-8").isascii()


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"source": "street"}, "source: expected shop or user, found 'street'"),
        ({"source": ["shop"]}, "source"),
        ({"pair_id": "5"}, "pair_id: expected a whole number, found '5'"),
        ({"pair_id": True}, "pair_id"),
        ({"pair_id": 5.0}, "pair_id"),
        ({"pair_id": 2**70}, "pair_id"),
    ],
)
def test_a_wrong_source_or_pair_is_invalid(changes, words):
    with pytest.raises(InvalidInputError) as caught:
        parse({**one_item(), **changes})

    assert caught.value.kind == "field_invalid"
    assert words in caught.value.reason


def _mutate(values, rng):
    """Replace, remove or double one random node of a JSON value."""
    node = values
    while True:
        key = rng.choice(list(node) if isinstance(node, dict) else range(len(node)))
        child = node[key]
        if isinstance(child, (dict, list)) and child and rng.random() < 0.8:
            node = child
            continue
        action = rng.randrange(3)
        if action == 0:
            del node[key]
        elif action == 1 and isinstance(node, list):
            node.insert(key, child)
        else:
            strange = [None, True, "", "x", -1, 0, 3, 1e308, -0.0, 2**64, [], {}, [[]], {"a": 1}]
            node[key] = rng.choice(strange)
        return values


@pytest.mark.slow
def test_a_mutated_annotation_is_read_as_garments_in_the_image_or_is_invalid():
    rng = random.Random(0)
    outcomes = {"read": 0, "error": 0}
    for number in range(2000):
        values = _mutate(copy.deepcopy(annotation(number)), rng)
        try:
            parsed = parse(values)
        except InvalidInputError:
            outcomes["error"] += 1
            continue
        outcomes["read"] += 1
        for garment in parsed.garments:
            x0, y0, x1, y1 = garment.box
            assert 0 <= x0 < x1 <= WIDTH
            assert 0 <= y0 < y1 <= HEIGHT
            assert np.isfinite(garment.landmarks).all()
            assert not garment.landmarks[garment.landmarks[:, 2] == 0].any()
    assert min(outcomes.values()) > 100


def test_random_bytes_are_invalid_and_raise_nothing_else():
    rng = random.Random(1)
    text = json.dumps(annotation(2)).encode()
    for _ in range(2000):
        damaged = bytearray(text)
        for _ in range(rng.randint(1, 4)):
            damaged[rng.randrange(len(damaged))] = rng.randrange(256)
        try:
            parse_annotation(bytes(damaged), size=SIZE, vocabulary=DEEPFASHION2)
        except InvalidInputError as error:
            error.reason.encode("utf-8")
