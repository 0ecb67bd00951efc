"""The drawn clip: the same for the same seed, its truth beside it, and the farther garment hidden for ten frames."""

import json
from itertools import pairwise

import numpy as np
import pytest

from deepmark.errors import DeepmarkError
from deepmark.synthetic import draw_clip_files
from deepmark.synthetic.clip import FEWEST, HIDDEN, draw_clip
from deepmark.video.read_video import VideoReader
from deepmark.vocabulary import DEEPFASHION2

pytestmark = pytest.mark.slow


@pytest.fixture(scope="module")
def clip(tmp_path_factory):
    folder = tmp_path_factory.mktemp("clip") / "new"
    facts = draw_clip_files(folder, frames=FEWEST, seed=1)
    return folder, facts, [json.loads(line) for line in (folder / "truth.jsonl").read_text("utf-8").splitlines()]


def test_every_frame_has_its_line_of_truth(clip):
    folder, facts, truth = clip

    with VideoReader(folder / "clip.mp4") as reader:
        times = [frame.time for frame in reader]
    assert times == pytest.approx([line["time"] for line in truth], abs=1e-3)
    assert [line["frame"] for line in truth] == list(range(FEWEST))
    assert facts == {"frames": FEWEST, "garments": sum(len(line["garments"]) for line in truth)}


def test_the_farther_garment_is_hidden_for_ten_frames_and_the_nearer_never(clip):
    _, _, truth = clip
    seen = {
        identity: [any(one["identity"] == identity for one in line["garments"]) for line in truth]
        for identity in (1, 2)
    }

    hidden = [frame for frame, is_seen in enumerate(seen[1]) if not is_seen]
    assert len(hidden) == HIDDEN
    assert hidden == list(range(hidden[0], hidden[0] + HIDDEN))
    assert all(seen[2])


def test_the_garments_are_of_one_category_walk_apart_and_cross(clip):
    _, _, truth = clip
    both = [line["garments"] for line in truth if len(line["garments"]) == 2]
    gaps = [near["box"][0] - far["box"][0] for far, near in both]

    assert len({one["category"] for pair in both for one in pair}) == 1
    assert gaps[0] > 100
    assert gaps[-1] < -100


def test_landmarks_are_named_lie_in_the_image_and_move_little_from_frame_to_frame(clip):
    _, _, truth = clip
    paths = [line["garments"][-1]["landmarks"] for line in truth]

    assert set(paths[0]) == set(DEEPFASHION2.by_name[truth[0]["garments"][0]["category"]].parts)
    for before, after in pairwise(paths):
        for part, (x, y, v) in before.items():
            assert v in (0, 1, 2)
            if v and after[part][2]:
                assert abs(after[part][0] - x) < 30
                assert abs(after[part][1] - y) < 20


def test_the_same_seed_draws_the_same_frames_and_another_seed_others(clip):
    folder, _, truth = clip
    again, other = (next(draw_clip(seed=seed, frames=FEWEST)) for seed in (1, 2))
    with VideoReader(folder / "clip.mp4") as reader:
        first = next(iter(reader)).image.astype(int)

    assert again.truth == truth[0]
    assert np.abs(first - again.image).mean() < 3
    assert np.abs(first - other.image).mean() > 10


def test_a_folder_with_other_data_and_numbers_that_cannot_be_are_told(tmp_path):
    (tmp_path / "notes.txt").touch()

    with pytest.raises(DeepmarkError, match=r"holds other data already \(notes\.txt\)\. Name a new or an empty folder"):
        draw_clip_files(tmp_path, frames=FEWEST, seed=1)
    with pytest.raises(DeepmarkError, match=r"frames is 59\. Give a whole number, 60 or more"):
        draw_clip_files(tmp_path / "new", frames=59, seed=1)
    with pytest.raises(DeepmarkError, match=r"seed is -1\. Give a whole number, 0 or more"):
        draw_clip_files(tmp_path / "new", frames=FEWEST, seed=-1)
