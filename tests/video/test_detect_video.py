"""Videos from end to end, with a detector that finds what is drawn red: JSON lines, a drawn video, Ctrl-C."""

import json
from dataclasses import replace
from fractions import Fraction

import av
import numpy as np
import pytest
from vocabularies import SMALL

from deepmark.errors import DeepmarkError
from deepmark.types import Detections
from deepmark.video import detect_video as room
from deepmark.video.detect_video import detect_video
from deepmark.video.read_video import Frame, VideoReader
from deepmark.video.write_video import VideoWriter
from deepmark.vocabulary import DEEPFASHION2

WIDTH, HEIGHT, SIDE = 320, 480, 80


def red_garment(image):
    """A vest where the image is red: its landmarks at the centre, every other frame three pixels farther right."""
    red = (image[:, :, 0] > 150) & (image[:, :, 1] < 100)
    count = int(red.any())
    ys, xs = np.nonzero(red)
    box = (xs.min(), ys.min(), xs.max() + 1, ys.max() + 1) if count else (0, 0, 0, 0)
    landmarks = np.zeros((count, DEEPFASHION2.most_landmarks, 2), np.float32)
    landmarks[:, :15] = (box[0] + box[2]) / 2 + 3 * (box[0] // 8 % 2), (box[1] + box[3]) / 2
    scores = np.zeros((count, DEEPFASHION2.most_landmarks), np.float32)
    scores[:, :15] = 0.8
    return Detections(
        boxes=np.array([box], np.float32)[:count],
        scores=np.array([0.9], np.float32)[:count],
        categories=np.array([4])[:count],
        landmarks=landmarks,
        landmark_scores=scores,
    )


def images(count=20, gap=range(0)):
    """A red square that moves right by eight pixels a frame, and is not there in the frames of the gap."""
    for index in range(count):
        image = np.full((HEIGHT, WIDTH, 3), 90, np.uint8)
        if index not in gap:
            image[200 : 200 + SIDE, 8 * index : 8 * index + SIDE] = (230, 20, 20)
        yield image


@pytest.fixture(scope="module")
def clip(tmp_path_factory):
    path = tmp_path_factory.mktemp("clip") / "clip.mp4"
    with VideoWriter(path, rate=Fraction(25)) as writer:
        for index, image in enumerate(images(gap=range(8, 18))):
            writer.write(image, index / 25)
    return path


def lines_of(path):
    return [json.loads(line) for line in path.read_text("utf-8").splitlines()]


def test_each_frame_is_a_line_and_a_garment_has_one_number_before_and_after_it_is_hidden(clip, tmp_path):
    facts = detect_video(clip, red_garment, out=tmp_path / "tracks.jsonl")

    lines = lines_of(tmp_path / "tracks.jsonl")
    assert (facts["frames"], facts["garments"]) == (20, 1)
    assert [line["frame"] for line in lines] == list(range(20))
    assert [line["time"] for line in lines] == pytest.approx([index / 25 for index in range(20)], abs=1e-3)
    assert [[garment["track"] for garment in line["garments"]] for line in lines] == [[1]] * 8 + [[]] * 10 + [[1]] * 2
    garment = lines[0]["garments"][0]
    assert garment["category"] == "vest"
    assert list(garment["landmarks"]) == list(DEEPFASHION2.categories[4].parts)


def test_landmarks_are_smooth_unless_they_are_wanted_as_detected(clip, tmp_path):
    paths = {}
    for smooth in (True, False):
        detect_video(clip, red_garment, out=tmp_path / "tracks.jsonl", smooth=smooth)
        found = [line["garments"][0] for line in lines_of(tmp_path / "tracks.jsonl")[:8]]
        paths[smooth] = [one["landmarks"]["neck back"][0] - (one["box"][0] + one["box"][2]) / 2 for one in found]

    assert np.abs(np.diff(paths[True])).max() < np.abs(np.diff(paths[False])).max()
    assert paths[False] == pytest.approx([3 * (index % 2) for index in range(8)], abs=2)


def test_the_drawn_video_has_every_frame_with_the_garments_drawn(clip, tmp_path):
    detect_video(clip, red_garment, draw_to=tmp_path / "drawn.mp4")

    with VideoReader(tmp_path / "drawn.mp4") as drawn, VideoReader(clip) as original:
        pairs = list(zip(drawn, original, strict=True))
    changed = [np.abs(a.image.astype(int) - b.image).mean() > 1.8 for a, b in pairs]
    assert changed == [True] * 8 + [False] * 10 + [True] * 2


def test_a_video_that_cannot_be_read_leaves_no_files(tmp_path):
    (tmp_path / "text.mp4").write_text("text")

    with pytest.raises(DeepmarkError, match=r"text\.mp4: no video"):
        detect_video(tmp_path / "text.mp4", red_garment, out=tmp_path / "a.jsonl", draw_to=tmp_path / "a.mp4")

    assert [path.name for path in tmp_path.iterdir()] == ["text.mp4"]


def test_what_is_missing_at_the_end_of_a_file_is_told(tmp_path):
    cut = tmp_path / "cut.mp4"
    noise = np.random.default_rng(1)
    with VideoWriter(cut, rate=Fraction(25)) as writer:
        for index, image in enumerate(images()):
            writer.write(image + noise.integers(0, 20, image.shape, np.uint8), index / 25)
    data = cut.read_bytes()
    cut.write_bytes(data[: len(data) // 2])
    notes = []

    facts = detect_video(cut, red_garment, note=notes.append)

    assert 0 < facts["frames"] < 20
    assert any("damaged" in note for note in notes)


def test_ctrl_c_ends_a_camera_and_keeps_what_was_recorded(monkeypatch, tmp_path):
    class Camera:
        camera, rate, frames, damaged = 0, Fraction(25), 0, 0

        def __init__(self, source):
            assert source == "0"

        def __enter__(self):
            return self

        def __exit__(self, *error):
            pass

        def __iter__(self):
            for index, image in enumerate(images(5)):
                yield Frame(index=index, time=index / 25, image=image)
            raise KeyboardInterrupt

    monkeypatch.setattr(room, "VideoReader", Camera)

    facts = detect_video("0", red_garment, out=tmp_path / "tracks.jsonl", draw_to=tmp_path / "drawn.mp4")

    assert facts["frames"] == len(lines_of(tmp_path / "tracks.jsonl")) == 5
    with av.open(str(tmp_path / "drawn.mp4")) as container:
        assert sum(1 for _ in container.decode(video=0)) == 5


def test_ctrl_c_in_a_file_writes_nothing(clip, tmp_path):
    def interrupted(tracked):
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        detect_video(clip, red_garment, out=tmp_path / "tracks.jsonl", on_frame=interrupted)

    assert list(tmp_path.iterdir()) == []


def test_hats_are_followed_and_drawn_by_their_name_though_they_have_no_landmarks():
    def red_hat(image):
        found = red_garment(image)
        rows = np.zeros((len(found), SMALL.most_landmarks), np.float32)
        hats = np.full(len(found), SMALL.by_name["hat"].index)
        points = np.zeros((*rows.shape, 2), np.float32)
        return replace(found, categories=hats, landmarks=points, landmark_scores=rows, vocabulary=SMALL)

    frames = [Frame(image=image, index=index, time=index / 25) for index, image in enumerate(images(4))]
    tracked = list(room.track_garments(frames, red_hat))

    (garment,) = tracked[-1].as_dict()["garments"]
    assert (garment["track"], garment["category"], garment["landmarks"]) == (1, "hat", {})
    assert not np.array_equal(tracked[-1].drawn(), frames[-1].image)
