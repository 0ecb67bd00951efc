"""DVC and Dagster in one environment: hydra and Dagster's selections want different releases of antlr."""

import subprocess
import sys
from pathlib import Path

import dagster as dg
import pytest

DVC = Path(sys.executable).with_name("dvc")


@pytest.mark.filterwarnings("ignore::dagster.BetaWarning")  # of the parser's own use of Dagster
@pytest.mark.parametrize("text", ["*", 'key:"records"+', 'group:"data" or key:"report"'])
def test_dagster_reads_selection_strings(text):
    assert str(dg.AssetSelection.from_string(text)) == text


@pytest.mark.slow
def test_dvc_runs_an_experiment_with_changed_params(tmp_path):
    (tmp_path / "params.yaml").write_text("train:\n  epochs: 63\n")
    (tmp_path / "dvc.yaml").write_text(
        "stages:\n  train:\n    cmd: echo '{\"epochs\"':${train.epochs}'}' > made.json\n"
        "    params: [train]\n    metrics: [made.json: {cache: false}]\n"
    )
    identity = ["-c", "user.name=test", "-c", "user.email=test@localhost", "-c", "commit.gpgsign=false"]
    for command in (
        ["git", "init", "-q"],
        [DVC, "init", "-q"],
        [DVC, "config", "core.analytics", "false"],
        ["git", "add", "--all"],
        ["git", *identity, "commit", "-q", "-m", "start"],
        [DVC, "exp", "run", "-S", "train.epochs=2"],
    ):
        done = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True, check=False)
        assert done.returncode == 0, done.stderr

    assert (tmp_path / "made.json").read_text() == '{"epochs":2}\n'
    assert (tmp_path / "params.yaml").read_text() == "train:\n  epochs: 2\n"
