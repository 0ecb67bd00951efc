import os
import shutil
import time
from pathlib import Path

import pytest

from deepmark.data.ingest.raw_version import read_raw_version
from deepmark.errors import DeepmarkError


@pytest.fixture
def raw(tmp_path: Path) -> Path:
    for file in ("train/image/000001.jpg", "train/annos/000001.json", "validation/image/000002.jpg"):
        (tmp_path / "raw" / file).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / "raw" / file).write_text(file)
    return tmp_path / "raw"


def digest(folder: Path) -> str:
    return read_raw_version(folder).digest


def test_files_and_bytes_are_counted(raw):
    version = read_raw_version(raw)

    assert version.files == 3
    assert version.bytes == sum(file.stat().st_size for file in raw.rglob("*.*"))


def test_the_version_stays_the_same_while_files_do_and_wherever_they_lie(raw, tmp_path):
    shutil.copytree(raw, tmp_path / "elsewhere")  # keeps the times of files

    assert digest(raw) == digest(raw) == digest(tmp_path / "elsewhere")


@pytest.mark.parametrize("change", ["add", "remove", "rename", "grow", "touch", "move"])
def test_every_change_of_a_file_is_another_version(raw, change):
    before = digest(raw)
    picture = raw / "train/image/000001.jpg"
    if change == "add":
        (raw / "validation/image/000003.jpg").touch()
    elif change == "remove":
        picture.unlink()
    elif change == "rename":
        picture.rename(picture.with_name("000009.jpg"))
    elif change == "grow":
        times = picture.stat()
        picture.write_text("longer than it was")
        os.utime(picture, ns=(times.st_atime_ns, times.st_mtime_ns))
    elif change == "touch":
        os.utime(picture, ns=(time.time_ns(), picture.stat().st_mtime_ns + 1))
    else:
        picture.rename(raw / "validation/image/000001.jpg")

    assert digest(raw) != before


def test_names_that_begin_with_a_dot_do_not_count(raw):
    before = digest(raw)
    (raw / ".DS_Store").touch()
    (raw / ".cache").mkdir()
    (raw / ".cache/file").touch()

    assert digest(raw) == before


def test_links_to_folders_are_followed_but_not_links_back_to_a_parent(raw, tmp_path):
    shutil.move(raw / "train", tmp_path / "elsewhere")
    (raw / "train").symlink_to(tmp_path / "elsewhere")
    (tmp_path / "elsewhere/up").symlink_to(raw)
    before = read_raw_version(raw)

    (tmp_path / "elsewhere/image/000007.jpg").touch()

    assert read_raw_version(raw).files == before.files + 1


def test_a_broken_link_counts_as_a_file(raw):
    before = digest(raw)
    (raw / "train/image/000005.jpg").symlink_to("nowhere")

    assert digest(raw) != before


def test_a_missing_folder_is_explained(tmp_path):
    with pytest.raises(DeepmarkError, match=r"raw: no such folder.*docs/data.md"):
        read_raw_version(tmp_path / "raw")
