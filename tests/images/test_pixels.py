"""What the pixels of an image are, whatever its file: orientation, depth, transparency, colour model, frames."""

import struct
import zlib

import numpy as np
import pytest
import simplejpeg
from encoded_images import GREY, encoded, noise, smooth, with_orientation
from PIL import Image, ImageCms

from deepmark.data.jpeg import decode_and_warp, warp, warp_opened
from deepmark.images import open_image, read_image

AFFINE = np.array([[0.25, 0, 3.0], [0, 0.25, 5.0]])


STORED = {
    1: lambda image: image,
    2: lambda image: image[:, ::-1],
    3: lambda image: image[::-1, ::-1],
    4: lambda image: image[::-1],
    5: lambda image: image.swapaxes(0, 1),
    6: lambda image: np.rot90(image),
    7: lambda image: np.rot90(image, 2).swapaxes(0, 1),
    8: lambda image: np.rot90(image, -1),
}
"""By EXIF orientation: how a camera stores an upright image."""


@pytest.mark.parametrize("kind", ["png", "tiff", "webp"])
@pytest.mark.parametrize("orientation", STORED)
def test_an_image_is_turned_the_way_its_camera_was_held(kind, orientation):
    upright = noise()
    stored = np.ascontiguousarray(STORED[orientation](upright))
    options = {"lossless": True} if kind == "webp" else {}
    opened = open_image(encoded(stored, kind, exif=with_orientation(orientation), **options))

    assert opened.size == (6, 8)
    assert np.array_equal(opened.pixels(), upright)


@pytest.mark.parametrize("orientation", STORED)
def test_a_jpeg_is_turned_too_whole_or_decoded_smaller(orientation):
    upright = smooth()
    stored = np.ascontiguousarray(STORED[orientation](upright))
    opened = open_image(encoded(stored, "jpeg", quality=98, subsampling=0, exif=with_orientation(orientation)))

    assert opened.size == (90, 130)
    assert np.abs(opened.pixels().astype(int) - upright).mean() < 2
    assert opened.shrunk(4)[0].shape == (23, 33, 3)
    difference = warp_opened(opened, AFFINE, (40, 40)).astype(int) - warp(upright, AFFINE, (40, 40))
    inside = difference[6:26, 4:34]  # a pixel at the border is half image and half canvas
    assert np.abs(inside).max() < 30
    assert np.abs(inside).mean() < 1


@pytest.mark.parametrize("value", [0, 9, 65535])
def test_an_orientation_that_does_not_exist_is_none(value):
    image = noise()

    assert np.array_equal(read_image(encoded(image, exif=with_orientation(value))), image)


@pytest.mark.parametrize("progressive", [False, True])
def test_a_jpeg_is_decoded_as_prediction_decodes_it(progressive):
    jpeg = encoded(smooth((400, 300)), "jpeg", quality=90, progressive=progressive)

    assert np.array_equal(read_image(jpeg), simplejpeg.decode_jpeg(jpeg, "RGB"))
    assert np.array_equal(
        warp_opened(open_image(jpeg), AFFINE, (99, 77)),
        decode_and_warp(jpeg, AFFINE, (99, 77)),
    )


@pytest.mark.parametrize(
    ("image", "kind"),
    [
        (Image.fromarray(GREY.astype(np.uint16) * 257), "png"),
        (Image.fromarray(GREY.astype(np.uint16) * 257), "tiff"),
        (Image.fromarray(GREY.astype(">u2") * 257), "tiff"),
        (Image.fromarray(GREY), "jpeg2000"),
        (Image.fromarray(GREY).convert("LA"), "png"),
        (Image.fromarray(GREY).convert("RGBA"), "png"),
        (Image.fromarray(GREY).convert("P"), "gif"),
        (Image.fromarray(GREY), "bmp"),
    ],
)
def test_a_grey_image_of_any_depth_is_its_twin_of_8_bits(image, kind):
    assert np.array_equal(read_image(encoded(image, kind)), np.stack([GREY] * 3, axis=2))


