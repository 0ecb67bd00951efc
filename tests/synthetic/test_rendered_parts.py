"""Parts of rendering that need neither the body's model nor OpenGL: meshes, hanging cloth, rotations, grounds."""

import cv2
import numpy as np
import pytest

from deepmark.synthetic.rendered.carried import Carried, carried_layers
from deepmark.synthetic.rendered.chart import Chart
from deepmark.synthetic.rendered.drape import Hang, hung_radius
from deepmark.synthetic.rendered.fabric import sample_fabric
from deepmark.synthetic.rendered.figure import Person
from deepmark.synthetic.rendered.floor import sample_floor, shadowed
from deepmark.synthetic.rendered.ground import sample_ground
from deepmark.synthetic.rendered.mesh import faces_of, subdivided, triangles_of, unchanged
from deepmark.synthetic.rendered.pose import cross_arms, rotation, sample_pose
from deepmark.synthetic.rendered.reach import aim, closed_hand, reach
from deepmark.synthetic.rendered.scene import frame_far
from deepmark.synthetic.rendered.solid import bar, box
from deepmark.synthetic.rendered.styles import HELD_OUT, TRAINING

CUBE = np.array([[x, y, z] for x in (-1, 1) for y in (-1, 1) for z in (-1, 1)], np.float32)
ARM = {
    "upperarm01": np.array([0.16, -0.02, 0.47]),
    "lowerarm01": np.array([0.33, -0.02, 0.28]),
    "wrist": np.array([0.45, -0.18, 0.16]),
}
ARM_JOINTS = {f"{name}.L": place for name, place in ARM.items()}
FACES = np.array([[0, 1, 3, 2], [4, 6, 7, 5], [0, 4, 5, 1], [2, 3, 7, 6], [0, 2, 6, 4], [1, 5, 7, 3]])


def test_a_subdivided_cube_is_rounder_closed_and_four_times_as_fine():
    finer = subdivided(FACES)
    points = finer(CUBE)

    assert len(finer.quads) == 4 * len(FACES)
    assert len(points) == 8 + 12 + 6
    np.testing.assert_allclose(finer.shares.sum(axis=1), 1, atol=1e-6)
    radii = np.linalg.norm(points, axis=1)
    assert radii.max() / radii.min() < np.sqrt(3) / 1.2
    normals = faces_of(triangles_of(finer.quads), len(points)).normals(points)
    assert (np.einsum("ni,ni->n", normals, points) > 0.5).all()


def test_an_open_edge_keeps_its_line():
    flat = np.array([[x, y, 0] for y in range(3) for x in range(3)], np.float32)
    quads = np.array([[0, 1, 4, 3], [1, 2, 5, 4], [3, 4, 7, 6], [4, 5, 8, 7]])
    points = subdivided(quads)(flat)

    on_edge = points[points[:, 1] < 1e-6]
    assert sorted(on_edge[:, 0]) == [0.5, 1.0, 1.5], "corners are rounded, the edge between them is not"
    np.testing.assert_array_equal(unchanged(quads)(flat), flat)


def cylinder(radius: float, heights: np.ndarray) -> Chart:
    angle, height = (grid.reshape(-1) for grid in np.meshgrid(np.linspace(-3.1, 3.1, 48), heights))
    side = np.tile([1.0, 0.0, 0.0], (len(height), 1))
    return Chart(
        height=height,
        out=radius * np.sin(angle),
        front=radius * np.cos(angle),
        axis=np.zeros((len(height), 3)),
        outward=side,
        forward=np.roll(side, 1, axis=1),
    )


