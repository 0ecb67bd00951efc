"""What is said of images that cannot be read, and of those that are too large."""

import os
import struct
import subprocess
import sys
import zlib
from io import BytesIO

import numpy as np
import pytest
from encoded_images import GREY, encoded, noise, smooth, with_orientation
from PIL import Image

from deepmark.errors import DeepmarkError
from deepmark.images import MAX_PIXELS, MOST_SCANS, open_image, read_image

JPEG = encoded(smooth(), "jpeg")
REFUSED = {
    "an empty file, not a JPEG, PNG, WebP, GIF, BMP, TIFF, AVIF, JPEG 2000 or PPM image": b"",
    "a JPEG that is cut off. Copy": JPEG[:900],
    "a JPEG that is cut off. ": JPEG[:100],
    "a PNG that is cut off": encoded(noise((40, 60)))[:-100],
    "a PNG that is cut off.": encoded(noise())[:20],
    "a WebP that is cut off": encoded(noise(), "webp")[:-10],
    "a GIF that is cut off": encoded(Image.fromarray(GREY), "gif")[:-12],
    "a BMP that is cut off": encoded(noise(), "bmp")[:-10],
    "a TIFF that is cut off": encoded(noise(), "tiff")[:-10],
    "a PNG that is damaged": encoded(noise()).replace(b"IDAT", b"IDAT\x01", 1),
    "a JPEG that is damaged, or of an uncommon kind (": JPEG[:-200] + b"\0" * 100 + JPEG[-100:],
    "JSON, not a JPEG": b'{"image": 1}',
    "JSON, not a": b"\xef\xbb\xbf[1, 2]",
    "text, not a JPEG": "no image, mais du texte: é".encode(),
    "text, not a": "text".encode("utf-16"),
    "an HTML page, not": b"<!DOCTYPE html><html>",
    "an SVG drawing, not": b"<?xml version='1.0'?>\n<svg xmlns='http://www.w3.org/2000/svg'/>",
    "a PDF, not": b"%PDF-1.7",
    "a HEIC, not": b"\0\0\0\x18ftypheic\0\0\0\0mif1heic",
    "a video, not": b"\0\0\0\x18ftypmp42\0\0\0\0",
    "a ZIP archive, not": b"PK\x03\x04",
    "macOS's data about another file (AppleDouble), not": b"\0\x05\x16\x07\0\x02\0\0Mac OS X",
    "a pointer of Git LFS, not the file itself, not": b"version https://git-lfs.github.com/spec/v1\n",
    "nothing but zero bytes, not": bytes(5000),
    "data of no known kind, not": bytes(range(256)),
    "has 32 bits a pixel (Pillow's mode F)": encoded(Image.new("F", (8, 6), 0.5), "tiff"),
    "has 32 bits a pixel (Pillow's mode I)": encoded(Image.new("I", (8, 6), 7), "tiff"),
    "a JPEG of more than 100 scans": JPEG[:-2] + b"\xff\xda\0\2" * MOST_SCANS + JPEG[-2:],
}


@pytest.mark.parametrize("message", REFUSED)
def test_what_cannot_be_read_is_told_as_what_it_is(message, tmp_path):
    file = tmp_path / "x.jpg"
    file.write_bytes(REFUSED[message])

    with pytest.raises(DeepmarkError) as error:
        read_image(file)
    assert str(error.value).startswith(f"{file}: {message}")
    with pytest.raises(DeepmarkError, match=r"^images\[3\]: "):
        read_image(REFUSED[message], name="images[3]")
    assert "BytesIO" not in str(error.value)


def test_scans_of_a_thumbnail_or_after_the_end_do_not_count():
    scans = b"\xff\xda\0\2" * (MOST_SCANS + 1)
    thumbnail = b"\xff\xe3" + struct.pack(">H", len(scans) + 2) + scans

    assert np.array_equal(read_image(JPEG[:2] + thumbnail + JPEG[2:] + scans), read_image(JPEG))