def png_of(rows, *, bits, colour):
    """A PNG file, of numbers that are stored as they are; for kinds that Pillow does not write."""
    height, width = rows.shape[:2]

    def chunk(name, data):
        return struct.pack(">I", len(data)) + name + data + struct.pack(">I", zlib.crc32(name + data))

    header = struct.pack(">IIBBBBB", width, height, bits, colour, 0, 0, 0)
    lines = b"".join(b"\0" + row.tobytes() for row in rows)
    chunks = [(b"IHDR", header), (b"IDAT", zlib.compress(lines)), (b"IEND", b"")]
    return b"\x89PNG\r\n\x1a\n" + b"".join(chunk(*each) for each in chunks)


def test_colours_of_16_bits_are_those_of_8():
    image = noise()

    assert np.array_equal(read_image(png_of(image.astype(">u2") * 257, bits=16, colour=2)), image)


def test_a_netpbm_file_of_16_bits_is_its_twin_of_8():
    pgm = b"P5 8 6 65535\n" + (GREY.astype(">u2") * 257).tobytes()

    assert np.array_equal(read_image(pgm)[..., 0], GREY)


def test_black_and_white_are_0_and_255():
    black_left = np.zeros((6, 8), bool)
    black_left[:, 4:] = True

    assert read_image(encoded(Image.fromarray(black_left)))[0, :, 0].tolist() == [0] * 4 + [255] * 4


def transparent(mode):
    """A black image, invisible in its left half."""
    layer = Image.new("RGBA", (8, 6), (0, 0, 0, 255))
    layer.paste((0, 0, 0, 0), (0, 0, 4, 6))
    return layer.convert(mode)


@pytest.mark.parametrize(
    "source",
    [
        transparent("RGBA"),
        transparent("LA"),
        transparent("RGBa"),
        transparent("LA").convert("La"),
        encoded(transparent("RGBA"), "png"),
        encoded(transparent("RGBA"), "webp", lossless=True),
        encoded(Image.fromarray(np.array([[7] * 4 + [0] * 4] * 6, np.uint8)), "png", transparency=7),
        encoded(Image.fromarray(np.array([[7] * 4 + [0] * 4] * 6, np.uint16)), "png", transparency=7),
        encoded(Image.fromarray(np.array([[7] * 4 + [0] * 4] * 6, np.uint8)).convert("P"), "png", transparency=7),
        encoded(Image.fromarray(np.array([[7] * 4 + [0] * 4] * 6, np.uint8)).convert("P"), "gif", transparency=7),
    ],
)
def test_what_is_transparent_shows_a_white_ground(source):
    assert read_image(source)[3].tolist() == [[255] * 3] * 4 + [[0] * 3] * 4


def test_a_palette_becomes_its_colours():
    image = Image.fromarray(noise((6, 8))).quantize(256)

    assert np.array_equal(read_image(encoded(image, "png")), np.asarray(image.convert("RGB")))


@pytest.mark.parametrize("mode", ["CMYK", "YCbCr", "HSV", "LAB"])
def test_other_colour_models_become_rgb(mode):
    red = Image.new("RGB", (8, 6), (250, 10, 10))
    if mode == "LAB":
        image = ImageCms.profileToProfile(
            red, ImageCms.createProfile("sRGB"), ImageCms.createProfile("LAB"), outputMode="LAB"
        )
    else:
        image = red.convert(mode)
    kinds = {"CMYK": ["tiff", "jpeg"], "LAB": ["tiff"]}.get(mode, [])  # of files that have this model

    for source in (image, *(encoded(image, kind) for kind in kinds)):
        assert np.abs(read_image(source).astype(int) - (250, 10, 10)).max() < 8


@pytest.mark.parametrize("kind", ["gif", "png", "webp", "tiff"])
def test_of_several_frames_the_first_counts_and_the_note_says_so(kind):
    first, second = Image.fromarray(smooth()), Image.new("RGB", (130, 90))
    opened = open_image(encoded(first, kind, save_all=True, append_images=[second]))

    assert opened.pixels().max() == 255
    assert opened.note == "it has several frames or pages, and the first one is used"
    assert open_image(encoded(first, kind)).note == ""


def test_a_depth_map_that_a_phone_adds_to_a_jpeg_is_no_second_frame():
    opened = open_image(encoded(smooth(), "mpo", save_all=True, append_images=[Image.new("RGB", (130, 90))]))

    assert (opened.kind, opened.note) == ("a JPEG", "")
    assert opened.pixels().max() == 255