@pytest.mark.parametrize("slope", [0.0, 0.3])
def test_cloth_hangs_from_the_widest_place_and_clears_what_is_below(slope):
    narrow = cylinder(0.1, np.linspace(0, 0.5, 51))
    belly = np.stack([np.full(64, 0.35), np.linspace(-3.1, 3.1, 64), np.full(64, 0.2)], axis=1)
    own = np.stack([narrow.height, narrow.angle, narrow.radius], axis=1)
    radius = hung_radius(narrow, Hang(top=0.5, slope=slope, ease=0.01), (own, belly))

    assert (radius >= 0.1).all()
    low = radius[narrow.height < 0.3]
    assert low.min() > 0.15
    bottom, middle = radius[narrow.height < 0.02].mean(), radius[np.abs(narrow.height - 0.3) < 0.02].mean()
    assert bottom - middle == pytest.approx(0.29 * slope, abs=0.02)


def test_a_rotation_turns_y_to_z_about_x_and_keeps_lengths():
    np.testing.assert_allclose(rotation(0, 90) @ (0, 1, 0), (0, 0, 1), atol=1e-12)
    np.testing.assert_allclose(rotation(1, 90) @ (0, 0, 1), (1, 0, 0), atol=1e-12)
    np.testing.assert_allclose(rotation(2, 90) @ (1, 0, 0), (0, 1, 0), atol=1e-12)
    turned = rotation(2, 31) @ rotation(0, 12)
    np.testing.assert_allclose(turned @ turned.T, np.eye(3), atol=1e-12)


@pytest.mark.parametrize("styles", [TRAINING, HELD_OUT], ids=["training", "held out"])
def test_legs_bend_far_only_where_the_clothes_let_them(styles):
    def most_bent(*, bends):
        poses = [sample_pose(np.random.default_rng(seed), styles, bends=bends) for seed in range(150)]
        thighs = [pose[f"upperleg01.{side}"] @ (0, 0, -1) for pose in poses for side in "LR"]
        return np.degrees(np.arccos(-np.array(thighs)[:, 2])).max()

    assert most_bent(bends=False) < 35
    assert most_bent(bends=True) > 80


def test_a_far_figure_fills_a_small_part_of_the_image_anywhere_in_it():
    size = (600, 450)
    x0, y0, x1, y1 = np.array([frame_far(np.random.default_rng(seed), size) for seed in range(200)]).T

    assert (x0 >= 0).all() and (y0 >= 0).all() and (x1 <= 450).all() and (y1 <= 600).all()  # noqa: PT018
    assert (y1 - y0).max() <= 300
    assert x0.min() < 45 < 400 < x1.max()
    assert y0.min() < 60 < 540 < y1.max()


@pytest.mark.parametrize("kind", sorted(TRAINING.grounds | HELD_OUT.grounds))
def test_a_ground_fills_the_image_and_depends_on_the_seed(kind):
    one, same, other = (sample_ground(np.random.default_rng(seed), (120, 90), {kind: 1.0}) for seed in (1, 1, 2))

    assert one.shape == (120, 90, 3)
    assert one.dtype == np.uint8
    assert (one == same).all()
    assert (one != other).any()


@pytest.mark.parametrize("shape", [(900, 700), (300, 400), (1, 1), (1, 6000), (7000, 2)])
def test_a_part_of_a_photograph_of_any_shape_fills_the_image_in_little_memory(tmp_path, monkeypatch, shape):
    written, resize = [], cv2.resize
    cv2.imwrite(str(tmp_path / "one.png"), np.random.default_rng(1).integers(0, 256, (*shape, 3), np.uint8))
    monkeypatch.setattr(cv2, "resize", lambda *a, **b: written.append(resize(*a, **b)) or written[-1])
    one, same = (
        sample_ground(np.random.default_rng(3), (120, 90), {"studio": 1.0}, (tmp_path / "one.png",)) for _ in range(2)
    )

    assert one.shape == (120, 90, 3)
    assert (one == same).all()
    assert max(each.shape[0] * each.shape[1] for each in written) == 120 * 90


@pytest.mark.parametrize("kind", sorted(TRAINING.surfaces | HELD_OUT.surfaces))
def test_a_floor_fills_the_image_and_depends_on_the_seed(kind):
    one, same, other = (sample_floor(np.random.default_rng(seed), (120, 90), {kind: 1.0}) for seed in (1, 1, 2))

    assert one.shape == (120, 90, 3)
    assert one.dtype == np.uint8
    assert (one == same).all()
    assert (one != other).any()


