"""Each image of a COCO data set is compared with what the file says of it; what does not fit is refused by name."""

import csv
import json
import os
from io import BytesIO

import numpy as np
import pytest
import simplejpeg
from encoded_images import with_orientation
from PIL import Image
from tiny_dataset import HEIGHT, LENIENT, WIDTH, image_as, jpeg, same, write_split

from deepmark.compute.local import Local
from deepmark.data.coco.import_images import QUALITY
from deepmark.data.coco.importer import import_coco
from deepmark.data.coco.writer import write_coco
from deepmark.data.ingest.ingest import ingest_split
from deepmark.data.records import read_records
from deepmark.errors import DeepmarkError
from deepmark.schema import Frame
from deepmark.vocabulary import DEEPFASHION2


def ingested(raw, out):
    ingest_split(raw, split="train", out=out, params=LENIENT, engine=Local(1), vocabulary=DEEPFASHION2)
    return list(read_records(out / "train.parquet"))


@pytest.fixture
def source(tmp_path):
    """The records of four images, which lie in raw/train/image, and their COCO file coco.json."""
    write_split(tmp_path / "raw/train", 4)
    records = ingested(tmp_path / "raw", tmp_path / "records")
    write_coco(tmp_path / "coco.json", records, vocabulary=DEEPFASHION2)
    return records


@pytest.fixture
def image(tmp_path, source):
    """The file of image 4."""
    return tmp_path / "raw/train/image/000004.jpg"


def edited(folder, change):
    values = json.loads((folder / "coco.json").read_text("utf-8"))
    change(values)
    (folder / "coco.json").write_text(json.dumps(values), "utf-8")


def imported(folder, **options):
    return import_coco(
        folder / "coco.json", folder / "raw/train/image", folder / "again/train", DEEPFASHION2, **options
    )


def refused(folder, **options):
    with pytest.raises(DeepmarkError) as error:
        imported(folder, **options)
    assert not (folder / "again/train").exists()
    return str(error.value)


def written(folder, number=4):
    return (folder / f"again/train/image/{number:06d}.jpg").read_bytes()


def renumbered(old, new):
    def change(values):
        for image in values["images"]:
            image["id"] = new if image["id"] == old else image["id"]
        for annotation in values["annotations"]:
            annotation["image_id"] = new if annotation["image_id"] == old else annotation["image_id"]

    return change


def test_images_of_another_size_are_refused_with_both_sizes_and_a_name(tmp_path, source):
    for number in (2, 4):
        (tmp_path / f"raw/train/image/{number:06d}.jpg").write_bytes(jpeg(number, (2 * HEIGHT, 2 * WIDTH)))

    message = refused(tmp_path)

    assert f"image/000002.jpg: has 120 x 160 pixels, and {tmp_path / 'coco.json'} says 60 x 80" in message


@pytest.mark.parametrize("side", ["width", "height"])
@pytest.mark.parametrize("value", [None, 0, -5, 60.5, "60", True])
def test_a_size_that_cannot_be_compared_is_refused(tmp_path, source, side, value):
    edited(tmp_path, lambda values: values["images"][1].update({side: value}))

    assert f"images[1] (id 2, '000002.jpg'): '{side}' should be a whole number of pixels, found {value!r}" in refused(
        tmp_path
    )


@pytest.mark.parametrize(("kind", "mode"), [("PNG", "RGB"), ("WebP", "RGB"), ("BMP", "L")])
def test_other_kinds_of_image_become_jpegs_and_are_counted(tmp_path, image, kind, mode):
    image.write_bytes(image_as(kind, mode))

    facts = imported(tmp_path)

    assert facts["changed"] == {kind: 1}
    (record,) = [one for one in ingested(tmp_path / "again", tmp_path / "records again") if one.id == 4]
    assert (record.width, record.height) == (WIDTH, HEIGHT)
    with Image.open(image) as whole:
        expected = np.asarray(whole.convert("RGB")).astype(int)
    assert np.abs(simplejpeg.decode_jpeg(written(tmp_path)) - expected).mean() < 2
    assert written(tmp_path) == simplejpeg.encode_jpeg(expected.astype(np.uint8), quality=QUALITY, colorspace="RGB")


