"""Rendered images: every landmark is where the schema says, and agrees with what is seen; same seed, same bytes."""

import hashlib
import shutil
from collections import Counter
from pathlib import Path

import numpy as np
import pytest
from tiny_dataset import landmarks_of

from deepmark.compute.local import Local
from deepmark.errors import DeepmarkError
from deepmark.synthetic.rendered.cut import Edge
from deepmark.synthetic.rendered.dataset import render_dataset
from deepmark.vocabulary import DEEPFASHION2

pytestmark = pytest.mark.slow

IMAGES = 15
"""Images of each split: all categories, from all sides."""

EDGES = ("hem", "cuff", "ankle", "waistband", "neck", "short leg", "armhole", "top edge", "joint", "collar", "front")
"""In names of landmarks that lie on an edge of the cloth."""

ALL = range(len(DEEPFASHION2.categories))


@pytest.fixture(scope="module")
def figure(rendering):
    from deepmark.synthetic.rendered.figure import load_figure

    return load_figure()


def worn_alone(figure, name):
    """A garment of this category on the mean body."""
    from deepmark.synthetic.rendered.design import sample_design
    from deepmark.synthetic.rendered.garment import dress

    design = sample_design(np.random.default_rng(2), figure, DEEPFASHION2.by_name[name].index)
    return dress(figure, figure.mean, [design])[0]


@pytest.fixture(scope="module")
def images(figure):
    from deepmark.synthetic.rendered.scene import render_image

    return [
        render_image(seed=7, split=split, index=index) for split in ("train", "validation") for index in range(IMAGES)
    ]


@pytest.fixture(scope="module")
def items(images):
    """Each annotated garment with its image, its number among the layers, and its labels."""
    found = []
    for image in images:
        labels = {item["category_id"] - 1: item for key, item in image.annotation.items() if key.startswith("item")}
        for number, worn in enumerate(image.garments, 2):
            if worn.design.category in labels:
                found.append((image, number, worn, labels[worn.design.category]))
    return found


def test_all_categories_appear_from_the_front_the_side_and_behind(items):
    assert Counter(worn.design.category for _, _, worn, _ in items).keys() == set(ALL)
    assert {item["viewpoint"] for _, _, _, item in items} == {1, 2, 3}
    assert any(image.view.from_behind for image, _, _, _ in items)


def test_an_item_has_a_place_for_every_landmark_of_its_category(items):
    for _, _, worn, item in items:
        category = DEEPFASHION2.categories[worn.design.category]
        assert item["category_name"] == category.name
        assert landmarks_of(item).shape == (category.landmarks, 3)


def test_mirror_partners_are_mirrored_places_on_the_mean_body(figure):
    from deepmark.synthetic.rendered.design import sample_design
    from deepmark.synthetic.rendered.garment import dress
    from deepmark.synthetic.rendered.places import spots_of

    rng = np.random.default_rng(3)
    for category in ALL:
        for _ in range(2):
            (worn,) = dress(figure, figure.mean, [sample_design(rng, figure, category)])
            places = np.stack([shares @ piece.surface.places[corners] for piece, corners, shares in spots_of(worn)])
            mirrored = places[list(DEEPFASHION2.categories[category].mirror)] * (-1, 1, 1)
            np.testing.assert_allclose(places, mirrored, atol=2e-3, err_msg=worn.design.name)


def test_left_is_left_in_the_image_also_from_behind(items):
    for image, _, worn, item in items:
        if abs(image.view.yaw) > 45 or item["viewpoint"] == 1:  # what lies may be upside down
            continue
        points = landmarks_of(item)
        for index, name in enumerate(DEEPFASHION2.categories[worn.design.category].parts):
            partner = DEEPFASHION2.categories[worn.design.category].mirror[index]
            on_body = any(word in name for word in ("waist", "hem corner", "armpit", "shoulder"))
            if name.startswith("left") and on_body and points[index, 2] and points[partner, 2]:
                assert points[index, 0] < points[partner, 0], (worn.design.name, name)


def test_labelled_landmarks_lie_inside_the_box_and_the_image(items):
    for image, _, worn, item in items:
        x0, y0, x1, y1 = item["bounding_box"]
        height, width = image.image.shape[:2]
        assert 0 <= x0 < x1 <= width
        assert 0 <= y0 < y1 <= height
        points = landmarks_of(item)
        points = points[points[:, 2] > 0]
        assert (points[:, :2] >= (x0 - 2, y0 - 2)).all(), worn.design.name
        assert (points[:, :2] <= (x1 + 2, y1 + 2)).all(), worn.design.name


def test_a_visible_landmark_lies_on_its_garment_and_a_hidden_one_behind_something(items):
    from deepmark.synthetic.rendered.places import positions_of, spots_of

    states = Counter()
    for image, number, worn, item in items:
        spots = spots_of(worn)
        if image.view.from_behind:
            spots = [spots[i] for i in DEEPFASHION2.categories[worn.design.category].mirror]
        depths = image.view.project(positions_of(spots))[:, 2]
        for (x, y, state), depth in zip(landmarks_of(item).astype(int), depths, strict=True):
            states[state] += 1
            near = np.s_[y - 1 : y + 2, x - 1 : x + 2]
            if state == 2:
                assert (image.rendered.numbers[near] == number).any(), worn.design.name
            if state == 1:
                own = image.rendered.numbers[near] == number
                assert not own.all() or (image.rendered.depth[near] < depth).all(), worn.design.name
    assert min(states[0], states[1], states[2]) > 20
    assert states[2] > states[1]


