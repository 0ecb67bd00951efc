"""Files and folders are written whole or not at all."""

import json

import pytest

from deepmark.files import new_file, new_folder, write_json


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
    (tmp_path / "a.old").mkdir()
    (tmp_path / "a.old" / "file").write_text("old")
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
