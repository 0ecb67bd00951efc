"""A team's workspace under the real servers: deliveries of pictures come in, and the rest happens by itself."""

import os
import shutil
import signal
import subprocess
import sys
import time
import urllib.error
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import TypeVar

import dagster as dg
import psutil
from dagster._core.events import RunFailureReason
from dagster._core.storage.tags import RUN_FAILURE_REASON_TAG as FAILURE_REASON
from processes import free_port
from ui_server import Dagster
from workspaces import REPOSITORY, set_params

from deepmark.registry.versions import CHAMPION, Registry, Version, with_alias
from deepmark.workspace.init import init_workspace
from deepmark.workspace.layout import Workspace
from pipelines.instance import dagster_home, open_instance
from pipelines.jobs.names import RETRY_TAG

SENSOR = "raw_data_settled"

SWITCH_ON = """
mutation { startSensor(sensorSelector: {
  repositoryLocationName: "pipelines.definitions", repositoryName: "__repository__", sensorName: "%s"
}) { __typename } }
"""

Thing = TypeVar("Thing")


def make_workspace(root: Path, *, run_retries: int) -> Workspace:
    """A recipe that takes a minute, a sensor that looks every six seconds."""
    workspace = set_params(
        init_workspace(root, "demo"),
        train={"epochs": 8, "checkpoint_steps": 25},
        evaluate={"resamples": 300},
        automation={"look_every_minutes": 0.1, "settled_minutes": 0.2},
    )
    settings = dagster_home(root) / "dagster.yaml"
    text = settings.read_text("utf-8").replace("max_retries: 2", f"max_retries: {run_retries}")
    settings.write_text(text.replace("poll_interval_seconds: 15", "poll_interval_seconds: 5"), "utf-8")
    return workspace


@dataclass
class Team:
    """The servers of `python -m pipelines.ui`, started again when they have ended, as a service manager would."""

    workspace: Workspace
    webhook: str
    moment: Callable[["Team"], None] = lambda _: None
    """Called all the time while somebody waits."""

    starts: int = 0
    began: float = field(default_factory=time.monotonic)
    _ui: subprocess.Popen[bytes] | None = None
    _url: str = ""

    def __enter__(self) -> "Team":
        self.instance = open_instance(self.workspace.root)
        self.keep_running()
        self.wait_for(self._switch_on, "Dagster's answer", minutes=3)
        self.tell(f"the servers are up, and the sensor {SENSOR} is switched on")
        return self

    def __exit__(self, *_: object) -> None:
        assert self._ui is not None
        self._ui.send_signal(signal.SIGINT)
        self._ui.wait(60)
        self.instance.dispose()

    def keep_running(self) -> None:
        """Start the servers where they do not run."""
        if self._ui is not None and self._ui.poll() is None:
            return
        port, mlflow = free_port(), free_port()
        self._url = f"http://127.0.0.1:{port}"
        command = [sys.executable, "-m", "pipelines.ui", "--workspace", str(self.workspace.root)]
        command += ["--dagster-port", str(port), "--mlflow-port", str(mlflow)]
        environment = {**os.environ, "PYTHONPATH": str(REPOSITORY), "DEEPMARK_WEBHOOK": self.webhook}
        with (self.workspace.root / ".dagster/ui.log").open("ab") as log:
            self._ui = subprocess.Popen(command, stdout=log, stderr=log, env=environment, start_new_session=True)
        self.starts += 1

    def processes(self) -> list[psutil.Process]:
        """The servers and everything below them."""
        assert self._ui is not None
        with suppress(psutil.NoSuchProcess):
            ui = psutil.Process(self._ui.pid)
            return [ui, *ui.children(recursive=True)]
        return []

    def deliver(self, drawn: Path, split: str, numbers: range) -> None:
        """New pictures with their labels arrive among the raw files."""
        for folder, ending in (("image", "jpg"), ("annos", "json")):
            target = self.workspace.raw / split / folder
            target.mkdir(parents=True, exist_ok=True)
            for number in numbers:
                shutil.copyfile(drawn / split / folder / f"{number:06d}.{ending}", target / f"{number:06d}.{ending}")
        self.tell(f"{len(numbers)} pictures for {split} are delivered")

    def spoil_labels(self) -> None:
        """An export that is off by one: every training picture gets the labels of the next."""
        files = sorted((self.workspace.raw / "train/annos").iterdir())
        texts = [file.read_bytes() for file in files]
        for file, text in zip(files, texts[1:] + texts[:1], strict=True):
            file.write_bytes(text)
        self.tell(f"{len(files)} label files are replaced, each by that of the next picture")

    def retraining(self, number: int, *, minutes: float) -> dg.DagsterRun:
        """The last run of the `number`th retraining that the sensor asked for, once it has ended."""
        return self.wait_for(lambda: self._ended(number), f"retraining {number}", minutes=minutes)

    def asked_for(self) -> list[dg.DagsterRun]:
        """The retrainings that were asked for, the first first, without those that were killed and started again."""
        runs = self.instance.get_runs(dg.RunsFilter(job_name="retrain"))
        return [run for run in reversed(runs) if run.parent_run_id is None and RETRY_TAG not in run.tags]

    def _ended(self, number: int) -> dg.DagsterRun | None:
        if len(self.asked_for()) < number:
            return None
        last = self.instance.get_runs(dg.RunsFilter(job_name="retrain"), limit=1)[0]
        refused = last.tags.get(FAILURE_REASON) == RunFailureReason.STEP_FAILURE.value
        return last if last.is_success or (last.is_failure and refused) else None

    def wait_for(self, found: Callable[[], Thing | None], what: str, *, minutes: float) -> Thing:
        """What comes to be there in time; meanwhile the servers are kept running."""
        deadline = time.monotonic() + 60 * minutes
        while not (thing := found()):
            if time.monotonic() > deadline:
                raise AssertionError(f"{what}: not within {minutes} minutes; see {self.workspace.root}")
            self.keep_running()
            self.moment(self)
            time.sleep(0.5)
        return thing

    def versions(self) -> list[Version]:
        """Of the registered model, the first first."""
        return sorted(Registry(self.workspace.root).versions(), key=lambda version: version.number)

    def champion(self) -> int | None:
        champion = with_alias(self.versions(), CHAMPION)
        return champion.number if champion else None

    def tell(self, what: str) -> None:
        """A line of the story, with minutes and seconds since it began."""
        seconds = round(time.monotonic() - self.began)
        print(f"{seconds // 60:3d}:{seconds % 60:02d}  {what}", flush=True)

    def _switch_on(self) -> bool:
        with suppress(urllib.error.URLError, ConnectionError, TimeoutError):
            return Dagster(self._url).ask(SWITCH_ON % SENSOR)["startSensor"]["__typename"] == "Sensor"
        return False
