"""A workspace works wherever it lies, also moved or beside its original; folders that cannot work are refused."""

import shutil
import sqlite3
from pathlib import Path

import pytest
from plain_workspace import plain_workspace

from assets.dvc.graph import read_graph
from deepmark.cli.options import Profile
from deepmark.errors import DeepmarkError
from deepmark.registry.versions import CHAMPION, MODEL, Registry
from deepmark.tracking.mlflow_store import as_current_store, store_errors
from deepmark.tracking.tracker import Tracker
from deepmark.workspace.init import init_workspace
from deepmark.workspace.layout import Workspace
from pipelines.code_location import build_definitions
from pipelines.instance import dagster_home, open_instance

pytestmark = pytest.mark.slow

NAMES = ["a b 100% #1", 'it\'s "mine" back\\slash', "Ö e\u0301 a:b@c $HOME", "-" + "y" * 200]
REFUSED = ["q?x", "a%20b", "{x}", "two\nlines", "caf\udce9"]


def contents(folder: Path) -> dict[str, bytes]:
    return {str(file.relative_to(folder)): file.read_bytes() for file in folder.rglob("*") if file.is_file()}


@pytest.fixture(scope="module")
def original(tmp_path_factory: pytest.TempPathFactory) -> Workspace:
    """A workspace with one run and its file, and a small model that is the champion."""
    workspace = plain_workspace(tmp_path_factory.mktemp("places") / "original")
    tracker = Tracker.start(workspace.root, params={}, tags={})
    tracker.log_artifact(workspace.root / "params.yaml")
    registry = Registry(workspace.root)
    with store_errors(registry.uri), as_current_store(registry.uri):
        import mlflow

        (workspace.root / "model.py").write_text(
            "from mlflow.models import set_model\nfrom mlflow.pyfunc import PythonModel\n"
            "class Three(PythonModel):\n    def predict(self, context, model_input):\n        return [3]\n"
            "set_model(Three())\n"
        )
        with mlflow.start_run(run_id=tracker.run_id):
            info = mlflow.pyfunc.log_model(
                name="model", python_model=str(workspace.root / "model.py"), pip_requirements=[]
            )
    registry.set_alias(CHAMPION, registry.create_version(info.model_uri, tracker.run_id, {}))
    (workspace.root / "run").write_text(tracker.run_id)
    return workspace


def use(workspace: Workspace) -> None:
    """Log to the run of a workspace and to a new one, and load its champion; all must be inside the workspace."""
    root = workspace.root
    artifacts, earlier = root / "mlartifacts", (root / "run").read_text()
    (root / "note").write_text("from here")
    new = Tracker.start(root, params={}, tags={})
    for tracker in (Tracker.resume(root, earlier), new):
        tracker.log_artifact(root / "note")
        assert (artifacts / tracker.run_id / "artifacts/note").read_text() == "from here"
    registry = Registry(root)
    with store_errors(registry.uri), as_current_store(registry.uri):
        import mlflow

        assert mlflow.pyfunc.load_model(f"models:/{MODEL}@{CHAMPION}").predict([[1]]) == [3]
        assert Path(mlflow.artifacts.download_artifacts(f"runs:/{earlier}/params.yaml", dst_path=str(root))).is_file()


@pytest.mark.parametrize("name", NAMES)
def test_a_workspace_works_under_this_name_beside_its_original(name, original, tmp_path):
    before = contents(original.root)
    copy = Workspace(Path(shutil.copytree(original.root, tmp_path / name)))
    use(copy)

    assert contents(original.root) == before
    assert [path.name for path in tmp_path.iterdir()] == [name]
    with open_instance(copy.root) as instance:
        assert instance.get_runs() == []
    assert (copy.root / ".dagster/history/runs.db").is_file()
    assert str(copy.root) in read_graph(copy.root).families[0].stages[0].outs[0]
    assert build_definitions(copy.root).resolve_asset_graph().get_all_asset_keys()
    assert [path.name for path in tmp_path.iterdir()] == [name]


def test_the_original_and_its_copy_are_used_by_turns_in_one_process(original, tmp_path):
    first = Workspace(Path(shutil.copytree(original.root, tmp_path / "first")))
    second = Workspace(Path(shutil.copytree(original.root, tmp_path / "second")))
    use(first)
    use(second)
    use(first)
    use(second)


def test_a_moved_workspace_names_its_old_place_no_more(original, tmp_path):
    shutil.copytree(original.root, tmp_path / "a")
    use(Workspace(tmp_path / "a"))
    (tmp_path / "a").rename(tmp_path / "b")
    use(Workspace(tmp_path / "b"))

    assert not (tmp_path / "a").exists()
    with sqlite3.connect(tmp_path / "b/mlflow.db") as database:
        assert [line for line in database.iterdump() if f"{tmp_path}/a/" in line] == []
    database.close()


@pytest.mark.parametrize("name", REFUSED)
def test_a_folder_that_its_tools_would_misread_is_refused(name, original, tmp_path):
    with pytest.raises(DeepmarkError, match="a workspace cannot lie in a folder whose path has"):
        init_workspace(tmp_path / name, Profile.DEMO)
    assert list(tmp_path.iterdir()) == []

    moved = Path(shutil.copytree(original.root, tmp_path / name))
    before = contents(moved)
    for open_it in (Workspace, dagster_home):
        with pytest.raises(DeepmarkError, match="Give it another name, or move it"):
            open_it(moved)
    assert contents(moved) == before


def test_a_path_that_mlflow_would_not_keep_is_refused(tmp_path):
    with pytest.raises(DeepmarkError, match="too long for MLflow"):
        Workspace(tmp_path.joinpath(*["衣" * 80] * 3))
