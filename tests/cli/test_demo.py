"""`deepmark demo`: what it prints is true, and it registers its model in its own registry only."""

import shlex
import subprocess
from types import SimpleNamespace

import pytest
from measurements import exported_figures, metrics

from deepmark.cli import demo
from deepmark.digests import write_json_with_digest
from deepmark.errors import DeepmarkError
from deepmark.schema import STRATEGIES
from deepmark.workspace.layout import Workspace
from pipelines import materialize
from pipelines.jobs.runs import PlannedRun, RunFailedError
from pipelines.materialize import materialize_all

REFUSED = (
    ": the gate refuses version 2, and the champion before it serves:\n  landmark AP: -0.1000, needs -0.0020\n"
    "`deepmark promote --force REASON"
)


@pytest.mark.parametrize(("uri", "released"), [(None, True), ("", True), ("http://127.0.0.1:9", False)])
def test_the_model_is_registered_only_where_no_other_people_s_registry_is_named(tmp_path, monkeypatch, uri, released):
    monkeypatch.delenv("MLFLOW_TRACKING_URI", raising=False)
    if uri is not None:
        monkeypatch.setenv("MLFLOW_TRACKING_URI", uri)
    commands = []

    def run(command, **options):
        commands.append(command)
        return subprocess.CompletedProcess(command, 1)

    monkeypatch.setattr(demo, "init_workspace", lambda root, profile: Workspace(root))
    monkeypatch.setattr(demo, "_draw", lambda workspace, **numbers: None)
    monkeypatch.setattr(demo.subprocess, "run", run)
    with pytest.raises(DeepmarkError, match=r"the graph did not finish; .* Run the same command again"):
        demo.run_demo(tmp_path, train=1, validation=1, seed=1)

    assert ["--release" in command for command in commands] == [released]


def test_what_is_printed_last_can_be_pasted_whatever_the_folder_is_called(sharded, monkeypatch):
    workspace = Workspace(sharded.root.rename(sharded.root.with_name("my clothes")))
    workspace.export.mkdir()
    (workspace.export / "model_int8.onnx").write_bytes(b"")
    monkeypatch.chdir(workspace.root.parent)
    text = "\n".join(demo._what_is_next(workspace, own_registry=True)).replace("\\\n", " ")
    words = {line.split()[0]: shlex.split(line)[1:] for line in text.splitlines() if line[0] != " "}

    assert "my clothes/report/index.html" in words["Report"]
    assert words["Browse"][1:] == ["-m", "pipelines.ui", "--workspace", "my clothes"]
    assert (workspace.root.parent / words["Detect"][2]).is_dir()
    assert words["Detect"][3:] == [*("--model", "my clothes/export/model_int8.onnx", "--draw", "my clothes/detections")]
    assert words["Serve"][0].startswith("MLFLOW_TRACKING_URI=sqlite:///")
    assert "models:/deepmark@champion" in words["Serve"]
    assert words["Models"][1:] == ["models", "--workspace", "my clothes"]


@pytest.mark.parametrize(("why", "said"), [("gate", REFUSED), ("other", "; what stands above the results says why")])
@pytest.mark.parametrize("words", [(), ("--json",)])
def test_where_the_gate_refuses_the_results_are_shown_and_then_the_reason(
    deepmark, sharded, monkeypatch, why, said, words
):
    def run(command, **options):
        return subprocess.CompletedProcess(command, demo.NOT_RELEASED)

    failed = ["landmark AP: -0.1000, needs -0.0020"] if why == "gate" else []
    versions = [
        {"version": 2, "aliases": ["challenger"], "promotion": {"failed": failed}},
        {"version": 1, "aliases": ["champion"], "promotion": None},
    ]
    monkeypatch.delenv("MLFLOW_TRACKING_URI", raising=False)
    monkeypatch.setattr(demo, "_draw", lambda workspace, **numbers: None)
    monkeypatch.setattr(demo, "subprocess", SimpleNamespace(run=run))
    monkeypatch.setattr("deepmark.registry.promote.list_models", lambda workspace: versions)
    for strategy in STRATEGIES:
        write_json_with_digest(sharded.metrics_file(strategy), metrics(interval=False))
    write_json_with_digest(sharded.export_metrics_file, exported_figures())
    done = deepmark("demo", sharded.root, *words)

    assert done.code == 1
    if words:
        assert done.facts["metrics"]["nms"]["images"] == 300
        assert done.facts["exported"]["int8"]["bytes"] == 2_500_000
    else:
        assert "model_int8.onnx" in done.out
        assert "on 300 drawn validation images" in done.out
        assert "Report   open" in done.out
    assert f"deepmark demo: {sharded.root}: the model was not promoted{said}" in done.err


@pytest.mark.parametrize(("job", "code"), [("release", demo.NOT_RELEASED), ("prepare", 1)])
def test_only_a_failed_release_exits_as_one(monkeypatch, tmp_path, capsys, job, code):
    def fail(*_, **__):
        raise RunFailedError("the check failed", PlannedRun(job=job, partition=None, assets=("candidate",)))

    monkeypatch.setattr(materialize, "materialize_all", fail)
    monkeypatch.setattr("sys.argv", ["materialize", "--workspace", str(tmp_path)])
    with pytest.raises(SystemExit) as end:
        materialize.main()

    assert end.value.code == code
    assert capsys.readouterr().err.endswith("the check failed\n")


def test_without_a_registry_of_its_own_it_says_what_is_left_to_do(sharded):
    text = "\n".join(demo._what_is_next(sharded, own_registry=False))

    assert "so the model was not registered there" in text
    assert "models serve" not in text


def test_the_release_follows_the_assets_of_the_graph(sharded, monkeypatch):
    planned = []
    monkeypatch.setattr("pipelines.materialize.execute_runs", lambda graph, defs, runs, **_: planned.extend(runs))
    for release in (False, True):
        materialize_all(sharded.root, instance=object(), select=["report"], release=release)

    assert [str(run) for run in planned] == [
        *("publish_report: report", "publish_report: report", "release: candidate, champion")
    ]
