"""Views into panoramas, which stand behind rendered people (benchmarks/panorama_grounds.py)."""

import sys

import numpy as np
import pytest
from workspaces import REPOSITORY, run

sys.path.append(str(REPOSITORY / "benchmarks"))
from panorama_grounds import developed, view


@pytest.mark.parametrize("yaw", [0, 90, -90, 179])
def test_a_view_shows_the_side_it_looks_to_upright(yaw):
    panorama = np.full((256, 512, 3), 200, np.uint8)
    panorama[128:] = 50
    column = round((yaw % 360) / 360 * 512) % 512
    panorama[:, np.arange(column - 6, column + 7) % 512, 1:] = 0
    seen = view(panorama, yaw, 0, 60)

    marked = seen[:, :, 1] < 25
    assert marked[:, 225:255].all()
    assert not marked[:, :180].any()
    assert not marked[:, 300:].any()
    assert (seen[:310, :180, 0] > 190).all()
    assert (seen[330:, :180, 0] < 60).all()


def test_a_camera_that_looks_up_sees_more_of_the_sky():
    panorama = np.full((256, 512, 3), 200, np.uint8)
    panorama[128:] = 50
    level, up = (view(panorama, 0, pitch, 60)[:, 240, 0] > 125 for pitch in (0, 15))

    assert up.sum() > level.sum() + 100


def test_light_becomes_an_image_whose_brightest_place_is_white_and_whose_holes_are_filled():
    light = np.full((20, 20, 3), 0.3, np.float32)
    light[5, 5], light[12, 12] = 1e6, -0.1
    image = developed(light)

    assert (image[5, 5] == 255).all()
    assert 90 < image[0, 0, 0] < 200
    np.testing.assert_allclose(image[12, 12], image[0, 0], atol=2)


@pytest.mark.parametrize(("name", "message"), [("nothing.tgz", "no such file"), ("text.tgz", "another file")])
def test_another_file_is_refused_and_nothing_is_written(tmp_path, name, message):
    (tmp_path / "text.tgz").write_text("text")
    done = run("python", REPOSITORY / "benchmarks/panorama_grounds.py", name, "grounds", cwd=tmp_path)

    assert done.code == 1
    assert f"panorama_grounds: {name}: {message}" in done.err
    assert "assets-1.7.0.tgz" in done.err
    assert not (tmp_path / "grounds").exists()
