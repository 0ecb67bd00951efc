"""The MLflow run of a training: its parameters, tags, metrics, artifacts and model.

Evaluation, report and registry open the run again and add to it. Everything is written synchronously: MLflow's
asynchronous logging lost 1 metric in 5 under SIGKILL.
"""

import os
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

from deepmark.errors import DeepmarkError, redact
from deepmark.files import file_sha256
from deepmark.params import load_params
from deepmark.runtime.contract import FILES
from deepmark.serving.logged_model import (
    CHECKPOINT,
    CHECKPOINT_TAG,
    FILES_TAG,
    SERVED_TAG,
    SERVES_TAG,
    STRATEGY_TAG,
    log_model,
)
from deepmark.tracking.datasets import dataset_inputs
from deepmark.tracking.flatten import flatten
from deepmark.tracking.logged_models import files_digest, find_model, restore_files
from deepmark.tracking.mlflow_store import (
    IDENTITY_TAG,
    PROCESS_TAG,
    as_current_store,
    close_dead_runs,
    find_run,
    find_run_with_tags,
    find_unfinished_run,
    get_or_create_experiment,
    mlflow_command,
    open_client,
    resume_run,
    store_errors,
    tracking_uri,
)
from deepmark.tracking.process_identity import this_process
from deepmark.tracking.provenance import EXPERIMENT_TAG, EXPERIMENT_VARIABLE, provenance_tags
from deepmark.workspace.layout import Workspace

if TYPE_CHECKING:
    from mlflow import MlflowClient
    from mlflow.entities import Run

LOCAL_UI = "http://127.0.0.1:5000"
"""Where `make ui` shows the runs of a workspace that keeps them in a database file."""

TRAINING_TAG = "deepmark.training"
"""Of the run of an experiment that did not train: the run of the training whose model it measured."""

Status = Literal["FINISHED", "FAILED", "KILLED"]