@pytest.mark.parametrize(("width", "height"), [(5000, 10_001), (2**31 - 1, 2**31 - 1)])
def test_too_many_pixels_are_refused_by_the_header(width, height):
    data = bytearray(encoded(noise()))
    data[16:24] = struct.pack(">II", width, height)
    data[29:33] = struct.pack(">I", zlib.crc32(data[12:29]))

    with pytest.raises(DeepmarkError, match=r"the image: .*too many"):
        open_image(bytes(data))


def test_the_limit_is_one_for_files_pil_images_and_arrays():
    image = noise((10, 10))

    for source in (encoded(image), encoded(image, "jpeg"), Image.fromarray(image), image):
        assert open_image(source, max_pixels=100).size == (10, 10)
        with pytest.raises(DeepmarkError, match=r"10 x 10 pixels are too many, for 9\.9e-05 megapixels are allowed"):
            open_image(source, max_pixels=99)
    assert MAX_PIXELS == 50e6


def test_a_pil_image_is_not_loaded_where_its_header_claims_too_much():
    image = Image.open(BytesIO(encoded(noise((10, 10)))))

    with pytest.raises(DeepmarkError, match="too many"):
        open_image(image, max_pixels=99)
    assert image.tile  # what Pillow has yet to load


def test_a_file_that_is_too_long_is_not_read(tmp_path):
    with (tmp_path / "long.png").open("wb") as file:
        file.truncate(400_000_001)

    with pytest.raises(DeepmarkError, match=r"long\.png: 400,000,001 bytes, more than 400,000,000"):
        open_image(tmp_path / "long.png")


def test_places_where_no_image_is_are_told_apart(tmp_path):
    (tmp_path / "folder.jpg").mkdir()
    (tmp_path / "link.jpg").symlink_to("nowhere.jpg")
    os.mkfifo(tmp_path / "pipe.jpg")
    (tmp_path / "file").touch()

    for name, message in (
        ("folder.jpg", "a folder. Name an image in it."),
        ("link.jpg", "a broken link."),
        ("pipe.jpg", "a pipe or a device. Name a file."),
        ("missing.jpg", "no such file."),
        ("file/x.jpg", "cannot be read (Not a directory)."),
        ("null\0.jpg", "cannot be read (embedded null byte)."),
        ("x" * 300, "cannot be read (File name too long)."),
    ):
        with pytest.raises(DeepmarkError) as error:
            read_image(tmp_path / name)
        assert str(error.value) == f"{tmp_path / name}: {message}"


@pytest.mark.skipif(os.geteuid() == 0, reason="the administrator may read every file")
def test_a_file_that_may_not_be_read_is_told_as_that(tmp_path):
    (tmp_path / "secret.jpg").write_bytes(JPEG)
    (tmp_path / "secret.jpg").chmod(0)

    with pytest.raises(DeepmarkError, match=r"secret\.jpg: you may not read it"):
        read_image(tmp_path / "secret.jpg")


def test_a_refused_permission_is_told_as_that(tmp_path, monkeypatch):
    def refuse(path):
        raise PermissionError(13, "Permission denied", str(path))

    monkeypatch.setattr("pathlib.Path.read_bytes", refuse)
    (tmp_path / "secret.jpg").touch()

    with pytest.raises(DeepmarkError, match=r"secret\.jpg: you may not read it. Change its permissions"):
        read_image(tmp_path / "secret.jpg")


def test_a_pil_image_that_cannot_be_loaded_is_told_as_that():
    with pytest.raises(DeepmarkError, match=r"images: the PIL image cannot be loaded .*cut off or damaged"):
        read_image(Image.open(BytesIO(encoded(noise((40, 60)))[:-100])), name="images")


def test_warnings_of_pillow_are_not_shown_and_damaged_metadata_does_not_matter():
    exif = bytearray(with_orientation(6).tobytes())
    exif[14:18] = b"\xff" * 4  # the number of entries, and a part of the first one
    image = noise()

    assert np.array_equal(read_image(encoded(image, exif=bytes(exif))), image)


def test_an_object_of_another_type_is_named():
    # in a separate process, because the tests' type checks would come first here
    code = "from deepmark.images import read_image; read_image(7)"

    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)

    assert "DeepmarkError: the image: an object of type int. Give a path, a URL, the bytes of an image" in done.stderr