def test_a_shadow_is_soft_and_falls_beside_what_casts_it():
    ground, alpha = np.full((60, 80, 3), 200, np.uint8), np.zeros((60, 80), np.float32)
    alpha[20:40, 20:40] = 1
    dark = shadowed(ground, alpha, np.array([12.0, 0.0]), 2.0, 0.5)

    assert (dark[5, 5] == 200).all()
    assert (dark[30, 42] < 110).all()
    assert 110 < dark[30, 31, 0] < 190, "an edge of the shadow"


def test_an_arm_reaches_a_place_with_its_wrist_or_as_far_as_it_is_long():
    shoulder, elbow, wrist = ARM.values()
    lengths = np.linalg.norm(elbow - shoulder), np.linalg.norm(wrist - elbow)
    for target in ((0.05, -0.3, 0.5), (0.0, -0.35, 0.25), (1.0, -1.0, 1.0)):
        upper, lower = reach(ARM_JOINTS, "L", np.array(target), np.array([0.4, 0.2, -1.0]))
        bend = upper @ (elbow - shoulder)
        found = shoulder + bend + upper @ lower @ (wrist - elbow)
        if target[0] < 1:
            np.testing.assert_allclose(found, target, atol=1e-9)
            assert bend[2] < 0, "the elbow hangs"
        else:
            assert np.linalg.norm(found - shoulder) == pytest.approx(0.98 * sum(lengths))
        np.testing.assert_allclose(upper @ upper.T, np.eye(3), atol=1e-9)


def test_crossed_arms_get_to_the_other_side_before_the_chest_one_over_the_other():
    both = {
        side: {f"{name}.{side}": at * (sign, 1, 1) for name, at in ARM.items()} for side, sign in (("L", 1), ("R", -1))
    }
    for seed in range(20):
        pose, wrists = {}, {}
        cross_arms(np.random.default_rng(seed), pose, both["L"] | both["R"])
        for side, joints in both.items():
            shoulder, elbow, wrist = joints.values()
            upper, lower = pose[f"upperarm01.{side}"], pose[f"lowerarm01.{side}"]
            bend = shoulder + upper @ (elbow - shoulder)
            wrists[side] = bend + upper @ lower @ (wrist - elbow)
            assert abs(bend[0]) > 0.1, "the elbow stays at its side"
        assert wrists["L"][0] <= 0 <= wrists["R"][0]
        assert max(one[1] for one in wrists.values()) < -0.2
        assert abs(wrists["L"][2] - wrists["R"][2]) == pytest.approx(0.05)


def test_a_closed_hand_has_bent_fingers_side_by_side():
    joints = {}
    for finger, spread in zip(range(2, 6), (0.2, 0.0, -0.2, -0.4), strict=True):  # along y, the palm below
        way = np.array([np.sin(spread), np.cos(spread), 0])
        joints[f"metacarpal{finger - 1}.L"] = np.array([0.02 * finger, 0, 0])
        for joint, low in ((1, 0.0), (2, 0.004), (3, 0.01)):
            joints[f"finger{finger}-{joint}.L"] = (0.02 * finger, 0.1, 0) + 0.03 * (joint - 1) * way - (0, 0, low)

    def tips(bend, together):
        turns = closed_hand(joints, "L", bend, together)
        ways = {f: joints[f"finger{f}-3.L"] - joints[f"finger{f}-1.L"] for f in range(2, 6)}
        return np.array([turns[f"finger{f}-1.L"] @ way for f, way in ways.items()])

    flat, bent, closed = tips(0, 0), tips(0.8, 0), tips(0, 1)
    assert (bent[:, 2] < flat[:, 2] - 0.02).all()
    np.testing.assert_allclose(np.cross(closed, flat[1]), 0, atol=1e-12)


