"""Rendered clothes that nobody wears: all categories lie and hang, and their labels are those of what is seen."""

from dataclasses import replace

import cv2
import numpy as np
import pytest
from tiny_dataset import landmarks_of

from deepmark.synthetic.rendered.places import positions_of, spots_of
from deepmark.synthetic.rendered.styles import STYLES
from deepmark.vocabulary import DEEPFASHION2

pytestmark = pytest.mark.slow

OTHER, GARMENT = 1, 2
"""Numbers of layers."""

CATEGORIES = range(len(DEEPFASHION2.categories))


@pytest.fixture(scope="module")
def render(rendering):
    """Renders an image of one kind: `render(index, "flat", "train")`."""
    from deepmark.synthetic.rendered.scene import render_image

    def one(index, kind, split):
        styles = replace(STYLES[split], shown={kind: 1.0})
        return render_image(seed=4, split=split, index=index, styles=styles)

    return one


@pytest.fixture(scope="module", params=["flat", "hanging"])
def images(request, render):
    """An image of every category that lies, or that hangs; and the name of the kind."""
    splits = ("train", "validation")
    return request.param, [render(index, request.param, splits[index % 2]) for index in CATEGORIES]


def test_every_category_is_shown_alone_and_as_not_worn(images):
    for category, image in zip(CATEGORIES, images[1], strict=True):
        assert [one for one in image.annotation if one.startswith("item")] == ["item1"]
        item = image.annotation["item1"]
        assert item["category_id"] == category + 1
        assert item["viewpoint"] == 1
        assert item["occlusion"] in (1, 2)


def test_nothing_but_the_garment_and_a_hanger_is_seen(images):
    kind, found = images
    for image in found:
        assert set(np.unique(image.rendered.numbers)) <= ({0, GARMENT} if kind == "flat" else {0, OTHER, GARMENT})
    assert kind == "flat" or any((image.rendered.numbers == OTHER).any() for image in found)


def test_what_lies_is_flat_and_what_hangs_has_some_depth(images):
    kind, found = images
    for image in found:
        depth = max(float(np.ptp(piece.posed[(piece.inside > 0).all(axis=1), 1])) for piece in image.garments[0].pieces)
        assert depth < (0.06 if kind == "flat" else 0.35)
        assert image.view.thickness < 1


def test_landmarks_lie_in_the_box_and_visible_ones_on_the_cloth(images):
    visible = 0
    for image in images[1]:
        item, name = image.annotation["item1"], image.garments[0].design.name
        x0, y0, x1, y1 = item["bounding_box"]
        for x, y, state in landmarks_of(item).astype(int):
            assert state == 0 or (x0 - 2 <= x <= x1 + 2 and y0 - 2 <= y <= y1 + 2), name
            assert state != 2 or (image.rendered.numbers[y - 1 : y + 2, x - 1 : x + 2] == GARMENT).any(), name
            visible += state == 2
    assert visible > 150


def test_left_is_on_the_left_of_what_faces_the_camera(images):
    for image in images[1]:
        (worn,), category = image.garments, image.garments[0].design.category
        mirror, parts = DEEPFASHION2.categories[category].mirror, DEEPFASHION2.categories[category].parts
        across = positions_of(spots_of(worn))[:, 0] * (-1 if image.view.from_behind else 1)
        for index, name in enumerate(parts):
            if name.startswith("left"):
                assert across[index] < across[mirror[index]] + 1e-3, (worn.design.name, name)


def test_the_same_seed_gives_the_same_image(render):
    for kind in ("flat", "hanging"):
        one, same = (render(4, kind, "train") for _ in range(2))
        assert (one.image == same.image).all()
        assert one.annotation == same.annotation


def test_a_person_is_shown_more_often_than_a_garment_alone_and_both_in_either_split():
    for styles in STYLES.values():
        assert min(styles.shown.values()) > 0.03
        assert styles.shown["worn"] > 0.7


def with_and_without(image, **material):
    """The garment of an image in one colour and light: as it is, and with these values of its material."""
    from deepmark.synthetic.rendered.annotation import _whole
    from deepmark.synthetic.rendered.renderer import Light, load_renderer

    light = Light(towards=np.array([0, -1.0, 0]), color=(0.5,) * 3, sky=(0.5,) * 3, ground=(0.5,) * 3)
    bare = {"tile": np.full((4, 4, 3), 200, np.uint8)} | dict.fromkeys(material, 0.0)
    layers = [_whole(piece) for piece in image.garments[0].pieces]
    for values in (bare, bare | material):
        shown = [replace(layer, material=replace(layer.material, **values)) for layer in layers]
        yield load_renderer().render(shown, image.view.matrix, light, image.view.size)


@pytest.mark.parametrize("category", ["skirt", "trousers", "long sleeve top"])
def test_seams_are_at_the_sides(render, category):
    image = render(DEEPFASHION2.by_name[category].index, "flat", "train")
    before, after = with_and_without(image, seam=0.5)
    y, x = np.nonzero(np.abs(after.color - before.color).max(axis=2) > 0.02)

    assert len(y) > 10
    inside = cv2.distanceTransform((before.numbers > 0).astype(np.uint8), cv2.DIST_L2, 5)
    assert inside[y, x].max() < 0.25 * inside.max()


def test_buttons_are_in_the_middle_of_the_front_only(render):
    image = render(DEEPFASHION2.by_name["long sleeve top"].index, "flat", "train")
    (worn,), view = image.garments, image.view
    before, after = (one.color for one in with_and_without(image, buttons=0.08))
    changed = np.abs(after - before).max(axis=2) > 0.1
    middle = [name in ("neck front", "hem middle") for name in DEEPFASHION2.categories[worn.design.category].parts]
    ends = view.project(positions_of(spots_of(worn)))[middle, :2]
    y, x = np.nonzero(changed)
    way = (ends[1] - ends[0]) / np.linalg.norm(ends[1] - ends[0])
    aside = (x - ends[0, 0]) * way[1] - (y - ends[0, 1]) * way[0]
    assert changed.any() != view.from_behind
    assert np.abs(aside).max(initial=0) < 0.1 * np.linalg.norm(ends[1] - ends[0])
