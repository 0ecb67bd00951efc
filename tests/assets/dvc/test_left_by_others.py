"""What a kill or a merge leaves in a workspace is mended, or told as what it is."""

import subprocess
import sys

import pytest
from workspaces import REPOSITORY

from assets.dvc.dvc_internals import remove_cut_rwlock
from assets.dvc.graph import read_graph
from assets.dvc.repro import StageFailedError, repro
from deepmark.errors import DeepmarkError
from deepmark.params import load_params
from deepmark.workspace.dvc_lock import locked_outs

CUT = [b"", b'{"write": {"/data/x": {"pid": 1, "cm', b"[]", b"\xff\xfe"]
MERGED = "<<<<<<< HEAD\nstages: {}\n=======\nstages: {a: 1}\n>>>>>>> theirs\n"


@pytest.fixture
def rwlock(tmp_path):
    file = tmp_path / ".dvc/tmp/rwlock"
    file.parent.mkdir(parents=True)
    return file


@pytest.mark.parametrize("text", CUT)
def test_a_cut_rwlock_is_removed(rwlock, tmp_path, text):
    rwlock.write_bytes(text)
    remove_cut_rwlock(tmp_path)

    assert not rwlock.exists()


def test_a_whole_rwlock_is_left_to_dvc(rwlock, tmp_path):
    rwlock.write_text('{"write": {}}')
    remove_cut_rwlock(tmp_path)

    assert rwlock.read_text() == '{"write": {}}'


def test_while_dvc_is_at_work_a_cut_rwlock_stays_and_is_named(rwlock, tmp_path):
    rwlock.touch()
    (tmp_path / "dvc").write_text("print('here', flush=True); input()")
    command = [sys.executable, str(tmp_path / "dvc")]
    with subprocess.Popen(command, cwd=tmp_path, stdin=subprocess.PIPE, stdout=subprocess.PIPE) as other:
        assert other.stdout.readline() == b"here\n"
        with pytest.raises(DeepmarkError) as error:
            remove_cut_rwlock(tmp_path)
        other.communicate(b"\n")

    assert f"{rwlock}: cut, by a kill at the wrong moment" in str(error.value)
    assert f"(process {other.pid}). Start again when that has ended" in str(error.value)
    assert rwlock.exists()


@pytest.mark.slow
def test_a_stage_runs_after_a_kill_left_its_rwlock_cut(tmp_path):
    from toy_workspace import make_repository

    make_repository(tmp_path)
    (tmp_path / "dvc.yaml").write_text("stages: {make: {cmd: touch made, outs: [made]}}")
    (tmp_path / ".dvc/tmp").mkdir(exist_ok=True)
    (tmp_path / ".dvc/tmp/rwlock").touch()

    assert repro(tmp_path, "make") == "ran"


@pytest.mark.parametrize("name", ["dvc.yaml", "params.yaml", "dvc.lock"])
def test_a_conflict_of_a_merge_is_told_with_file_line_and_what_to_do(tmp_path, name):
    for file in ("dvc.yaml", "params.yaml"):
        (tmp_path / file).write_text((REPOSITORY / file).read_text("utf-8"), "utf-8")
    (tmp_path / name).write_text(f"# first\n{MERGED}")
    readers = {"dvc.yaml": read_graph, "params.yaml": lambda root: load_params(root / name), "dvc.lock": locked_outs}
    with pytest.raises(DeepmarkError) as read:
        readers[name](tmp_path)
    with pytest.raises(StageFailedError) as made:
        repro(tmp_path, "train")

    assert str(read.value) == str(made.value)
    assert str(read.value).startswith(f"{tmp_path / name}, line 2: two versions are in conflict after a merge. ")
    assert str(read.value).endswith(f"; `git add {name}`.")
    assert ("`git checkout --ours dvc.lock`" in str(read.value)) == (name == "dvc.lock")
