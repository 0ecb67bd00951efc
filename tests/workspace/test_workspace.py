"""A workspace is made once and then left as it is; code, commands and dvc.yaml agree on its parts."""

import inspect
import re
import shlex
from pathlib import Path

import pytest
import typer
from workspaces import REPOSITORY, run

from assets.dvc.graph import read_graph
from assets.raw_data import RAW
from deepmark import stages
from deepmark.cli import app as cli
from deepmark.cli.options import Profile
from deepmark.errors import DeepmarkError
from deepmark.params import Params
from deepmark.schema import SPLITS, STRATEGIES
from deepmark.train.run_id import training_inputs
from deepmark.workspace import init
from deepmark.workspace.git import git
from deepmark.workspace.init import init_workspace
from deepmark.workspace.layout import Workspace
from pipelines.code_location import build_definitions

COMMANDS = typer.main.get_command(cli.app).commands
NOT_STAGES = {"init", "synth", "compare", "detect", "demo", "import-checkpoint", "model", "score", "convert"}
NOT_STAGES |= {"measure", "serve", "upgrade", "cluster", "vocabulary", "import", "label", "datasheet", "adapt"}
RELEASE = {"register", "promote", "rollback", "models"}
"""What changes which model serves, and nothing in the workspace: no stage of dvc.yaml."""


@pytest.fixture(scope="module")
def graph():
    return read_graph(REPOSITORY)


@pytest.mark.slow
@pytest.mark.parametrize("profile", Profile)
def test_a_new_workspace_is_a_clean_repository_of_git_and_dvc(tmp_path, profile):
    workspace = init_workspace(tmp_path / "new", profile)

    assert (workspace.root / "dvc.yaml").read_text("utf-8") == (REPOSITORY / "dvc.yaml").read_text("utf-8")
    assert workspace.params.data.raw == "data/raw"
    assert git(workspace.root, "status", "--porcelain") == ""
    assert git(workspace.root, "log", "--format=%s") == f"A DeepMark workspace, profile {profile}"
    assert "ingest@train" in run("dvc", "status", "--json", cwd=workspace.root).facts


@pytest.mark.slow
def test_a_workspace_is_left_as_it_is_when_made_again(tmp_path):
    workspace = init_workspace(tmp_path, "demo")
    (tmp_path / "params.yaml").write_text("mine")

    assert init_workspace(tmp_path, "demo") == init_workspace(tmp_path) == workspace
    assert (tmp_path / "params.yaml").read_text() == "mine"
    assert git(tmp_path, "rev-list", "--count", "HEAD") == "1"


@pytest.mark.slow
def test_an_error_while_a_workspace_is_made_leaves_nothing(tmp_path, monkeypatch):
    def refuse(*_: object) -> None:
        raise DeepmarkError("git is not well")

    monkeypatch.setattr(init, "git", refuse)
    (tmp_path / "empty").mkdir()
    for name in ("new/er", "empty"):
        with pytest.raises(DeepmarkError, match="not well"):
            init_workspace(tmp_path / name, "demo")

    assert not (tmp_path / "new/er").exists()
    assert list((tmp_path / "empty").iterdir()) == []


def test_a_folder_with_something_else_in_it_is_refused(tmp_path):
    (tmp_path / "letter.txt").touch()

    with pytest.raises(DeepmarkError, match="not empty, and not a workspace"):
        init_workspace(tmp_path, "demo")
    assert [file.name for file in tmp_path.iterdir()] == ["letter.txt"]


@pytest.mark.slow
def test_a_workspace_inside_another_repository_is_one_of_its_own(tmp_path):
    git(tmp_path, "init", "--quiet")
    (tmp_path / ".gitignore").write_text("/runs/\n")
    workspace = init_workspace(tmp_path / "runs/demo", "demo")

    assert git(workspace.root, "rev-parse", "--show-toplevel") == str(workspace.root.resolve())
    assert run("dvc", "root", cwd=workspace.root).out.strip() == "."
    assert git(tmp_path, "status", "--porcelain") == "?? .gitignore"


def test_an_unknown_profile_is_answered_with_the_right_one(tmp_path):
    with pytest.raises(DeepmarkError, match=r"profile 'papers': .*Did you mean 'paper'"):
        init_workspace(tmp_path / "new", "papers")
    assert not (tmp_path / "new").exists()


def test_a_workspace_is_named_by_a_path_or_a_string(tmp_path):
    assert Workspace(str(tmp_path)) == Workspace(tmp_path)
    assert Workspace(str(tmp_path)).model_file == tmp_path / "data/checkpoint/model.safetensors"


def test_without_git_an_error_says_to_install_it(tmp_path, monkeypatch):
    monkeypatch.setenv("PATH", str(tmp_path))

    with pytest.raises(DeepmarkError, match=r"git: not found.*install git"):
        init_workspace(tmp_path / "new", "demo")
    assert not (tmp_path / "new").exists()


def test_the_repository_is_a_workspace_with_the_papers_recipe():
    workspace = Workspace(REPOSITORY)

    assert workspace.params.model.backbone == "dla34"
    assert (REPOSITORY / "params.yaml").read_text("utf-8") == (
        REPOSITORY / "deepmark/workspace/profiles/paper.yaml"
    ).read_text("utf-8")


@pytest.mark.slow
def test_stages_functions_commands_and_assets_are_the_same(graph):
    functions = {
        name
        for name, value in vars(stages).items()
        if inspect.isfunction(value) and value.__module__ == stages.__name__ and not name.startswith("_")
    }
    assets = {key.to_user_string() for key in build_definitions(REPOSITORY).resolve_all_asset_keys()}

    commands = COMMANDS.keys() - RELEASE
    assert {family.name for family in graph.families} == functions - {"compare"} == commands - NOT_STAGES
    assert {family.hints.asset for family in graph.families} | {"candidate", "champion"} == assets - {RAW}


