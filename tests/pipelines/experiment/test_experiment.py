"""An experiment runs in a copy, DVC knows it afterwards, and the workspace stays as it is."""

import json
import shutil
import sys
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import dagster as dg
import pytest
from dagster._core.snap import JobSnap
from dagster._core.snap.snap_to_yaml import default_values_yaml_from_type_snap
from ruamel.yaml import YAML
from toy_experiment import COMMANDS, GRAPH
from toy_workspace import ends_when_interrupted
from workspaces import commit, run

from assets import dvc_asset as dvc_assets
from deepmark.errors import DeepmarkError
from deepmark.workspace.git import git
from deepmark.workspace.init import init_workspace
from pipelines.code_location import build_definitions
from pipelines.experiment.workspace_copy import keep, workspace_copy
from pipelines.jobs.names import EXPERIMENT, EXPERIMENT_TAG, PARAMS_TAG

pytestmark = pytest.mark.system

ASKED = {"name": "slow-start", "params": {"train": {"epochs": 2, "init": "data/start.safetensors"}}}
RUN = "0123abcd-0000-4000-8000-000000000000"

Launch = Callable[..., dg.ExecuteInProcessResult]


@pytest.fixture(scope="module")
def made_once(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A workspace in which everything is made and committed; git knows neither raw files nor initial weights."""
    root = init_workspace(tmp_path_factory.mktemp("experiment") / "made", "demo").root
    (root / "dvc.yaml").write_text(GRAPH)
    (root / "commands.py").write_text(COMMANDS)
    (root / "data/raw/train").mkdir(parents=True)
    (root / "data/raw/train/1.jpg").touch()
    (root / "data/start.safetensors").write_text("start weights")
    done = run("dvc", "repro", "--quiet", cwd=root)
    assert done.code == 0, done.err
    commit(root)
    shutil.rmtree(root / "runs")
    return root


@pytest.fixture
def made(made_once: Path, tmp_path: Path) -> Path:
    return Path(shutil.copytree(made_once, tmp_path / "größer, 100%", symlinks=True))


@pytest.fixture
def launch() -> Iterator[Launch]:
    with dg.DagsterInstance.ephemeral() as instance:

        def launch(workspace: Path, **asked: object) -> dg.ExecuteInProcessResult:
            job = build_definitions(workspace).resolve_job_def(EXPERIMENT)
            return job.execute_in_process(instance=instance, run_config=asked, run_id=RUN, raise_on_error=False)

        yield launch


@dataclass(frozen=True)
class Ran:
    workspace: Path
    tags: dict[str, str]
    shown: dict[str, Any]
    said: list[str]


@pytest.fixture(scope="module")
def ran(made_once: Path, tmp_path_factory: pytest.TempPathFactory) -> Ran:
    """An experiment, run once, in a workspace where a killed process has left a copy of the same name."""
    workspace = Path(shutil.copytree(made_once, tmp_path_factory.mktemp("ran") / "ran", symlinks=True))
    (workspace / "runs/experiments/slow-start/workspace/data").mkdir(parents=True)
    with dg.DagsterInstance.ephemeral() as instance:
        job = build_definitions(workspace).resolve_job_def(EXPERIMENT)
        result = job.execute_in_process(instance=instance, run_config=ASKED, run_id=RUN)
        (output,) = [event for event in result.all_events if event.event_type_value == "STEP_OUTPUT"]
        said = [record.user_message for record in instance.all_logs(RUN)]
        shown = {name: value.value for name, value in output.step_output_data.metadata.items()}
        return Ran(workspace, dict(instance.get_run_by_id(RUN).tags), shown, said)


def kept(root: Path, file: str, name: str = "slow-start") -> Any:
    (ref,) = git(root, "for-each-ref", "--format=%(refname)", f"refs/exps/*/*/{name}").split()
    return json.loads(git(root, "show", f"{ref}:{file}"))


def why(result: dg.ExecuteInProcessResult) -> str:
    assert not [event for event in result.all_events if event.is_step_up_for_retry]
    (failure,) = [event for event in result.all_events if event.is_step_failure]
    return failure.step_failure_data.user_failure_data.description


def test_dvc_shows_the_parameters_and_the_metrics_of_an_experiment(ran):
    params = run("dvc", "params", "diff", "--json", "HEAD", "slow-start", cwd=ran.workspace).facts
    table = run("dvc", "exp", "show", "--csv", cwd=ran.workspace).out

    assert params["params.yaml"] == {
        "train.epochs": {"old": 5, "new": 2, "diff": -3},
        "train.init": {"old": None, "new": "data/start.safetensors"},
    }
    assert kept(ran.workspace, "metrics/train.json") == {"loss": 4.0}
    assert "slow-start" in table


def test_the_workspace_stays_as_it_is_and_no_copy_is_left(ran, made_once):
    assert git(ran.workspace, "status", "--porcelain") == ""
    assert git(ran.workspace, "rev-parse", "HEAD") == git(made_once, "rev-parse", "HEAD")
    assert json.loads((ran.workspace / "metrics/train.json").read_text()) == {"loss": 1.6}
    assert not list((ran.workspace / "runs/experiments").iterdir())


def test_epochs_are_in_the_runs_log_and_stages_that_nothing_reaches_do_not_run(ran):
    assert [line for line in ran.said if line.startswith("epoch")] == ["epoch 1: loss 8", "epoch 2: loss 4"]
    assert not any("Running stage 'ingest'" in line for line in ran.said)


def test_the_run_shows_its_parameters_beside_those_of_the_workspace(ran):
    assert ran.tags[EXPERIMENT_TAG] == "slow-start"
    assert ran.tags[PARAMS_TAG] == 'train.epochs: 2, train.init: "data/start.safetensors"'
    assert "| params.yaml: train.epochs | 5 | 2 |" in ran.shown["params"]
    assert "| metrics/train.json: loss | 1.6 | 4 |" in ran.shown["metrics"]
    assert "dvc exp apply slow-start" in ran.shown["look further"]


def test_an_experiment_is_applied_to_the_workspace_and_nothing_is_left_to_do(ran, tmp_path):
    root = shutil.copytree(ran.workspace, tmp_path / "applied", symlinks=True)
    assert run("dvc", "exp", "apply", "slow-start", cwd=root).code == 0

    assert "Data and pipelines are up to date" in run("dvc", "repro", cwd=root).out
    assert json.loads((root / "data/checkpoint/training.json").read_text()) == {
        "start": "start weights",  # git does not know the file: it was linked
        "DEEPMARK_EXPERIMENT": "slow-start",
        "MLFLOW_TRACKING_URI": f"sqlite:///{ran.workspace}/mlflow.db",
    }


def test_a_finished_experiment_that_is_executed_again_is_told_as_such(ran, launch):
    before = git(ran.workspace, "for-each-ref")
    result = launch(ran.workspace, **ASKED)
    (output,) = [event for event in result.all_events if event.event_type_value == "STEP_OUTPUT"]

    assert result.success
    assert output.step_output_data.metadata["nothing ran"].value == "the experiment was finished before"
    assert git(ran.workspace, "for-each-ref") == before


def test_other_parameters_are_not_taken_for_the_experiment_that_is_executed_again(ran, launch):
    words = why(launch(ran.workspace, **ASKED | {"params": {"train.epochs": 3}}))

    assert "has kept its experiment 'slow-start', with other parameters (train.epochs: 2, train.init: " in words
    assert "Give this one a name of its own" in words


def test_the_launchpad_opens_with_an_example_that_runs(made, launch):
    job = JobSnap.from_job_def(build_definitions(made).resolve_job_def(EXPERIMENT))
    schema = job.config_schema_snapshot
    root = schema.get_config_snap(job.mode_def_snaps[0].root_config_key)
    shown = YAML(typ="safe").load(default_values_yaml_from_type_snap(schema, root))

    assert shown["params"] == {"predict.nms_iou": 0.6}
    assert launch(made, **shown).success
    assert "nms_iou" in run("dvc", "params", "diff", "HEAD", f"run-{RUN[:8]}", cwd=made).out


def test_a_killed_training_continues_and_raw_files_are_linked_for_the_stage_that_reads_them(made, launch, monkeypatch):
    monkeypatch.setattr(dvc_assets, "RETRY_SECONDS", 0)
    (made / "dies").touch()  # nobody has committed it
    (made / "data/raw/train/2.jpg").touch()
    result = launch(made, params={"ingest.max_megapixels": 60, "train.epochs": 2}, targets=["train"])

    assert result.success
    assert len([event for event in result.all_events if event.is_step_up_for_retry]) == 1
    assert kept(made, "metrics/train.json", f"run-{RUN[:8]}") == {"loss": 4.0}
    assert (made / "runs/train/digest/2").exists()
    assert git(made, "status", "--porcelain") == "?? dies"


def test_a_cancelled_experiment_leaves_no_process_and_no_copy(made):
    (made / "endless").touch()
    program = (
        "import sys, pathlib; from pipelines.code_location import build_definitions;"
        "build_definitions(pathlib.Path(sys.argv[1])).resolve_job_def('experiment')"
        ".execute_in_process(run_config={'name': 'x', 'params': {'train.epochs': 1}})"
    )
    copy = made / "runs/experiments/x/workspace"
    command = [sys.executable, "-c", program, made]

    assert ends_when_interrupted(command, copy)
    assert not list((made / "runs/experiments").iterdir())
    assert git(made, "for-each-ref", "refs/exps") == ""


@pytest.mark.parametrize(
    ("asked", "words"),
    [
        ({"params": {"train.epoch": 2}}, "params: train: 'epoch' is not a parameter. Did you mean 'epochs'?"),
        ({"params": {"train.epochs": 0}}, "params: train: epochs: Input should be greater than or equal to 1"),
        ({"params": {}, "targets": ["trian"]}, "'trian' is not a stage of"),
        ({"params": {}, "name": "a/b"}, "'a/b' cannot be the name of an experiment"),
        ({"params": {}, "name": "main"}, "The name 'main' is taken, by refs/heads/main"),
        ({"params": {"automation.timezone": "Europe/Berlin"}}, "There is nothing to run"),
    ],
)
def test_a_configuration_that_cannot_run_is_refused_and_not_tried_again(made_once, launch, asked, words):
    assert words in why(launch(made_once, **asked))


def test_an_experiment_of_another_run_keeps_its_name(ran):
    job = build_definitions(ran.workspace).resolve_job_def(EXPERIMENT)
    result = job.execute_in_process(run_config=ASKED, raise_on_error=False)

    assert "The name 'slow-start' is taken, by refs/exps/" in why(result)
    assert "`dvc exp remove slow-start`" in why(result)


def test_two_experiments_of_one_name_cannot_run_at_once(made):
    params = (made / "params.yaml").read_text()
    with (
        workspace_copy(made, "twice", params) as copy,
        pytest.raises(DeepmarkError, match=r"'twice' is running already\. Wait for it"),
        workspace_copy(made, "twice", params),
    ):
        pass
    assert not copy.exists()


def test_a_name_that_was_taken_meanwhile_stays_with_the_first(made):
    params = (made / "params.yaml").read_text()
    with workspace_copy(made, "one", params) as one, workspace_copy(made, "other", params) as other:
        keep(made, one, "both", "the first")
        first = git(made, "for-each-ref")
        with pytest.raises(DeepmarkError, match=r"'both' was taken while the experiment ran\. Launch it again"):
            keep(made, other, "both", "the second")

    assert git(made, "for-each-ref") == first


@pytest.mark.parametrize(
    ("gone", "words"),
    [(".git/refs/heads/main", "has no commit.*git add --all"), (".dvc", "not a DVC repository. .*dvc init")],
)
def test_a_workspace_without_commit_or_dvc_is_refused(made, gone, words):
    shutil.rmtree(made / gone, ignore_errors=True)
    (made / gone).unlink(missing_ok=True)

    with pytest.raises(DeepmarkError, match=words), workspace_copy(made, "x", ""):
        pass
