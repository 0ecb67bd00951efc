"""Raw files become records, the same for any number of workers, and nothing is half written."""

import hashlib

import pytest
from encoded_images import with_orientation
from ingested import ingest, records_of, rejected_of, statistics_of, write_item
from tiny_dataset import HEIGHT, WIDTH, annotation, image_as, same, write_split

from deepmark.data.ingest import ingest as ingest_module
from deepmark.errors import DeepmarkError
from deepmark.params import IngestParams


def test_images_and_annotations_become_records_in_the_order_of_their_numbers(raw):
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
    assert rejected_of(raw) == []


def test_an_image_may_be_a_link(raw):
    picture = raw / "train/image/000004.jpg"
    picture.rename(raw / "elsewhere.jpg")
    picture.symlink_to(raw / "elsewhere.jpg")

    assert ingest(raw).records == 7


def test_a_box_past_the_border_is_clipped_and_counted(raw):
    write_item(raw / "train", bounding_box=[-3, 4, WIDTH + 7, 60])

    result = ingest(raw)

    assert records_of(raw)[3].garments[0].box.tolist() == [0, 4, WIDTH, 60]
    assert result.notes["boxes_clipped"] == statistics_of(raw)["boxes_clipped"] == 1


@pytest.mark.slow
def test_every_number_of_workers_and_every_size_of_a_piece_write_the_same_files(raw, monkeypatch):
    write_split(raw / "train", 150)
    (raw / "train/image/000017.jpg").unlink()
    (raw / "train/annos/000133.json").write_bytes(b"{")

    contents = []
    for workers, chunk in ((1, 256), (2, 16), (3, 7)):
        monkeypatch.setattr(ingest_module, "CHUNK", chunk)
        ingest(raw, workers=workers)
        contents.append({path.name: path.read_bytes() for path in (raw.parent / "records").iterdir()})

    assert contents[0] == contents[1] == contents[2]
    assert sorted(contents[0]) == ["train.parquet", "train.rejected.parquet", "train.statistics.json"]


def test_a_listing_that_is_given_is_not_made_again(raw, monkeypatch):
    listed = ingest_module.list_inputs(raw / "train")
    monkeypatch.setattr(ingest_module, "list_inputs", None)

    assert ingest(raw, inputs=listed).records == 7


def test_progress_counts_every_input_once(raw):
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
    first = "annos/000004.json: there is no image image/000004.jpg for it"
    assert f"7 inputs = 6 records + 1 set aside (1 picture missing), the first of them {first}" in message
    assert "max_rejected_share = 0.1" in message
    assert "train.rejected.parquet" in message
    assert [rejected["name"] for rejected in rejected_of(raw)] == ["000004"]
    assert (raw.parent / "records/train.parquet").read_bytes() == before


def test_as_many_rejects_as_allowed_do_not_stop_the_stage(raw):
    (raw / "train/image/000004.jpg").unlink()

    result = ingest(raw, params=IngestParams(max_rejected_share=1 / 7, max_megapixels=50))

    assert result.rejected == 1


@pytest.mark.slow
@pytest.mark.parametrize("workers", [1, 2])
def test_an_interrupted_ingest_leaves_the_old_files(raw, workers, monkeypatch):
    monkeypatch.setattr(ingest_module, "CHUNK", 16)
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


@pytest.mark.parametrize("orientation", [3, 6])
def test_an_orientation_in_exif_does_not_turn_the_image_and_is_counted(raw, orientation):
    """Annotations are in pixels as stored."""
    (raw / "train/image/000004.jpg").write_bytes(image_as("JPEG", exif=with_orientation(orientation)))

    result = ingest(raw)

    assert (records_of(raw)[3].height, records_of(raw)[3].width) == (HEIGHT, WIDTH)
    assert result.notes["orientation_ignored"] == statistics_of(raw)["orientation_ignored"] == 1


def test_damaged_exif_data_says_nothing(raw):
    data = image_as("JPEG", exif=with_orientation(6)).replace(b"Exif\0\0MM", b"Exif\0\0XX")
    (raw / "train/image/000004.jpg").write_bytes(data)

    assert ingest(raw).notes["orientation_ignored"] == 0


def test_ingest_twice_gives_the_same_records(raw):
    ingest(raw)
    first = records_of(raw)

    ingest(raw)

    assert same(tuple(first), tuple(records_of(raw)))