@pytest.mark.slow
def test_assets_depend_on_each_other_as_stages_do(graph):
    defs = build_definitions(REPOSITORY).resolve_asset_graph()
    for family in graph.families:
        (key,) = [key for key in defs.get_all_asset_keys() if key.to_user_string() == family.hints.asset]
        parents = {parent.to_user_string() for parent in defs.get(key).parent_keys}
        assert parents - {RAW} == {edge.upstream.hints.asset for edge in graph.edges(family)}
        assert (RAW in parents) == (family.name in ("ingest", "shard"))


def test_splits_and_strategies_are_those_of_the_schema(graph):
    items = {family.name: family.items for family in graph.families}

    assert items["ingest"] == items["shard"] == SPLITS
    assert items["predict"] == items["evaluate"] == STRATEGIES
    assert items["train"] is items["export"] is items["audit"] is items["report"] is None
    assert {*Profile} == {file.stem for file in (REPOSITORY / "deepmark/workspace/profiles").glob("*.yaml")}


def test_every_command_of_dvc_yaml_is_one_that_the_command_line_takes(graph):
    for family in graph.families:
        for stage in family.stages:
            program, name, *words = shlex.split(stage.command)
            context = COMMANDS[name].make_context(name, words)
            chosen = {str(value) for value in context.params.values()}
            assert (program, name) == ("deepmark", family.name)
            assert stage.item is None or stage.item in chosen


def wiring(workspace: Workspace) -> dict[str, tuple[set[Path], set[Path]]]:
    """What each stage reads and what it writes, as the code knows it."""
    w, last, serving = workspace, STRATEGIES[-1], workspace.params.promote.strategy
    shards = {w.shards(split) for split in SPLITS}
    paths = {
        "train": (shards, {w.checkpoint, w.train_metrics_file, w.losses_file}),
        "crossvalidate": ({w.shards("train"), w.records_file("train")}, {w.held_out_file}),
        "audit": ({*shards, *map(w.records_file, SPLITS), w.predictions_file(last), w.held_out_file}, {w.audit}),
        "export": (
            {
                *(*shards, w.checkpoint),
                *(made(name) for made in (w.predictions_file, w.timing_file) for name in ("none", "flip")),
            },
            {w.export, w.export_metrics_file},
        ),
        "report": (
            {
                *(w.checkpoint, w.shards("validation"), w.predictions_file(serving)),
                *(made(name) for made in (w.metrics_file, w.timing_file, w.tables) for name in STRATEGIES),
            },
            {w.report},
        ),
    }
    for split in SPLITS:
        raw, records = w.raw / split, w.records_file(split)
        notes = {records.with_name(f"{split}.{ending}") for ending in ("rejected.parquet", "statistics.json")}
        paths[f"ingest@{split}"] = ({raw}, {records, *notes})
        paths[f"shard@{split}"] = ({raw, records}, {w.shards(split)})
    for name in STRATEGIES:
        found = w.predictions_file(name)
        paths[f"predict@{name}"] = ({w.checkpoint, w.shards("validation")}, {found, w.timing_file(name)})
        measured = {w.metrics_file(name), w.tables(name), w.plot_file(name)}
        paths[f"evaluate@{name}"] = ({found, w.records_file("validation")}, measured)
    return paths


def test_dvc_yaml_names_the_paths_of_the_workspace(graph):
    declared = {
        stage.address: (set(map(Path, stage.deps)) - {REPOSITORY / "params.yaml"}, set(map(Path, stage.outs)))
        for family in graph.families
        for stage in family.stages
    }

    assert declared == wiring(Workspace(REPOSITORY))


class Recorded:
    """The params of a workspace, and which sections were asked for."""

    def __init__(self, params: Params) -> None:
        self._params, self.used = params, set()

    def __getattr__(self, name: str) -> object:
        self.used.add(name)
        return getattr(self._params, name)


def sections_of(workspace: Workspace) -> dict[str, set[str]]:
    from ruamel.yaml import YAML

    stages = YAML(typ="safe").load((workspace.root / "dvc.yaml").read_text("utf-8"))["stages"]
    params = {name: stage.get("do", stage).get("params", ()) for name, stage in stages.items()}
    named = {name: {param.partition(".")[0] for param in declared} for name, declared in params.items()}
    return {name: sections | set(re.findall(r"\$\{(\w+)\.", str(stages[name]))) for name, sections in named.items()}


def test_a_stage_is_made_again_when_a_section_that_it_reads_changes(trained):
    declared = sections_of(trained)
    assert declared["train"] == (training_inputs(trained).keys() - {"shards", "start"}) | {"storage"}
    assert set().union(*declared.values()) == Params.model_fields.keys() - {"automation", "compute"}  # of no stage

    def used(name: str, **choice: str) -> set[str]:
        workspace = Workspace(trained.root)
        workspace.__dict__["params"] = recorded = Recorded(trained.params)
        getattr(stages, name)(workspace, **choice)
        return recorded.used - {"compute"}  # on which no result depends

    assert used("ingest", split="validation") == declared["ingest"]
    assert used("shard", split="validation") - {"storage"} == declared["shard"]  # where shards go, not what they are
    for strategy in STRATEGIES:
        assert used("predict", strategy=strategy) == declared["predict"]
        assert used("evaluate", strategy=strategy) == declared["evaluate"]
    assert used("export") == declared["export"]
    assert used("audit") == declared["audit"]
    # What the page says of model, training and NMS belongs to checkpoint and predictions, on which the report depends.
    known = declared["train"] | declared["predict"]
    assert used("report") - known == declared["report"] - known
