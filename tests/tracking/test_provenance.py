"""The versions of code, workspace and data that a result is tagged with."""

import subprocess

from deepmark.tracking.provenance import code_version, data_version, workspace_version


def commit(folder, *files):
    for command in (
        ["init", "-q"],
        ["add", *files],
        ["-c", "user.name=a", "-c", "user.email=a@b", "-c", "commit.gpgsign=false", "commit", "-q", "-m", "x"],
    ):
        subprocess.run(["git", *command], cwd=folder, check=True)
    return subprocess.check_output(["git", "rev-parse", "HEAD"], cwd=folder, text=True).strip()


def test_the_version_of_a_workspace_is_its_commit_and_says_when_it_was_edited_since(tmp_path):
    (tmp_path / "params.yaml").write_text("a: 1\n")
    (tmp_path / "dvc.lock").write_text("stages: {}\n")
    assert workspace_version(tmp_path) is None

    head = commit(tmp_path, "params.yaml", "dvc.lock")
    (tmp_path / "dvc.lock").write_text("stages: {train: {}}\n")
    assert workspace_version(tmp_path) == head

    (tmp_path / "params.yaml").write_text("a: 2\n")
    assert workspace_version(tmp_path) == f"{head}-dirty"


def test_a_workspace_inside_a_repository_that_does_not_know_it_has_no_commit(tmp_path):
    (tmp_path / "other").write_text("")
    commit(tmp_path, "other")
    (tmp_path / "runs").mkdir()
    (tmp_path / "runs/params.yaml").write_text("")

    assert workspace_version(tmp_path / "runs") is None


def test_versions_are_unknown_where_git_is_not_installed(tmp_path, monkeypatch):
    monkeypatch.setenv("PATH", str(tmp_path))

    assert code_version() is None


def test_the_data_version_changes_with_the_shards_only(tmp_path):
    lock = """
stages:
  shard@train:
    outs: [{path: data/shards/train, md5: %s}]
  train:
    outs: [{path: data/checkpoint, md5: %s}]
"""

    def version(shards, model):
        (tmp_path / "dvc.lock").write_text(lock % (shards, model))
        return data_version(tmp_path)

    assert data_version(tmp_path) is None
    assert version("aa", "bb") == version("aa", "cc")
    assert version("aa", "bb") != version("dd", "bb")