def test_hem_and_waistband_lie_on_the_edge_of_the_cloth(figure):
    from deepmark.synthetic.rendered.design import sample_design
    from deepmark.synthetic.rendered.garment import dress
    from deepmark.synthetic.rendered.places import spots_of

    rng = np.random.default_rng(5)
    for category in ALL:
        (worn,) = dress(figure, figure.mean, [sample_design(rng, figure, category)])
        for name, (piece, corners, shares) in zip(DEEPFASHION2.categories[category].parts, spots_of(worn), strict=True):
            inside = float((shares @ piece.inside[corners]).min())
            on_edge = any(word in name for word in EDGES) or ("armpit" in name and piece.panel.cut.armhole is not None)
            assert inside >= -1e-4, (worn.design.name, name)
            assert (abs(inside) < 1e-4) == on_edge, (worn.design.name, name)


def test_straps_lead_over_the_shoulders_from_the_front_to_the_back_of_what_hangs_on_them(figure):
    straps = worn_alone(figure, "sling").pieces[0]
    band = straps.surface.places[straps.inside.min(axis=1) > -0.008]

    for side in (-1, 1):
        one = band[side * band[:, 0] > 0]
        assert one[:, 1].min() < -0.05
        assert one[:, 1].max() > 0.05
        assert np.ptp(one[:, 0]) < 0.05


def test_an_open_front_has_its_gap_in_the_middle_and_none_behind(figure):
    worn = worn_alone(figure, "long sleeve outwear")
    for piece in worn.pieces:
        in_gap = piece.inside[:, Edge.FRONT] < 0
        assert in_gap.any()
        assert (piece.surface.chart.front[in_gap] >= 0).all()
        assert abs(piece.surface.places[in_gap, 0].mean()) < 1e-3


def test_what_is_worn_over_something_stands_off_it(figure):
    from deepmark.synthetic.rendered.design import sample_design
    from deepmark.synthetic.rendered.garment import dress

    rng = np.random.default_rng(11)
    under, over = (DEEPFASHION2.by_name[name].index for name in ("long sleeve top", "long sleeve outwear"))
    for _ in range(3):
        designs = [sample_design(rng, figure, one) for one in (under, over)]
        inner, outer = (worn.upper for worn in dress(figure, figure.mean, designs))
        both = (np.minimum(inner.inside, outer.inside) > 0.02).all(axis=1)
        out = np.einsum("ni,ni->n", outer.posed - inner.posed, inner.normals)[both]
        assert np.mean(out > 0) > 0.98


def digest(folder: Path) -> dict[str, str]:
    paths = sorted(path for path in folder.rglob("*") if path.is_file())
    return {str(path.relative_to(folder)): hashlib.sha256(path.read_bytes()).hexdigest() for path in paths}


@pytest.fixture(scope="module")
def written(figure, tmp_path_factory) -> Path:
    out = tmp_path_factory.mktemp("rendered") / "raw"
    render_dataset(out, train=3, validation=1, seed=9, engine=Local(1))
    return out


def test_the_same_seed_gives_the_same_bytes_for_any_number_of_workers(written, tmp_path, monkeypatch):
    monkeypatch.setattr("deepmark.synthetic.dataset._CHUNK", 2)
    render_dataset(tmp_path / "raw", train=3, validation=1, seed=9, engine=Local(2))

    assert digest(tmp_path / "raw") == digest(written)


def test_an_interrupted_rendering_goes_on_where_it_was(written, tmp_path):
    raw = shutil.copytree(written, tmp_path / "raw")
    (raw / "train/annos/000002.json").unlink()
    (raw / "train/image/000002.jpg").write_bytes(b"half a pict")
    times = {path: path.stat().st_mtime_ns for path in raw.rglob("*") if path.is_file() and "000002" not in path.name}

    render_dataset(raw, train=3, validation=1, seed=9, engine=Local(1))

    assert digest(raw) == digest(written)
    assert times == {path: path.stat().st_mtime_ns for path in times}


def test_photographs_stand_behind_the_figures(written, tmp_path):
    from PIL import Image

    photograph = tmp_path / "red.png"
    Image.new("RGB", (300, 200), (250, 0, 0)).save(photograph)
    render_dataset(tmp_path / "raw", train=1, validation=0, seed=9, grounds=[photograph], engine=Local(1))

    corner = np.asarray(Image.open(tmp_path / "raw/train/image/000001.jpg"))[:8, :8].mean(axis=(0, 1))
    assert corner[0] > 50
    assert corner[1:].max() < 0.35 * corner[0]
    assert digest(tmp_path / "raw/train") != digest(written / "train")


def test_without_egl_it_says_what_to_install_and_writes_nothing(figure, tmp_path, monkeypatch):
    import moderngl

    from deepmark.synthetic.rendered.renderer import load_renderer

    def refuse(**options):
        raise Exception("libEGL.so.1 not loaded")  # glcontext's own

    monkeypatch.setattr(moderngl, "create_context", refuse)
    load_renderer.cache_clear()
    with pytest.raises(DeepmarkError, match=r"libEGL.so.1 not loaded.*apt-get install libegl1 libgl1-mesa-dri"):
        render_dataset(tmp_path / "raw", train=1, validation=0, seed=1)
    assert not (tmp_path / "raw").exists()
