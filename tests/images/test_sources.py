"""Images as people have them: files that are open, and arrays of every kind."""

import os
from io import BytesIO, StringIO

import numpy as np
import pytest
from encoded_images import GREY, encoded, noise
from PIL import Image

from deepmark.errors import DeepmarkError
from deepmark.images import open_image, read_image, sources

PNG = encoded(noise())


def test_a_file_that_is_open_is_read_from_its_start_and_as_often_as_one_likes(tmp_path):
    (tmp_path / "x.png").write_bytes(PNG)
    written = BytesIO()
    Image.fromarray(noise()).save(written, "png")  # and stands at its end

    with (tmp_path / "x.png").open("rb") as file:
        for source in (file, file, written, written):
            assert np.array_equal(read_image(source), noise())


def test_a_file_that_cannot_seek_is_read_to_its_end():
    reader, writer = os.pipe()
    with os.fdopen(writer, "wb") as file:
        file.write(PNG)

    with os.fdopen(reader, "rb") as file:
        assert np.array_equal(read_image(file), noise())


class InParts:
    """A file that gives a few bytes at a time, as a socket does."""

    def __init__(self, data: bytes) -> None:
        self.rest = data

    def read(self, size: int = -1, /) -> bytes:
        part, self.rest = self.rest[:7], self.rest[7:]
        return part


def test_a_file_that_gives_less_than_it_is_asked_for_is_read_on():
    assert np.array_equal(read_image(InParts(PNG)), noise())


def closed():
    file = BytesIO(PNG)
    file.close()
    return file


@pytest.mark.parametrize(
    ("file", "message"),
    [
        (StringIO("text"), "photo: a file whose read() gives str, not bytes. Open it with mode 'rb'."),
        (BytesIO(), "photo: an empty file, not a JPEG"),
        (BytesIO(b"words"), "photo: text, not a JPEG"),
        (BytesIO(PNG[:-100]), "photo: a PNG that is cut off"),
        (closed(), "photo: cannot be read (I/O operation on closed file)."),
    ],
)
def test_a_file_that_is_open_and_no_image_is_named(file, message):
    with pytest.raises(DeepmarkError) as error:
        read_image(file, name="photo")
    assert str(error.value).startswith(message)


def test_of_a_file_without_an_end_no_more_is_read_than_the_limit(monkeypatch):
    monkeypatch.setattr(sources, "MAX_BYTES", 1000)

    with open("/dev/zero", "rb") as file, pytest.raises(DeepmarkError, match="photo: more than 1,000 bytes"):  # noqa: PTH123
        read_image(file, name="photo")


def test_a_grey_array_with_and_without_channels_is_grey():
    wanted = np.stack([GREY] * 3, axis=2)

    assert np.array_equal(read_image(GREY), wanted)
    assert np.array_equal(read_image(GREY[..., None]), wanted)
    assert open_image(GREY[::2, ::-1]).size == (3, 8)


def test_an_array_with_transparency_shows_the_ground_that_a_file_shows():
    rgba = noise(channels=4)

    assert np.array_equal(read_image(rgba), read_image(encoded(rgba)))
    assert np.array_equal(read_image(np.dstack([noise(), np.zeros((6, 8), np.uint8)])), np.full((6, 8, 3), 255))


@pytest.mark.parametrize(
    ("dtype", "shape"),
    [
        ("float32", (6, 8, 3)),
        ("uint16", (6, 8)),
        ("bool", (6, 8)),
        ("uint8", (8,)),
        ("uint8", (3, 6, 8)),
        ("uint8", (6, 8, 2)),
        ("uint8", (1, 6, 8, 3)),
        ("uint8", (0, 8)),
    ],
)
def test_other_arrays_are_refused_by_type_and_shape(dtype, shape):
    with pytest.raises(DeepmarkError) as error:
        read_image(np.zeros(shape, dtype))
    assert str(error.value) == (
        f"the image: an array of {dtype} and shape {shape}. Give uint8, 0 to 255: grey (height x width), "
        "RGB (height x width x 3) or RGBA (height x width x 4)."
    )
