"""Workspaces with a few drawn pictures, made once a test run and copied for each test that changes them."""

import os
import signal
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from object_storage import ObjectStorage, object_storage, s3_variables
from trainings import EVERYTHING
from workspaces import Done, copied, made_once, run, set_params

from deepmark import stages
from deepmark.cli import app as cli
from deepmark.compute.local import Local
from deepmark.schema import SPLITS
from deepmark.synthetic import draw_dataset
from deepmark.tracking.mlflow_store import open_client, store_errors, tracking_uri
from deepmark.workspace.init import init_workspace
from deepmark.workspace.layout import Workspace

# Threads that wait for each other are slow where other work shares the cores, and our networks here are tiny.
os.environ["OMP_NUM_THREADS"] = "1"

# MLflow's runs are kept in the workspaces, wherever this machine keeps its own.
os.environ.pop("MLFLOW_TRACKING_URI", None)

# A script starts its background jobs with Ctrl-C ignored, and the processes that tests interrupt would inherit that.
signal.signal(signal.SIGINT, signal.default_int_handler)


STOPS = (signal.SIGTERM, signal.SIGINT)


@pytest.fixture(autouse=True)
def signal_handlers() -> Iterator[None]:
    """Those that a test replaces are put back: a process started with SIGTERM ignored could not be ended by it."""
    before = [signal.getsignal(number) for number in STOPS]
    yield
    for number, handler in zip(STOPS, before, strict=True):
        signal.signal(number, handler)


MARKED_BY_FIXTURE = {"trained_once": "slow", "finished": "slow", "two_once": "system", "made": "system"}
"""Whoever asks for one of these waits for a training, for one by two processes, or for a whole graph."""


@pytest.hookimpl(tryfirst=True)
def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Mark what waits for those, and begin with the files of slow tests: two workers then end together."""
    for item in items:
        for fixture in MARKED_BY_FIXTURE.keys() & set(getattr(item, "fixturenames", ())):
            item.add_marker(MARKED_BY_FIXTURE[fixture])
    slow = {item.path for item in items if item.get_closest_marker("slow")}
    items.sort(key=lambda item: item.path not in slow)


@pytest.fixture(scope="session")
def sharded_once(tmp_path_factory: pytest.TempPathFactory) -> Workspace:
    def make(folder: Path) -> None:
        workspace = init_workspace(folder, "demo")
        draw_dataset(workspace.raw, train=12, validation=6, seed=3, engine=Local(1))
        workspace = set_params(
            workspace,
            model={"input_size": [64, 64]},
            evaluate={"resamples": 100},
            train={"epochs": 2, "batch_size": 4},
            compute={"train_processes": 1},
            report={"pictures": 2},
        )
        for split in SPLITS:
            stages.ingest(workspace, split=split)
            stages.shard(workspace, split=split)
        with store_errors(tracking_uri(workspace.root)):
            open_client(workspace.root)  # makes MLflow's tables, which would else take every first training 1.5 s

    return Workspace(made_once(tmp_path_factory, "sharded", make))


@pytest.fixture
def sharded(sharded_once: Workspace, tmp_path: Path) -> Workspace:
    """Twelve training and six validation pictures as shards, and a recipe of two epochs."""
    return copied(sharded_once, tmp_path)


def train_once(
    factory: pytest.TempPathFactory, name: str, workspace: Workspace, *, processes: int = 1, **train: object
) -> Workspace:
    """A copy of the workspace after `deepmark train`, with these values of its section `train`."""

    def make(folder: Path) -> None:
        copy = set_params(copied(workspace, folder), train=train, compute={"train_processes": processes})
        done = run("deepmark", "train", cwd=copy.root)
        assert done.code == 0, done.err

    return Workspace(made_once(factory, name, make) / "workspace")


@pytest.fixture(scope="session")
def trained_once(sharded_once: Workspace, tmp_path_factory: pytest.TempPathFactory) -> Workspace:
    """Trained by one process without a break, with all that a run may carry from step to step."""
    return train_once(tmp_path_factory, "trained", sharded_once, **EVERYTHING)


@pytest.fixture
def trained(trained_once: Workspace, tmp_path: Path) -> Workspace:
    """The same, with what `deepmark train` makes of it."""
    return copied(trained_once, tmp_path)


@pytest.fixture(scope="session")
def two_once(sharded_once: Workspace, tmp_path_factory: pytest.TempPathFactory) -> Workspace:
    """The same, trained by two processes."""
    return train_once(tmp_path_factory, "two", sharded_once, processes=2, **EVERYTHING)


@pytest.fixture
def deepmark(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> Callable[..., Done]:
    """The command line in this process, which saves the imports: deepmark("ingest", "--split", "train")."""

    def command(*words: object) -> Done:
        monkeypatch.setattr(sys, "argv", ["deepmark", *map(str, words)])
        capsys.readouterr()
        with pytest.raises(SystemExit) as end:
            cli.main()
        out, err = capsys.readouterr()
        return Done(code=int(end.value.code or 0), out=out, err=err)

    return command


@pytest.fixture(scope="session")
def endpoint() -> Iterator[ObjectStorage]:
    with object_storage() as storage:
        yield storage


@pytest.fixture
def s3(endpoint: ObjectStorage, monkeypatch: pytest.MonkeyPatch) -> ObjectStorage:
    """An S3 endpoint on loopback with an empty bucket, which the environment names."""
    endpoint.forget()
    for name, value in s3_variables(endpoint.url).items():
        monkeypatch.setenv(name, value)
    return endpoint
