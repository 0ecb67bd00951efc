"""A whole workspace that was moved: DVC finds nothing to do, and its registry works, for two processes at once too."""

import subprocess

import pytest
from registered import aliases, load_champion
from workspaces import run

from deepmark.registry.promote import promote, rollback
from deepmark.registry.register import register
from deepmark.workspace.environment import child_environment, tool
from deepmark.workspace.layout import Workspace

pytestmark = pytest.mark.system

STAGES = ("ingest", "shard", "train")


def test_a_trained_and_registered_workspace_is_used_where_it_was_moved_to(pair, tmp_path):
    old = pair.root
    committed = run("dvc", "commit", "--force", *STAGES, cwd=old)
    assert committed.code == 0, committed.err
    moved = Workspace(old.rename(tmp_path / "another place"))

    status = run("dvc", "status", "--json", *STAGES, cwd=moved.root)
    assert status.facts == {}, status.err
    command = [
        tool("deepmark"),
        "models",
        "--workspace",
        moved.root,
        "--json",
    ]  # both find the old place in the database
    env = child_environment()
    both = [subprocess.Popen(command, env=env, stdout=subprocess.PIPE, stderr=subprocess.PIPE) for _ in range(2)]
    ended = [(process.communicate(), process.returncode) for process in both]
    assert [code for _, code in ended] == [0, 0], ended
    assert ended[0][0][0] == ended[1][0][0]

    assert register(moved)["version"] == 2
    assert promote(moved).champion == 2
    assert aliases(moved) == {2: ("champion",), 1: ()}
    assert rollback(moved) == {"champion": 1, "rolled_back": 2}
    assert load_champion(moved) is not None
    assert not old.exists()
