"""Only a workspace gets a Dagster instance."""

import subprocess
import sys

import pytest

from deepmark.errors import DeepmarkError
from pipelines.instance import dagster_home


def test_a_folder_that_is_no_workspace_gets_no_instance(tmp_path):
    with pytest.raises(DeepmarkError, match=r"no workspace\. `make demo` makes runs/demo, `deepmark init DIR`"):
        dagster_home(tmp_path)
    assert not list(tmp_path.iterdir())


@pytest.mark.slow
def test_the_ui_before_the_demo_says_what_to_do_in_one_message(tmp_path):
    command = [sys.executable, "-m", "pipelines.ui", "--workspace", str(tmp_path / "demo")]
    done = subprocess.run(command, capture_output=True, text=True, check=False)

    assert done.returncode == 1
    assert done.stderr.startswith(f"pipelines.ui: {tmp_path / 'demo'}: no workspace.")
    assert "Traceback" not in done.stderr
