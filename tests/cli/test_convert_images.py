"""`deepmark convert --from coco` and `deepmark ingest` tell what became of every image."""

import json

import pytest
from encoded_images import with_orientation
from ingested import ingest, records_of
from plain_workspace import plain_workspace
from tiny_dataset import image_as, write_split
from workspaces import refused

from deepmark.data.coco.writer import write_coco
from deepmark.vocabulary import DEEPFASHION2


@pytest.fixture
def words(tmp_path):
    """The words of a conversion of four images, the last one a PNG."""
    write_split(tmp_path / "raw/train", 4)
    ingest(tmp_path / "raw")
    write_coco(tmp_path / "coco.json", records_of(tmp_path / "raw"), vocabulary=DEEPFASHION2)
    images = tmp_path / "raw/train/image"
    (images / "000004.jpg").write_bytes(image_as("PNG"))
    return "convert", "--from", "coco", tmp_path / "coco.json", "--images", images, "--out", tmp_path / "again/train"


def test_images_in_the_file_and_those_that_were_converted_are_counted(deepmark, words, tmp_path):
    done = deepmark(*words, "--json")

    assert done.code == 0, done.err
    assert f"4 images in {tmp_path / 'coco.json'} = 4 written + 0 without items, left out" in done.err
    assert "not linked but written as JPEGs of quality 95: 1 PNG" in done.err
    assert (done.facts["pictures_in_file"], done.facts["changed"]) == (4, {"PNG": 1})


def test_the_user_says_what_labels_refer_to_where_the_size_does_not_tell(deepmark, words, tmp_path):
    (tmp_path / "raw/train/image/000002.jpg").write_bytes(image_as("JPEG", exif=with_orientation(3)))

    done = deepmark(*words)
    assert (done.code, done.out) == (1, "")
    assert done.err.endswith("Say which with --orientation.\n")
    assert not (tmp_path / "again/train").exists()
    assert "1 orientation 3, labels stored" in deepmark(*words, "--orientation", "stored").err


def test_orientation_goes_with_from(deepmark):
    done = deepmark("convert", "--to", "coco", "--split", "train", "--out", "x", "--orientation", "stored")

    assert refused(done, "--to coco takes no --orientation. It goes with --from coco.")


def test_large_ids_are_numbered_anew_and_that_is_told(deepmark, words, tmp_path):
    values = json.loads((tmp_path / "coco.json").read_text("utf-8"))
    for fields in (*values["images"], *values["annotations"]):
        name = "id" if "file_name" in fields else "image_id"
        fields[name] += 10**9
    (tmp_path / "coco.json").write_text(json.dumps(values), "utf-8")

    done = deepmark(*words, "--json")

    assert done.facts["numbered_anew"] == 4
    told = f"ids of more than nine digits: images are numbered anew, as {tmp_path / 'again/train/images.csv'} says"
    assert told in done.err


def test_ingest_names_the_first_rejected_file_and_its_reason(deepmark, tmp_path):
    workspace = plain_workspace(tmp_path / "workspace")
    write_split(workspace.raw / "train", 200)
    (workspace.raw / "train/image/000007.jpg").write_bytes(image_as("PNG"))

    done = deepmark("ingest", "--split", "train", "--workspace", workspace.root, "--json")

    assert done.facts["files"] == done.facts["records"] + done.facts["rejected"] == 200
    assert done.facts["first_rejected"] == "image/000007.jpg: is a PNG, not a JPEG"