def test_a_jpeg_of_printing_colours_becomes_one_that_ingest_takes(tmp_path, image):
    image.write_bytes(image_as("JPEG", "CMYK"))

    assert imported(tmp_path)["changed"] == {"CMYK JPEG": 1}
    assert len(ingested(tmp_path / "again", tmp_path / "records again")) == 4


@pytest.mark.parametrize(
    ("content", "words"),
    [
        (b"", "an empty file, not a JPEG"),
        (b"a shirt", "text, not a JPEG, PNG"),
        (b"<html><p>Not found", "an HTML page, not"),
        (b"\0\0\0\x18ftypheic" + bytes(20), "a HEIC, not"),
        (b"\x89PNG\r\n\x1a\n", "a PNG that is cut off"),
        (bytes(40), "nothing but zero bytes, not"),
        (b"version https://git-lfs.github.com/spec/v1\n", "a pointer of Git LFS, not the file itself, not"),
    ],
)
def test_what_is_no_image_is_refused_by_name_and_kind(tmp_path, image, content, words):
    image.write_bytes(content)

    assert refused(tmp_path).startswith(f"{image}: {words}")


def test_an_image_that_is_cut_short_and_cannot_be_converted_is_refused_by_name(tmp_path, image):
    content = image_as("PNG")
    image.write_bytes(content[: len(content) // 2])

    assert refused(tmp_path).startswith(f"{image}: ")


def turned(image, orientation):
    """The image of the file as it is stored, and as EXIF turns it."""
    image.write_bytes(image_as("JPEG", exif=with_orientation(orientation)))
    stored = simplejpeg.decode_jpeg(image.read_bytes())
    return stored, {3: np.rot90(stored, 2), 6: np.rot90(stored, -1)}[orientation]


def swap_sides(values):
    values["images"][3] |= {"width": HEIGHT, "height": WIDTH}
    for annotation in values["annotations"]:
        if annotation["image_id"] == 4:
            annotation["bbox"] = [6, 5, 40, 30]


def test_the_size_tells_whether_labels_are_of_the_stored_or_of_the_upright_image(tmp_path, image):
    stored, upright = turned(image, 6)

    assert imported(tmp_path)["changed"] == {"orientation 6, labels stored": 1}
    assert np.abs(simplejpeg.decode_jpeg(written(tmp_path)).astype(int) - stored).mean() < 2

    edited(tmp_path, swap_sides)
    (tmp_path / "again").rename(tmp_path / "first")
    assert imported(tmp_path)["changed"] == {"orientation 6, labels upright": 1}
    assert np.abs(simplejpeg.decode_jpeg(written(tmp_path)).astype(int) - upright).mean() < 2


def test_an_image_that_was_turned_says_nothing_of_orientation_any_more(tmp_path, image):
    turned(image, 6)
    imported(tmp_path)

    with Image.open(BytesIO(written(tmp_path))) as again:
        assert not again.getexif()


def test_neither_the_stored_nor_the_upright_size_is_refused_with_all_three(tmp_path, image):
    turned(image, 6)
    edited(tmp_path, lambda values: values["images"][3].update(width=WIDTH + 1))

    assert "has 80 x 60 pixels (60 x 80 as stored, before its EXIF data turns it), and" in refused(tmp_path)


def test_where_the_size_does_not_tell_the_image_is_refused_by_name_unless_the_user_says(tmp_path, image):
    stored, upright = turned(image, 3)

    message = refused(tmp_path)
    assert message.startswith(f"{image}: its EXIF data says to turn or mirror it (orientation 3)")
    assert "Say which with --orientation." in message
    for frame, expected in ((Frame.STORED, stored), (Frame.UPRIGHT, upright)):
        imported(tmp_path, frame=frame)
        assert np.abs(simplejpeg.decode_jpeg(written(tmp_path)).astype(int) - expected).mean() < 2
        (tmp_path / "again").rename(tmp_path / frame)


def test_ids_of_more_than_nine_digits_are_numbered_anew_and_the_old_ones_kept(tmp_path, source):
    edited(tmp_path, renumbered(3, 20240101123045))
    facts = imported(tmp_path)
    again = ingested(tmp_path / "again", tmp_path / "records again")

    assert facts["numbered_anew"] == 4
    assert same(tuple(again), tuple(source))
    with (tmp_path / "again/train/images.csv").open(newline="") as file:
        rows = list(csv.DictReader(file))
    assert rows[2] == {"number": "3", "id": "20240101123045", "file_name": "000003.jpg"}
    assert len(rows) == 4


@pytest.mark.parametrize("value", [-1, "3", 3.0, None, 2**63, True])
def test_ids_that_are_no_whole_numbers_are_refused_by_name(tmp_path, source, value):
    edited(tmp_path, renumbered(3, value))

    assert f"images[2] ('000003.jpg'): 'id' should be a whole number, 0 or more, found {value!r}" in refused(tmp_path)


@pytest.mark.parametrize("name", ["000001.jpg", "./000001.jpg", "../image/000001.jpg", "link.jpg"])
def test_two_ids_of_one_file_are_refused_with_both(tmp_path, source, name):
    (tmp_path / "raw/train/image/link.jpg").symlink_to("000001.jpg")
    edited(tmp_path, lambda values: values["images"][2].update(file_name=name))

    assert f"images[2] (id 3, {name!r}): is the file of id 1 ('000001.jpg') too" in refused(tmp_path)


def test_two_hard_links_of_one_file_are_two_images(tmp_path, source):
    folder = tmp_path / "raw/train/image"
    (folder / "000003.jpg").unlink()
    os.link(folder / "000001.jpg", folder / "000003.jpg")

    assert imported(tmp_path)["pictures"] == 4


def test_two_images_with_one_id_are_refused_with_both_names(tmp_path, source):
    edited(tmp_path, renumbered(3, 1))

    assert "images[2] (id 1, '000003.jpg'): '000001.jpg' has the same id" in refused(tmp_path)


def test_names_that_differ_in_case_alone_are_two_images(tmp_path, source):
    folder = tmp_path / "raw/train/image"
    (folder / "000001.jpg").rename(folder / "a.jpg")
    (folder / "000002.jpg").rename(folder / "A.jpg")
    edited(
        tmp_path,
        lambda values: [values["images"][i].update(file_name=name) for i, name in enumerate(["a.jpg", "A.jpg"])],
    )

    imported(tmp_path)
    assert [written(tmp_path, number) for number in (1, 2)] == [jpeg(1), jpeg(2)]


@pytest.mark.parametrize("name", ["x.jpg", "folder", "x" * 300, "nul\0.jpg", "a/b/c.jpg"])
def test_a_file_that_is_not_there_is_named(tmp_path, source, name):
    (tmp_path / "raw/train/image/folder").mkdir()
    edited(tmp_path, lambda values: values["images"][1].update(file_name=name))

    assert f"{name}: is not there, or no file; 1 of the 4 images that {tmp_path / 'coco.json'} names" in refused(
        tmp_path
    )


def test_a_byte_order_mark_is_skipped(tmp_path, source):
    (tmp_path / "coco.json").write_bytes(b"\xef\xbb\xbf" + (tmp_path / "coco.json").read_bytes())

    assert imported(tmp_path)["pictures"] == 4


def test_images_in_the_file_are_those_written_and_those_without_items(tmp_path, source):
    edited(tmp_path, lambda values: values["annotations"].__delitem__(slice(2)))
    facts = imported(tmp_path)

    assert facts["pictures_in_file"] == facts["pictures"] + facts["pictures_without_items"] == 4
    assert facts["pictures_without_items"] == 1
