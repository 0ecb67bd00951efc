"""Child processes find our commands and packages, and git's errors are messages."""

import os

import pytest
from workspaces import REPOSITORY

from deepmark.errors import DeepmarkError
from deepmark.workspace.environment import child_environment, tool
from deepmark.workspace.git import git, run_git


def test_our_commands_and_packages_come_before_others(monkeypatch):
    monkeypatch.setenv("PATH", "/other")
    monkeypatch.setenv("PYTHONPATH", "/theirs")
    environment = child_environment()

    assert environment["PATH"] == os.pathsep.join([str(tool("dvc").parent), "/other"])
    assert environment["PYTHONPATH"] == os.pathsep.join([str(REPOSITORY), "/theirs"])


def test_an_error_of_git_is_raised_with_its_message_or_returned(tmp_path):
    with pytest.raises(DeepmarkError, match=r"`git rev-parse HEAD` failed: fatal: not a git repository"):
        git(tmp_path, "rev-parse", "HEAD")
    assert run_git(tmp_path, "rev-parse", "HEAD").returncode == 128
