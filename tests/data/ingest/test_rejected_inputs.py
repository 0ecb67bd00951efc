"""Inputs that cannot be used are rejected, with a reason for people, and none is lost."""

import hashlib
import os
import random
import struct

import pytest
from encoded_images import with_orientation
from ingested import ingest, records_of, rejected_of, write_item
from tiny_dataset import HEIGHT, WIDTH, image_as, jpeg, write_split

from deepmark.data.ingest.validate import MOST_ANNOTATION_BYTES
from deepmark.images import MOST_SCANS
from deepmark.params import IngestParams


def patch_size(data, height, width):
    """The JPEG with another size written into its header."""
    start = data.index(b"\xff\xc0") + 5
    return data[:start] + struct.pack(">HH", height, width) + data[start + 4 :]


def _remove(path):
    def change(folder):
        (folder / path).unlink()

    return change


def _write(path, content):
    def change(folder):
        (folder / path).write_bytes(content)

    return change


def _change_item(**changes):
    return lambda folder: write_item(folder, **changes)


def _folder_in_place(folder):
    (folder / "image/000004.jpg").unlink()
    (folder / "image/000004.jpg").mkdir()


def _pipe_in_place(folder):
    (folder / "annos/000004.json").unlink()
    os.mkfifo(folder / "annos/000004.json")


def _link_to_nowhere(folder):
    (folder / "image/000004.jpg").unlink()
    (folder / "image/000004.jpg").symlink_to("nowhere.jpg")


PICTURE, ANNOTATION = "image/000004.jpg", "annos/000004.json"
JPEG = jpeg(4)
MANY_SCANS = JPEG[:-2] + b"\xff\xda\0\2" * MOST_SCANS + JPEG[-2:]


