"""What the benchmarks that train light networks say of a command that fails."""

import sys

import pytest
from workspaces import REPOSITORY

sys.path.append(str(REPOSITORY / "benchmarks"))
from light_trainings import run
from messages import one_message


def test_a_command_that_fails_ends_the_benchmark_with_one_message_that_names_its_log(tmp_path):
    with pytest.raises(SystemExit) as end, one_message("recipes"):
        run(tmp_path, "train")

    log = tmp_path / "log.txt"
    assert end.value.code == f"recipes: `deepmark train` failed in {tmp_path}; the end of {log} says why."
    assert "params.yaml" in log.read_text("utf-8")
