"""What the style 3d refuses, with nothing written; none of this needs the extra synth3d."""

import sys

import pytest

from deepmark.synthetic.rendered.renderer import load_renderer


def test_without_the_extra_it_is_named_and_nothing_is_written(tmp_path, monkeypatch, deepmark):
    load_renderer.cache_clear()
    monkeypatch.setitem(sys.modules, "moderngl", None)
    done = deepmark("synth", tmp_path / "raw", "--style", "3d", "--train", 1, "--validation", 0)

    assert done.code == 1
    assert "this needs the extra 'synth3d'" in done.err
    assert not (tmp_path / "raw").exists()


def test_a_ground_that_is_no_image_is_named_and_nothing_is_written(tmp_path, deepmark):
    grounds = tmp_path / "grounds"
    (grounds / "walls").mkdir(parents=True)
    (grounds / "walls/wall.jpg").write_bytes(b"a wall")
    (grounds / "lost.jpg").symlink_to("nowhere.jpg")
    done = deepmark("synth", tmp_path / "raw", "--style", "3d", "--grounds", grounds, "--train", 1)

    assert done.code == 1
    assert "wall.jpg" in done.err
    assert f"deepmark synth: --grounds: {grounds}: skipped lost.jpg (a broken link).\n" in done.err
    assert not (tmp_path / "raw").exists()


@pytest.mark.parametrize(
    ("options", "message"),
    [
        (("--style", "3d", "--video"), "--style 3d goes with none of --video, --vocabulary and --statistics"),
        (("--style", "3d", "--statistics", "deepfashion2"), "--style 3d goes with none of"),
        (("--grounds", "photographs"), "--grounds is for --style 3d"),
    ],
)
def test_options_that_do_not_go_together_are_refused(tmp_path, deepmark, options, message):
    done = deepmark("synth", tmp_path / "raw", *options)

    assert done.code == 1
    assert message in done.err
    assert not (tmp_path / "raw").exists()