def test_an_arm_is_aimed_in_two_directions():
    shoulder, elbow, wrist = ARM.values()
    upper, lower = aim(ARM_JOINTS, "L", np.array([1.0, 0.0, -1.0]), np.array([0.0, 0.0, -2.0]))

    np.testing.assert_allclose(np.cross(upper @ (elbow - shoulder), (1, 0, -1)), 0, atol=1e-9)
    np.testing.assert_allclose(np.cross(upper @ lower @ (wrist - elbow), (0, 0, -1)), 0, atol=1e-9)


def test_a_bent_bar_is_round_and_its_normals_look_outwards():
    line = np.stack([np.linspace(-1, 1, 9), np.zeros(9), 0.2 * np.linspace(-1, 1, 9) ** 2], axis=1)
    points, normals, triangles = bar(line, np.array([0.0, 1.0, 0.0]), 0.05)

    np.testing.assert_allclose(np.linalg.norm(points - np.repeat(line, 8, axis=0), axis=1), 0.05)
    faces = faces_of(triangles, len(points)).normals(points)
    assert (np.einsum("ni,ni->n", faces, normals) > 0.8).all()


@pytest.mark.parametrize("mirrored", [False, True])
def test_the_faces_of_a_box_look_outwards(mirrored):
    axes = np.diag([-1.0 if mirrored else 1.0, 1.0, 1.0])
    points, normals, triangles = box(np.array([0.3, 0.2, 0.1]), axes, (0.2, 0.1, 0.4), taper=0.9)

    assert (np.einsum("ni,ni->n", faces_of(triangles, len(points)).normals(points), normals) > 0.95).all()


@pytest.mark.parametrize("kind", sorted(TRAINING.fabrics | HELD_OUT.fabrics))
def test_a_fabric_depends_on_the_seed(kind):
    one, same, other = (sample_fabric(np.random.default_rng(seed), {kind: 1.0}) for seed in (1, 1, 2))

    assert (one.tile == same.tile).all()
    assert (one.tile != other.tile).any()


def test_training_and_validation_images_share_no_fabric_no_ground_and_no_floor():
    assert not TRAINING.fabrics.keys() & HELD_OUT.fabrics.keys()
    assert not TRAINING.grounds.keys() & HELD_OUT.grounds.keys()
    assert not TRAINING.surfaces.keys() & HELD_OUT.surfaces.keys()
    for styles in (TRAINING, HELD_OUT):
        for shares in (styles.fabrics.values(), styles.grounds.values(), styles.legs, styles.arms):
            assert sum(shares) == pytest.approx(1)


@pytest.mark.parametrize("phone", [True, False])
def test_a_bag_hangs_below_the_hand_and_a_phone_is_before_it(phone):
    joints = {"lowerarm01.L": np.array([0.3, 0.0, 1.1]), "wrist.L": np.array([0.3, 0.0, 0.85])}
    person = Person(rest=np.zeros((1, 3)), joints=joints, transforms=np.stack([np.eye(4)] * 2))
    size, handle = ((0.07, 0.01, 0.15), 0.0) if phone else ((0.3, 0.1, 0.2), 0.12)
    carried = Carried(
        phone=phone, side="L", size=size, taper=1.0, handle=handle, share=1.0, turn=0.0, color=(9, 9, 9), gloss=0.0
    )
    body, *others = carried_layers(carried, ["lowerarm01.L", "wrist.L"], person, np.eye(3), 1)
    points, normals = body.vertices[:, :3], body.vertices[:, 3:6]
    middle, hand = points.mean(axis=0), np.array([0.3, 0.0, 0.77])

    np.testing.assert_allclose(np.ptp(points, axis=0), size, atol=1e-6)
    assert (np.einsum("ni,ni->n", normals, points - middle) > 0).all()
    if phone:
        assert middle[1] < hand[1]
        assert [one.vertices[:, 1].max() < middle[1] for one in others] == [True], "its lens looks away"
    else:
        assert points[:, 2].max() == pytest.approx(hand[2] - handle)
        assert all(one.vertices[:, 2].max() == pytest.approx(hand[2], abs=0.01) for one in others)
