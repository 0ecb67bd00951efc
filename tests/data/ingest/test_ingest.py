import hashlib
import json
import os
import random
import struct

import pyarrow.parquet as pq
import pytest
import simplejpeg
from tiny_dataset import HEIGHT, LENIENT, WIDTH, annotation, item, jpeg, same, write_annotation, write_split

from deepmark.data.ingest.ingest import ingest_split
from deepmark.data.ingest.statistics import count_records
from deepmark.data.ingest.validate import MOST_ANNOTATION_BYTES, MOST_SCANS
from deepmark.data.records import read_records
from deepmark.errors import DeepmarkError
from deepmark.params import IngestParams
from deepmark.schema import CATEGORIES, SUBSETS


def ingest(raw, *, split="train", params=LENIENT, workers=1, **options):
    return ingest_split(raw, split=split, out=raw.parent / "records", params=params, workers=workers, **options)


def records_of(raw):
    return list(read_records(raw.parent / "records/train.parquet"))


def rejects_of(raw):
    return pq.read_table(raw.parent / "records/train.rejected.parquet").to_pylist()


def statistics_of(raw):
    return json.loads((raw.parent / "records/train.statistics.json").read_text("utf-8"))


def patch_size(data, height, width):
    """The JPEG with another size written into its header."""
    start = data.index(b"\xff\xc0") + 5
    return data[:start] + struct.pack(">HH", height, width) + data[start + 4 :]


def test_pictures_and_annotations_become_records_in_the_order_of_their_numbers(raw):
    result = ingest(raw)

    records = records_of(raw)
    assert (result.files, result.records, result.rejected) == (7, 7, 0)
    assert str(result) == "train: 7 inputs = 7 records + 0 set aside"
    assert [record.id for record in records] == list(range(1, 8))
    for record in records:
        data = (raw / "train" / record.file).read_bytes()
        values = annotation(record.id)
        assert record.sha256 == hashlib.sha256(data).hexdigest()
        assert (record.bytes, record.height, record.width) == (len(data), HEIGHT, WIDTH)
        assert (record.source, record.pair_id) == (values["source"], values["pair_id"])
        assert [garment.item for garment in record.garments] == sorted(key for key in values if key[:4] == "item")
    assert rejects_of(raw) == []


def _remove(path):
    def change(folder):
        (folder / path).unlink()

    return change


def _write(path, content):
    def change(folder):
        (folder / path).write_bytes(content)

    return change


def _change_item(**changes):
    def change(folder):
        write_annotation(folder, 4, {"source": "shop", "pair_id": 1, "item1": {**item(), **changes}})

    return change


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
MANY_SCANS = JPEG[:-2] + b"\xff\xda" * (MOST_SCANS + 1) + JPEG[-2:]

