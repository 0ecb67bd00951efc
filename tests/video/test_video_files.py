"""Videos read and written: turned as they say, with their times; and what is told of those that cannot be read."""

from fractions import Fraction

import av
import numpy as np
import pytest

from deepmark.errors import DeepmarkError
from deepmark.video.read_video import VideoReader, camera_number, is_video
from deepmark.video.write_video import VideoWriter

RATE = Fraction(25)


def frames(count=12, height=64, width=96):
    """Grey frames with a red corner at the upper left, and light that rises from frame to frame."""
    images = []
    for index in range(count):
        image = np.full((height, width, 3), 40 + 8 * index, np.uint8)
        image[: height // 4, : width // 4] = (230, 20, 20)
        images.append(image)
    return images


def written(path, images=None, *, times=None):
    images = frames() if images is None else images
    with VideoWriter(path, rate=RATE) as writer:
        for index, image in enumerate(images):
            writer.write(image, times[index] if times else index / 25)
    return path


def read(path):
    with VideoReader(path) as reader:
        return list(reader)


def is_red(image, row, column):
    red, green, blue = image[row, column].astype(int)
    return red > 150 and green < 100 and blue < 100


@pytest.mark.parametrize("suffix", [".mp4", ".mkv", ".mov"])
def test_frames_come_back_in_order_with_their_times(tmp_path, suffix):
    times = [0, 0.04, 0.08, 0.2, 0.24, 0.28, 0.6, 0.64, 0.68, 0.72, 0.76, 0.8]

    found = read(written(tmp_path / f"clip{suffix}", times=times))

    assert [frame.index for frame in found] == list(range(12))
    assert [frame.time for frame in found] == pytest.approx(times, abs=2e-3)
    for frame, image in zip(found, frames(), strict=True):
        assert frame.image.shape == image.shape
        assert abs(int(frame.image[-5, -5, 0]) - int(image[-5, -5, 0])) < 6
        assert is_red(frame.image, 5, 5)


def test_the_number_of_frames_and_their_rate_are_known_before_they_are_read(tmp_path):
    with VideoReader(written(tmp_path / "clip.mp4")) as reader:
        assert (reader.frames, reader.rate) == (12, RATE)


def test_an_odd_row_and_column_at_the_end_are_left_out(tmp_path):
    assert read(written(tmp_path / "clip.mp4", frames(height=65, width=97)))[0].image.shape == (64, 96, 3)


IDENTITY = b"".join(number.to_bytes(4, "big", signed=True) for number in (65536, 0, 0, 0, 65536, 0, 0, 0, 2**30))


@pytest.mark.parametrize(
    ("matrix", "corner"),
    [
        ((0, 65536, 0, -65536, 0, 0, 0, 0, 2**30), (5, -5)),  # turned right: what a phone held upright writes
        ((-65536, 0, 0, 0, -65536, 0, 0, 0, 2**30), (-5, -5)),
        ((0, -65536, 0, 65536, 0, 0, 0, 0, 2**30), (-5, 5)),
    ],
)
def test_frames_are_turned_as_the_file_says(tmp_path, matrix, corner):
    """The matrix stands in the track's header (tkhd, after 40 bytes of other fields) and maps x, y of the file."""
    path = written(tmp_path / "clip.mp4")
    data = path.read_bytes()
    place = data.index(IDENTITY, data.index(b"tkhd"))
    turned = b"".join(number.to_bytes(4, "big", signed=True) for number in matrix)
    path.write_bytes(data[:place] + turned + data[place + len(turned) :])

    image = read(path)[0].image

    assert image.shape == ((64, 96, 3) if corner == (-5, -5) else (96, 64, 3))
    assert is_red(image, *corner)


def test_a_file_of_another_suffix_is_not_written(tmp_path):
    with pytest.raises(DeepmarkError, match=r"clip\.avi: videos are written as \.mkv, \.mov, \.mp4\. Name such a file"):
        VideoWriter(tmp_path / "clip.avi", rate=RATE)


def test_what_is_no_video_is_told(tmp_path):
    text, empty, cut, sound = (tmp_path / name for name in ("text.mp4", "empty.mp4", "cut.mp4", "sound.mp4"))
    text.write_text("no video " * 100)
    empty.touch()
    cut.write_bytes(written(tmp_path / "clip.mp4").read_bytes()[:300])
    with av.open(str(sound), "w") as container:
        stream = container.add_stream("aac", rate=8000, layout="mono")
        sample = av.AudioFrame.from_ndarray(np.zeros((1, 1024), np.float32), format="fltp", layout="mono")
        sample.rate = 8000
        container.mux(stream.encode(sample))
        container.mux(stream.encode())

    for path in (text, empty, cut):
        with pytest.raises(DeepmarkError, match=rf"{path.name}: no video, or one that is damaged or cut off .*Copy it"):
            VideoReader(path)
    with pytest.raises(DeepmarkError, match=r"sound\.mp4: holds no video, only audio\. Name a video"):
        VideoReader(sound)
    with pytest.raises(DeepmarkError, match=r"none\.mp4: no such file"):
        VideoReader(tmp_path / "none.mp4")
    with pytest.raises(DeepmarkError, match=r"a folder\. Name a video in it"):
        VideoReader(tmp_path)


def test_a_video_whose_frames_are_all_damaged_is_told(tmp_path):
    path = written(tmp_path / "clip.mp4")
    data = bytearray(path.read_bytes())
    start = data.index(b"mdat") + 4
    data[start:] = bytes(len(data) - start)
    path.write_bytes(data)

    with pytest.raises(DeepmarkError, match=r"clip\.mp4: no frame of it can be decoded\. It is damaged or cut off"):
        read(path)


def test_frames_that_are_damaged_are_left_out_and_counted(tmp_path):
    noise = np.random.default_rng(1).integers(0, 255, (30, 64, 96, 3), np.uint8)
    path = written(tmp_path / "clip.mp4", list(noise))
    data = bytearray(path.read_bytes())
    middle = data.index(b"mdat") + (len(data) - data.index(b"mdat")) // 2
    data[middle : middle + 4000] = bytes(4000)
    path.write_bytes(data)

    with VideoReader(path) as reader:
        count = sum(1 for _ in reader)
        assert reader.damaged > 0
    assert 0 < count < 30


def test_sources_are_told_apart():
    assert all(map(is_video, ("a.mp4", "folder/b.MOV", "0", "12")))
    assert not any(map(is_video, ("a.jpg", "folder", "123", "-1", "0.png")))
    assert [camera_number(source) for source in ("0", "12", "a.mp4", "0.mp4")] == [0, 12, None, None]


def test_a_camera_that_is_not_there_is_told():
    with pytest.raises(DeepmarkError, match=r"^camera 97: there is no /dev/video97\. "):
        VideoReader("97")