UNUSABLE = {
    # name: (what happens to picture 4, the kind, the offending file, words of the reason)
    "no_picture": (_remove(PICTURE), "picture_missing", ANNOTATION, "no image image/000004.jpg"),
    "no_annotation": (_remove(ANNOTATION), "annotation_missing", PICTURE, "no annotation annos/000004.json"),
    "picture_empty": (_write(PICTURE, b""), "picture_unreadable", PICTURE, "is an empty file, not a JPEG"),
    "picture_json": (_write(PICTURE, b'{"a": 1}'), "picture_unreadable", PICTURE, "is JSON, not a JPEG"),
    "picture_text": (_write(PICTURE, b"a shirt"), "picture_unreadable", PICTURE, "is text, not a JPEG"),
    "picture_webp": (_write(PICTURE, image_as("WEBP")), "picture_unreadable", PICTURE, "is a WebP, not a JPEG"),
    "picture_cmyk": (_write(PICTURE, image_as("JPEG", "CMYK")), "picture_unreadable", PICTURE, "convert it to RGB"),
    "picture_of_zeros": (
        _write(PICTURE, bytes(99)),
        "picture_unreadable",
        PICTURE,
        "nothing but zero bytes",
    ),
    "picture_cut_by_a_byte": (_write(PICTURE, JPEG[:-1]), "picture_unreadable", PICTURE, "Premature end"),
    "picture_halved": (_write(PICTURE, JPEG[: len(JPEG) // 2]), "picture_unreadable", PICTURE, "Premature end"),
    "picture_header_only": (_write(PICTURE, JPEG[:100]), "picture_unreadable", PICTURE, "not an intact JPEG"),
    "picture_png": (
        _write(PICTURE, b"\x89PNG\r\n\x1a\n" + bytes(99)),
        "picture_unreadable",
        PICTURE,
        "is a PNG, not a JPEG",
    ),
    "picture_oversized": (
        _write(PICTURE, patch_size(JPEG, 30_000, 30_000)),
        "picture_too_large",
        PICTURE,
        "30000 x 30000 pixels, more than the 50 megapixels",
    ),
    "picture_of_many_scans": (_write(PICTURE, MANY_SCANS), "picture_unreadable", PICTURE, "scans"),
    "picture_is_a_folder": (_folder_in_place, "file_unreadable", PICTURE, "is not a file"),
    "picture_links_to_nowhere": (_link_to_nowhere, "file_unreadable", PICTURE, "is not a file"),
    "annotation_is_a_pipe": (_pipe_in_place, "file_unreadable", ANNOTATION, "is not a file"),
    "annotation_too_large": (
        _write(ANNOTATION, b" " * (MOST_ANNOTATION_BYTES + 1)),
        "annotation_too_large",
        ANNOTATION,
        "bytes",
    ),
    "annotation_empty": (_write(ANNOTATION, b""), "json_unreadable", ANNOTATION, "is an empty file, not JSON"),
    "annotation_not_json": (_write(ANNOTATION, b"{"), "json_unreadable", ANNOTATION, "not JSON"),
    "annotation_nan": (_write(ANNOTATION, b'{"pair_id": NaN}'), "number_not_finite", ANNOTATION, "NaN"),
    "annotation_key_twice": (_write(ANNOTATION, b'{"a": 1, "a": 2}'), "key_duplicate", ANNOTATION, "'a'"),
    "annotation_deep": (_write(ANNOTATION, b"[" * 10**6), "json_unreadable", ANNOTATION, "nested too deeply"),
    "annotation_without_items": (
        _write(ANNOTATION, b'{"source": "shop", "pair_id": 1}'),
        "items_missing",
        ANNOTATION,
        "no item",
    ),
    "category_0": (_change_item(category_id=0), "category_unknown", ANNOTATION, "item1: category_id"),
    "category_14": (_change_item(category_id=14), "category_unknown", ANNOTATION, "item1: category_id"),
    "another_name": (_change_item(category_name="skirt"), "category_name_differs", ANNOTATION, "'skirt'"),
    "landmarks_short": (_change_item(landmarks=[0] * 72), "landmarks_wrong_number", ANNOTATION, "found 72"),
    "visibility_7": (_change_item(landmarks=[1, 1, 7] * 25), "field_invalid", ANNOTATION, "found 7"),
    "landmark_far": (_change_item(landmarks=[1e9, 1, 2] * 25), "coordinate_out_of_range", ANNOTATION, "landmarks"),
    "box_empty": (_change_item(bounding_box=[5, 5, 5, 9]), "box_empty", ANNOTATION, "bounding_box"),
    "box_inverted": (_change_item(bounding_box=[9, 5, 5, 9]), "box_empty", ANNOTATION, "bounding_box"),
    "box_outside": (_change_item(bounding_box=[-9, -9, -1, -1]), "box_outside", ANNOTATION, "bounding_box"),
    "polygon_odd": (_change_item(segmentation=[[1] * 7]), "field_invalid", ANNOTATION, "segmentation"),
    "scale_4": (_change_item(scale=4), "field_invalid", ANNOTATION, "scale"),
    "style_negative": (_change_item(style=-3), "field_invalid", ANNOTATION, "style"),
    "field_unknown": (_change_item(brand="x"), "field_unknown", ANNOTATION, "'brand'"),
}


@pytest.mark.parametrize(("change", "kind", "path", "words"), UNUSABLE.values(), ids=UNUSABLE.keys())
def test_an_unusable_input_is_rejected_with_reason_path_and_sha256(raw, change, kind, path, words):
    change(raw / "train")

    result = ingest(raw)

    (rejected,) = rejected_of(raw)
    assert (rejected["name"], rejected["kind"], rejected["path"]) == ("000004", kind, path)
    assert words in rejected["reason"]
    file = raw / "train" / path
    assert rejected["sha256"] == (hashlib.sha256(file.read_bytes()).hexdigest() if file.is_file() else "")
    assert (result.files, result.records, result.rejected, result.kinds) == (7, 6, 1, {kind: 1})
    assert [record.id for record in records_of(raw)] == [1, 2, 3, 5, 6, 7]


@pytest.mark.parametrize(
    "path",
    [
        "image/000008.png",
        "image/8.jpg",
        "image/0000008.jpg",
        "image/٠٠٠٠٠٨.jpg",
        "annos/000008.txt",
        "annos/000008.jpg",
    ],
)
def test_a_file_of_another_name_is_rejected(raw, path):
    (raw / "train" / path).write_bytes(b"x")

    result = ingest(raw)

    (rejected,) = rejected_of(raw)
    assert (rejected["kind"], rejected["path"], rejected["sha256"]) == (
        "name_unexpected",
        path,
        hashlib.sha256(b"x").hexdigest(),
    )
    assert (result.files, result.records) == (8, 7)


def test_a_file_whose_name_is_not_text_is_rejected(raw):
    (raw / "train/image" / os.fsdecode(b"\xff.jpg")).write_bytes(b"x")

    ingest(raw)

    assert [rejected["path"] for rejected in rejected_of(raw)] == ["image/\\xff.jpg"]


def test_labels_that_fit_only_the_image_as_exif_turns_it_are_rejected_with_both_sizes(raw):
    (raw / "train/image/000004.jpg").write_bytes(image_as("JPEG", exif=with_orientation(6)))
    write_item(raw / "train", bounding_box=[0, 0, HEIGHT, WIDTH], landmarks=[0] * 75)

    result = ingest(raw)

    (rejected,) = rejected_of(raw)
    assert result.kinds == {"orientation_differs": 1}
    assert "leave the image of 60 x 80 as stored, and fit the one of 80 x 60" in rejected["reason"]


def test_hidden_files_are_not_inputs(raw):
    (raw / "train/image/.DS_Store").write_bytes(b"x")
    (raw / "train/annos/._000001.json").write_bytes(b"x")

    assert ingest(raw).files == 7


def test_a_damaged_file_becomes_a_record_or_is_rejected_and_none_is_lost(raw):
    rng = random.Random(0)
    write_split(raw / "train", 60)
    for number in range(1, 61):
        file = raw / "train" / rng.choice([f"image/{number:06d}.jpg", f"annos/{number:06d}.json"])
        data = bytearray(file.read_bytes())
        for _ in range(rng.randint(1, 3)):
            data[rng.randrange(len(data))] = rng.randrange(256)
        file.write_bytes(data[: rng.choice([len(data), rng.randrange(len(data))])])

    result = ingest(raw)

    accepted, rejected_ids = (
        {record.id for record in records_of(raw)},
        {int(rejected["name"]) for rejected in rejected_of(raw)},
    )
    assert accepted | rejected_ids == set(range(1, 61))
    assert not accepted & rejected_ids
    assert (result.records, result.rejected) == (len(accepted), len(rejected_ids))
    assert rejected_ids


def test_a_megapixel_limit_of_the_users_own_is_kept(raw):
    (raw / "train/image/000004.jpg").write_bytes(jpeg(4, size=(200, 100)))

    result = ingest(raw, params=IngestParams(max_rejected_share=1, max_megapixels=0.0199))

    assert result.kinds == {"picture_too_large": 1}