UNFIT = {
    # name: (what happens to picture 4, the kind, the offending file, words of the reason)
    "no_picture": (_remove(PICTURE), "picture_missing", ANNOTATION, "no picture image/000004.jpg"),
    "no_annotation": (_remove(ANNOTATION), "annotation_missing", PICTURE, "no annotation annos/000004.json"),
    "picture_empty": (_write(PICTURE, b""), "picture_unreadable", PICTURE, "not an intact JPEG"),
    "picture_cut_by_a_byte": (_write(PICTURE, JPEG[:-1]), "picture_unreadable", PICTURE, "Premature end"),
    "picture_halved": (_write(PICTURE, JPEG[: len(JPEG) // 2]), "picture_unreadable", PICTURE, "Premature end"),
    "picture_header_only": (_write(PICTURE, JPEG[:100]), "picture_unreadable", PICTURE, "not an intact JPEG"),
    "picture_png": (_write(PICTURE, b"\x89PNG\r\n\x1a\n" + bytes(99)), "picture_unreadable", PICTURE, "intact JPEG"),
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


@pytest.mark.parametrize(("change", "kind", "path", "words"), UNFIT.values(), ids=UNFIT.keys())
def test_an_unfit_input_is_set_aside_with_reason_path_and_sha256(raw, change, kind, path, words):
    change(raw / "train")

    result = ingest(raw)

    (reject,) = rejects_of(raw)
    assert (reject["name"], reject["kind"], reject["path"]) == ("000004", kind, path)
    assert words in reject["reason"]
    file = raw / "train" / path
    assert reject["sha256"] == (hashlib.sha256(file.read_bytes()).hexdigest() if file.is_file() else "")
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
def test_a_file_of_another_name_is_set_aside(raw, path):
    (raw / "train" / path).write_bytes(b"x")

    result = ingest(raw)

    (reject,) = rejects_of(raw)
    assert (reject["kind"], reject["path"], reject["sha256"]) == (
        "name_unexpected",
        path,
        hashlib.sha256(b"x").hexdigest(),
    )
    assert (result.files, result.records) == (8, 7)


def test_a_file_whose_name_is_not_text_is_set_aside(raw):
    (raw / "train/image" / os.fsdecode(b"\xff.jpg")).write_bytes(b"x")

    ingest(raw)

    assert [reject["path"] for reject in rejects_of(raw)] == ["image/\\xff.jpg"]


def test_hidden_files_are_no_inputs(raw):
    (raw / "train/image/.DS_Store").write_bytes(b"x")
    (raw / "train/annos/._000001.json").write_bytes(b"x")

    assert ingest(raw).files == 7


def test_a_picture_may_be_a_link(raw):
    picture = raw / "train/image/000004.jpg"
    picture.rename(raw / "elsewhere.jpg")
    picture.symlink_to(raw / "elsewhere.jpg")

    assert ingest(raw).records == 7


def test_a_damaged_file_becomes_a_record_or_is_set_aside_and_none_is_lost(raw):
    rng = random.Random(0)
    write_split(raw / "train", 60)
    for number in range(1, 61):
        file = raw / "train" / rng.choice([f"image/{number:06d}.jpg", f"annos/{number:06d}.json"])
        data = bytearray(file.read_bytes())
        for _ in range(rng.randint(1, 3)):
            data[rng.randrange(len(data))] = rng.randrange(256)
        file.write_bytes(data[: rng.choice([len(data), rng.randrange(len(data))])])

    result = ingest(raw)

    kept, aside = {record.id for record in records_of(raw)}, {int(reject["name"]) for reject in rejects_of(raw)}
    assert kept | aside == set(range(1, 61))
    assert not kept & aside
    assert (result.records, result.rejected) == (len(kept), len(aside))
    assert aside


def test_a_box_past_the_border_is_clipped_and_counted(raw):
    _change_item(bounding_box=[-3, 4, WIDTH + 7, 60])(raw / "train")

    result = ingest(raw)

    assert records_of(raw)[3].garments[0].box.tolist() == [0, 4, WIDTH, 60]
    assert result.notes["boxes_clipped"] == statistics_of(raw)["boxes_clipped"] == 1


def test_an_item_without_landmarks_stays_and_is_counted(raw):
    _change_item(landmarks=[0] * 75)(raw / "train")

    ingest(raw)

    assert not records_of(raw)[3].garments[0].landmarks.any()
    assert statistics_of(raw)["items_without_landmarks"] == 1


def test_every_number_of_workers_writes_the_same_files(raw):
    write_split(raw / "train", 150)
    (raw / "train/image/000017.jpg").unlink()
    (raw / "train/annos/000133.json").write_bytes(b"{")

    contents = []
    for workers in (1, 2, 3):
        ingest(raw, workers=workers)
        contents.append({path.name: path.read_bytes() for path in (raw.parent / "records").iterdir()})

    assert contents[0] == contents[1] == contents[2]
    assert sorted(contents[0]) == ["train.parquet", "train.rejected.parquet", "train.statistics.json"]


def test_progress_hears_of_every_input_once(raw):
    (raw / "train/image/000003.jpg").unlink()
    heard = []

    ingest(raw, progress=heard.append)

    assert sum(heard) == 7


def test_more_rejects_than_allowed_stop_the_stage_and_the_old_records_stay(raw):
    ingest(raw)
    before = (raw.parent / "records/train.parquet").read_bytes()
    (raw / "train/image/000004.jpg").unlink()

    with pytest.raises(DeepmarkError) as caught:
        ingest(raw, params=IngestParams(max_rejected_share=0.1, max_megapixels=50))

    message = str(caught.value)
    assert "7 inputs = 6 records + 1 set aside (1 picture missing)" in message
    assert "max_rejected_share = 0.1" in message
    assert "train.rejected.parquet" in message
    assert [reject["name"] for reject in rejects_of(raw)] == ["000004"]
    assert (raw.parent / "records/train.parquet").read_bytes() == before


def test_as_many_rejects_as_allowed_do_not_stop_the_stage(raw):
    (raw / "train/image/000004.jpg").unlink()

    result = ingest(raw, params=IngestParams(max_rejected_share=1 / 7, max_megapixels=50))

    assert result.rejected == 1


def test_a_megapixel_limit_of_the_users_own_is_kept(raw):
    (raw / "train/image/000004.jpg").write_bytes(jpeg(4, size=(200, 100)))

    result = ingest(raw, params=IngestParams(max_rejected_share=1, max_megapixels=0.0199))

    assert result.kinds == {"picture_too_large": 1}


@pytest.mark.parametrize("workers", [1, 2])
def test_an_interrupted_ingest_leaves_the_old_files(raw, workers):
    write_split(raw / "train", 130)
    ingest(raw)
    before = {path.name: path.read_bytes() for path in (raw.parent / "records").iterdir()}
    write_split(raw / "train", 10, first=200)

    def interrupt(count):
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        ingest(raw, workers=workers, progress=interrupt)

    assert {path.name: path.read_bytes() for path in (raw.parent / "records").iterdir()} == before


@pytest.mark.parametrize("kind", ["image", "annos"])
def test_a_missing_folder_says_where_the_data_comes_from(raw, kind):
    (raw / "train" / kind).rename(raw / "elsewhere")

    with pytest.raises(DeepmarkError, match=rf"train/{kind}: no such folder.*docs/data\.md"):
        ingest(raw)


def test_empty_folders_are_an_error(tmp_path):
    write_split(tmp_path / "raw/validation", 0)

    with pytest.raises(DeepmarkError, match=r"image and annos are empty.*docs/data\.md"):
        ingest(tmp_path / "raw", split="validation")


def test_statistics_count_what_the_records_hold(raw):
    ingest(raw)

    statistics = statistics_of(raw)
    garments = [garment for record in records_of(raw) for garment in record.garments]
    labelled = sum(int((garment.landmarks[:, 2] > 0).sum()) for garment in garments)
    assert (statistics["inputs"], statistics["records"], statistics["pictures"]) == (7, 7, 7)
    assert statistics["items"] == len(garments)
    assert statistics["labelled_landmarks"] == labelled
    for parts in statistics["by"].values():
        assert sum(part["items"] for part in parts.values()) == len(garments)
        assert sum(part["labelled_landmarks"] for part in parts.values()) == labelled
        assert sum(part["share_of_items"] for part in parts.values()) == pytest.approx(1, abs=1e-4)
    for field, words in SUBSETS.items():
        for value, word in words.items():
            alike = [garment for garment in garments if getattr(garment, field) == value]
            assert statistics["by"][field][word]["items"] == len(alike)


def test_statistics_show_the_shares_of_the_released_set(raw):
    ingest(raw)

    categories = statistics_of(raw)["by"]["category"]
    assert list(categories) == [category.name for category in CATEGORIES]
    assert sum(part["released_items"] for part in categories.values()) == 312_186
    assert sum(part["released_share_of_items"] for part in categories.values()) == pytest.approx(1, abs=1e-4)


def test_a_picture_with_two_items_of_a_category_counts_once_as_a_picture(raw):
    write_annotation(raw / "train", 4, {"source": "shop", "pair_id": 1, "item1": item(9), "item2": item(9, seed=1)})
    ingest(raw)

    part = count_records([records_of(raw)[3]]).as_dict("train")["by"]["category"][CATEGORIES[8].name]

    assert (part["pictures"], part["items"]) == (1, 2)


def test_an_orientation_in_exif_does_not_turn_the_picture(raw):
    # One tag, 0x0112 = 6: "turn by 90 degrees". Annotations are in pixels as stored.
    tiff = b"MM\0*\0\0\0\x08" + struct.pack(">HHHIHHI", 1, 0x0112, 3, 1, 6, 0, 0)
    exif = b"Exif\0\0" + tiff
    turned = JPEG[:2] + b"\xff\xe1" + struct.pack(">H", len(exif) + 2) + exif + JPEG[2:]
    (raw / "train/image/000004.jpg").write_bytes(turned)

    ingest(raw)

    assert simplejpeg.is_jpeg(turned)
    assert (records_of(raw)[3].height, records_of(raw)[3].width) == (HEIGHT, WIDTH)


def test_ingest_twice_gives_the_same_records(raw):
    ingest(raw)
    first = records_of(raw)

    ingest(raw)

    assert same(tuple(first), tuple(records_of(raw)))
