"""Files and folders are written whole or not at all."""

import json
import os
import threading
from pathlib import Path

import pytest

from deepmark.errors import DeepmarkError
from deepmark.files import new_file, new_folder, require_space, unique_file, write_json, write_text


class PowerCutError(Exception):
    pass


def test_a_file_that_was_not_finished_leaves_the_old_one(tmp_path):
    path = tmp_path / "a.txt"
    path.write_text("old")
    with pytest.raises(PowerCutError), new_file(path) as draft:
        draft.write_text("half")
        raise PowerCutError
    assert path.read_text() == "old"
    assert list(tmp_path.iterdir()) == [path]


def test_a_folder_that_was_not_finished_leaves_the_old_one(tmp_path):
    path = tmp_path / "a"
    path.mkdir()
    (path / "old").write_text("old")
    with pytest.raises(PowerCutError), new_folder(path) as draft:
        (draft / "new").write_text("half")
        raise PowerCutError
    assert [file.name for file in path.iterdir()] == ["old"]
    assert list(tmp_path.iterdir()) == [path]


def test_a_finished_folder_takes_the_place_of_the_old_one(tmp_path):
    path = tmp_path / "a"
    for name in ("first", "second"):
        with new_folder(path) as draft:
            (draft / name).write_text(name)
    assert [file.name for file in path.iterdir()] == ["second"]
    assert list(tmp_path.iterdir()) == [path]


def test_the_files_of_a_killed_process_are_deleted(tmp_path):
    (tmp_path / "a.unfinished").mkdir()
    (tmp_path / "a.unfinished" / "rubbish").write_text("x")
    with new_folder(tmp_path / "a") as draft:
        (draft / "good").write_text("x")
    assert [file.name for file in (tmp_path / "a").iterdir()] == ["good"]
    assert [file.name for file in tmp_path.iterdir()] == ["a"]


def test_the_old_folder_comes_back_after_a_kill_between_the_two_renames(tmp_path):
    (tmp_path / "a.unfinished/a.old").mkdir(parents=True)
    (tmp_path / "a.unfinished/a.old/file").write_text("old")
    with pytest.raises(PowerCutError), new_folder(tmp_path / "a"):
        raise PowerCutError
    assert (tmp_path / "a" / "file").read_text() == "old"


def test_json_keeps_every_digit_and_refuses_nan(tmp_path):
    path = tmp_path / "a.json"
    write_json(path, {"value": 0.1 + 0.2})
    assert json.loads(path.read_text())["value"] == 0.1 + 0.2
    with pytest.raises(ValueError, match="not JSON compliant"):
        write_json(path, {"value": float("nan")})
    assert json.loads(path.read_text())["value"] == 0.1 + 0.2


@pytest.mark.parametrize("kind", ["file", "folder"])
def test_two_writers_of_the_same_do_not_disturb_each_other(tmp_path, kind):
    """Both are in the middle of their work at the same time, and the last to finish stays."""
    path, both = tmp_path / "a", threading.Barrier(2, timeout=60)
    errors = []

    def write(text):
        try:
            with new_file(path) if kind == "file" else new_folder(path) as draft:
                file = draft if kind == "file" else draft / "file"
                both.wait()
                file.write_text(text)
                both.wait()
        except Exception as error:
            errors.append(error)

    writers = [threading.Thread(target=write, args=(name * 1000,)) for name in "xy"]
    for writer in writers:
        writer.start()
    for writer in writers:
        writer.join()

    assert errors == []
    assert (path if kind == "file" else path / "file").read_text() in ("x" * 1000, "y" * 1000)
    assert list(tmp_path.iterdir()) == [path]


def test_a_late_writer_of_the_same_file_never_makes_it_half(tmp_path):
    path = tmp_path / "a.tar"
    with unique_file(path) as late:
        late.write(b"who")
        late.flush()
        with unique_file(path) as retry:
            retry.write(b"whole")
        assert path.read_bytes() == b"whole"
        late.write(b"le")
    assert path.read_bytes() == b"whole"

    with pytest.raises(PowerCutError), unique_file(path) as failing:
        failing.write(b"half")
        raise PowerCutError
    assert path.read_bytes() == b"whole"
    assert list(tmp_path.iterdir()) == [path]


def test_every_draft_of_killed_processes_is_deleted(tmp_path):
    for name in ("a.unfinished", "a.2.unfinished", "a.3.unfinished"):
        (tmp_path / name / "a").mkdir(parents=True)
    write_text(tmp_path / "a", "good")

    assert [file.name for file in tmp_path.iterdir()] == ["a"]


def test_an_error_between_the_two_renames_loses_nothing(tmp_path, monkeypatch):
    path = tmp_path / "a"
    write_text(path / "file", "old")
    rename = Path.rename

    def refuse_the_draft(source, target):
        if target == path and not source.name.endswith(".old"):
            raise PermissionError(1, "Operation not permitted", str(source))
        return rename(source, target)

    monkeypatch.setattr(Path, "rename", refuse_the_draft)
    with pytest.raises(PermissionError) as refused, new_folder(path) as draft:
        (draft / "file").write_text("new")

    assert refused.value.filename == str(path)
    assert (path / "file").read_text() == "old"
    assert list(tmp_path.iterdir()) == [path]


def test_what_somebody_calls_old_is_not_touched(tmp_path):
    write_text(tmp_path / "report.old/mine", "kept")
    with new_folder(tmp_path / "report"):
        pass

    assert (tmp_path / "report.old/mine").read_text() == "kept"


def test_a_new_file_has_the_usual_permissions_and_a_linked_one_keeps_its_own(tmp_path):
    mine, umask = tmp_path / "mine.jpg", os.umask(0o022)
    try:
        mine.touch(0o600)
        with new_folder(tmp_path / "a") as draft:
            (draft / "model").touch(0o600)  # as safetensors makes its files
            os.link(mine, draft / "linked.jpg")
    finally:
        os.umask(umask)

    assert (tmp_path / "a/model").stat().st_mode & 0o777 == 0o644
    assert mine.stat().st_mode & 0o777 == 0o600


def test_a_full_disk_is_told_with_the_name_of_what_was_written(tmp_path):
    with pytest.raises(OSError, match="No space left") as full, new_file(tmp_path / "a.parquet"):
        raise OSError(28, "No space left on device")

    assert full.value.filename == str(tmp_path / "a.parquet")


def test_what_cannot_fit_is_refused_with_both_sizes(tmp_path):
    require_space(tmp_path / "not/yet/there", 1)
    with pytest.raises(DeepmarkError, match=r"a: needs about 1,048,576 GiB, and only .* are free on the disk of"):
        require_space(tmp_path / "a", 2**50)