class Tracker:
    """One MLflow run, open for writing.

    Every method raises DeepmarkError, naming the tracking URI, where the store cannot be reached.
    """

    def __init__(self, workspace: Path, client: "MlflowClient", run: "Run") -> None:
        self.workspace = workspace
        self._client = client
        self._run = run
        self._logged_steps: dict[str, set[int]] = {}
        """The steps that the store holds of a metric, for the metrics that were looked up."""

    @classmethod
    def start(
        cls, workspace: Path, *, params: dict[str, Any], tags: dict[str, str], identity: str | None = None
    ) -> "Tracker":
        """Start a run with its parameters and tags; tags of its provenance are added.

        An unfinished run that was started under the same `identity` is resumed instead.
        """
        with store_errors(tracking_uri(workspace)):
            client = open_client(workspace)
            experiment = get_or_create_experiment(client, workspace)
            close_dead_runs(client, experiment)
            tags = {**provenance_tags(workspace), **tags, PROCESS_TAG: this_process()}
            run = find_unfinished_run(client, experiment, identity) if identity is not None else None
            if run is None:
                own = {} if identity is None else {IDENTITY_TAG: identity}
                run = client.create_run(experiment, tags=tags | own)
            else:
                resume_run(client, run.info.run_id)
            tracker = cls(workspace, client, run)
            tracker._log_params(params)
        return tracker

    @classmethod
    def resume(cls, workspace: Path, run_id: str) -> "Tracker":
        """The run of a training that goes on: RUNNING again, unless it is finished."""
        tracker = cls.open(workspace, run_id)
        if not tracker.is_finished:
            with store_errors(tracking_uri(workspace)):
                resume_run(tracker._client, run_id)
        return tracker

    @classmethod
    def open(cls, workspace: Path, run_id: str) -> "Tracker":
        """An earlier run, to add to it; it stays FINISHED, FAILED or KILLED, also where whoever adds is killed."""
        with store_errors(tracking_uri(workspace)):
            client = open_client(workspace)
            run = find_run(client, run_id)
            if run is None:
                raise DeepmarkError(
                    f"MLflow at {tracking_uri(workspace)} has no run {run_id}. "
                    "Set MLFLOW_TRACKING_URI to the place that has it, or train again: `deepmark train --fresh`."
                )
            if run.info.lifecycle_stage == "deleted":
                get_or_create_experiment(client, workspace)  # which may be deleted with all its runs
                command = mlflow_command(workspace, f"runs restore --run-id {run_id}")
                raise DeepmarkError(f"MLflow's run {run_id} was deleted. Bring it back: {command}")
            close_dead_runs(client, run.info.experiment_id)
        return cls(workspace, client, run)

    @classmethod
    def for_results(cls, workspace: Path, run_id: str) -> "Tracker":
        """The run for results of a training's model: that training's, or one of its own in an experiment.

        An experiment that does not train measures the workspace's model in another way, and must not replace its
        figures. Its run names the training.
        """
        tracker, experiment = cls.open(workspace, run_id), os.environ.get(EXPERIMENT_VARIABLE)
        if experiment is None or tracker._run.data.tags.get(EXPERIMENT_TAG) == experiment:
            return tracker
        with store_errors(tracking_uri(workspace)):
            tags = {EXPERIMENT_TAG: experiment, TRAINING_TAG: run_id}
            own = find_run_with_tags(tracker._client, tracker._run.info.experiment_id, tags)
        if own is None:
            params = dict(flatten(load_params(workspace / "params.yaml").model_dump(mode="json")))
            new = cls.start(workspace, params=params, tags={**tags, "mlflow.runName": experiment})
            new.finish()
            own = new._run
        return cls.open(workspace, own.info.run_id)

    @property
    def run_id(self) -> str:
        return self._run.info.run_id

    @property
    def is_finished(self) -> bool:
        """Whether the run was finished already when it was opened."""
        return self._run.info.status == "FINISHED"

    @cached_property
    def url(self) -> str | None:
        """The run's page on the tracking server, or where `make ui` shows this workspace; None for other stores."""
        uri = redact(tracking_uri(self.workspace))
        if not uri.startswith(("http://", "https://", "sqlite://")):
            return None
        host = LOCAL_UI if uri.startswith("sqlite://") else uri.rstrip("/")
        return f"{host}/#/experiments/{self._run.info.experiment_id}/runs/{self.run_id}"

    def log_metrics(self, values: dict[str, float], *, step: int | None = None) -> None:
        """Log numbers by name; `step` is the epoch, for a curve. They are in the store when this returns."""
        with self._store_errors():
            from mlflow.entities import Metric

            now = int(time.time() * 1000)
            metrics = [Metric(name, float(value), now, step or 0) for name, value in values.items()]
            for first in range(0, len(metrics), 1000):  # MLflow's limit of a request
                self._client.log_batch(self.run_id, metrics=metrics[first : first + 1000], synchronous=True)

    def log_curves(self, curves: dict[int, dict[str, float]]) -> None:
        """Log numbers by step and name, except those that the run holds already.

        Give the whole history every time, so that what a kill kept from the store is logged later.
        """
        with self._store_errors():
            names = {name for values in curves.values() for name in values}
            for name in names - self._logged_steps.keys():
                history = self._client.get_metric_history(self.run_id, name)
                self._logged_steps[name] = {metric.step for metric in history}
        for step, values in curves.items():
            missing = {name: value for name, value in values.items() if step not in self._logged_steps[name]}
            if missing:
                self.log_metrics(missing, step=step)
                for name in missing:
                    self._logged_steps[name].add(step)

    def log_datasets(self, sizes: Mapping[str, dict[str, int]]) -> None:
        """Log the shards of each split that `sizes` counts as inputs of the run; a second time changes nothing."""
        with self._store_errors():
            self._client.log_inputs(self.run_id, dataset_inputs(Workspace(self.workspace), sizes))

    def set_tag(self, name: str, value: str) -> None:
        """Set a tag of the run; it is in the store when this returns."""
        with self._store_errors():
            self._client.set_tag(self.run_id, name, value)

    def log_artifact(self, path: Path, folder: str | None = None) -> None:
        """Store a file, or a folder and all it holds, among the run's artifacts, under `folder`."""
        with self._store_errors():
            if path.is_dir():
                self._client.log_artifacts(self.run_id, str(path), folder)
            else:
                self._client.log_artifact(self.run_id, str(path), folder)

    def log_model(self, checkpoint: Path, example_image: bytes, exported: Sequence[Path] = ()) -> str:
        """Log the model that MLflow serves: pyfunc_model.py and the safetensors file, nothing pickled. Returns its URI.

        It carries the `exported` files, and detects by the one that promote.serve names, or by the checkpoint.

        `example_image`, JPEG bytes, is the input example, and is predicted once to see that the model works. The model
        detects by `promote.strategy` and returns scores of `report.min_score` or more; loading it with another
        `model_config` changes both. Where the run has a model of this checkpoint, strategy and file that serves, its
        URI is returned, and its weights are stored again where they are lost or damaged; it is logged anew where other
        files of it are.
        """
        params = load_params(self.workspace / "params.yaml")
        predict = params.predict.model_copy(update={"min_score": params.report.min_score})
        strategy = params.promote.strategy.value  # YAML does not know the enum
        serves = params.promote.serve
        config = {
            "serves": None if serves == CHECKPOINT else FILES[serves],
            "strategy": strategy,
            "predict": predict.stored(),
            "max_megapixels": params.ingest.max_megapixels,
        }
        tags = {CHECKPOINT_TAG: file_sha256(checkpoint), STRATEGY_TAG: strategy}
        if serves != CHECKPOINT:
            (served,) = (one for one in exported if one.name == FILES[serves])
            tags |= {SERVES_TAG: serves, SERVED_TAG: file_sha256(served)}
        with self._store_errors():
            with as_current_store(tracking_uri(self.workspace)):
                uri = find_model(self._client, self._run, tags)
                if uri is not None:
                    restore_files(self._client, uri, checkpoint, exported)
                    return uri
            with self._active_run():
                uri = log_model(checkpoint, exported, example_image, config, tags)
                self._client.set_logged_model_tags(uri.rpartition("/")[2], {FILES_TAG: files_digest(self._client, uri)})
                return uri

    def finish(self, status: Status = "FINISHED") -> None:
        """Close the run. One that was finished already when it was opened keeps its end time."""
        if self.is_finished:
            return
        with self._store_errors():
            self._client.set_terminated(self.run_id, status)

    def _log_params(self, params: dict[str, Any]) -> None:
        from mlflow.entities import Param

        entries = [Param(name, redact(str(value))) for name, value in params.items()]
        for first in range(0, len(entries), 100):  # MLflow's limit of a request
            self._client.log_batch(self.run_id, params=entries[first : first + 100], synchronous=True)

    @contextmanager
    def _active_run(self) -> Iterator[None]:
        """Make this the active run, as logging a model needs, and restore its status, which MLflow ends on leaving."""
        import mlflow

        status = self._client.get_run(self.run_id).info.status
        with as_current_store(tracking_uri(self.workspace)):
            try:
                with mlflow.start_run(run_id=self.run_id, log_system_metrics=False):
                    yield
            finally:
                if status != "FINISHED":
                    self._client.update_run(self.run_id, status=status)

    @contextmanager
    def _store_errors(self) -> Iterator[None]:
        with store_errors(tracking_uri(self.workspace)):
            yield
