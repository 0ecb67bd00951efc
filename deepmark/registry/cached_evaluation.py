"""The predictions, figures and cost of a registered version: stored with it, and made again only where they must be.

Predictions are an artifact of the version's run. A tag of the version says how they were made: the digest of the
validation images and labels, the strategy and its settings. Where the workspace's digest is the same, nothing is
predicted. Otherwise the version's own weights are downloaded and predict again, and the new predictions are stored.
"""

import hashlib
import json
import tempfile
from dataclasses import asdict, dataclass
from functools import cached_property
from pathlib import Path

from deepmark.errors import DeepmarkError
from deepmark.eval.metric.names import HEADLINE, METRICS
from deepmark.files import file_sha256
from deepmark.params import ModelParams
from deepmark.registry.promotion_gate import ModelCost
from deepmark.registry.versions import Registry, Version
from deepmark.serving.logged_model import CHECKPOINT
from deepmark.tracking.provenance import data_version
from deepmark.types import Prediction
from deepmark.vocabulary import Vocabulary
from deepmark.workspace.layout import Workspace

EVALUATION_TAG, NETWORK_TAG = "evaluation", "network"
"""Tags of a version: its `Evaluation`; the params of its network and the bytes of the file that serves."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Evaluation:
    """Predictions that are stored with a version, and their figures.

    One tag holds all of it as JSON, by the names of these fields: it is there as a whole or not at all.
    """

    measured: str
    """The digest of how the predictions were made: `evaluation_digest`."""

    data_version: str | None
    strategy: str
    path: str
    """Where the file of predictions lies among the artifacts of the version's run."""

    sha256: str
    """Of that file."""

    figures: dict[str, float | None]
    """0..1, by the names of `HEADLINE`."""

    milliseconds: float | None
    """From a JPEG to its detections, on the machine that predicted."""


def evaluation_digest(workspace: Workspace) -> str:
    """The digest of everything but the model that decides predictions and figures."""
    from deepmark.workspace.inputs import index_sha256

    params = workspace.params
    parts = {
        "shards": index_sha256(workspace, "validation"),
        "records": file_sha256(workspace.records_file("validation")),
        "strategy": params.promote.strategy,
        "predict": params.predict.stored(),
    }
    return hashlib.sha256(json.dumps(parts, sort_keys=True).encode()).hexdigest()


def log_predictions(
    registry: Registry,
    workspace: Workspace,
    run_id: str,
    file: Path,
    figures: dict[str, float | None],
    milliseconds: float | None,
) -> Evaluation:
    """Store predictions of the workspace's validation images with a run; returns the content of its version's tag."""
    sha256 = file_sha256(file)
    folder = f"registered/{sha256[:16]}"  # a kill before the tag is set leaves a folder that no tag names
    registry.log_artifact(run_id, file, folder)
    return Evaluation(
        measured=evaluation_digest(workspace),
        data_version=data_version(workspace.root),
        strategy=workspace.params.promote.strategy,
        path=f"{folder}/{file.name}",
        sha256=sha256,
        figures=figures,
        milliseconds=milliseconds,
    )


def evaluation_tag(evaluation: Evaluation) -> dict[str, str]:
    """The tag that stores an evaluation with a version."""
    return {EVALUATION_TAG: json.dumps(asdict(evaluation))}


def stored_evaluation(version: Version) -> Evaluation | None:
    """The evaluation that is stored with a version; None where there is none."""
    stored = version.json_tag(EVALUATION_TAG)
    return Evaluation(**stored) if stored is not None else None


def network_tag(params: ModelParams, size: int) -> dict[str, str]:
    """The tag that says what a model costs without downloading it; `size` is the bytes of the file that serves."""
    return {NETWORK_TAG: json.dumps({"params": params.model_dump(mode="json"), "bytes": size})}


class EvaluatedVersion:
    """A version with its predictions and cost; downloaded, and predicted again, only where nothing stored will do."""

    def __init__(self, registry: Registry, workspace: Workspace, version: Version, folder: Path) -> None:
        """`folder` is for temporary files."""
        self.version = version
        self._registry, self._workspace, self._folder = registry, workspace, folder / str(version.number)
        self._new_predictions: Path | None = None
        self._milliseconds: float | None = None

    @cached_property
    def weights(self) -> Path:
        """The version's file that serves, downloaded; DeepmarkError where it is gone."""
        return self._registry.download_served(self.version, self._folder / "model")

    @cached_property
    def network(self) -> ModelParams:
        """The params of its network."""
        stored = self.version.json_tag(NETWORK_TAG)
        if stored is not None:
            return ModelParams.model_validate(stored["params"])
        from deepmark.model.detector import read_detector

        return read_detector(self.weights).params

    @cached_property
    def vocabulary(self) -> Vocabulary:
        """What its model detects; DeepmarkError where the file that serves is gone or cannot be read."""
        if self.weights.suffix == ".onnx":
            from deepmark.runtime.onnx_detector import OnnxDetector

            return OnnxDetector(self.weights).vocabulary
        from deepmark.model.detector import read_detector

        return read_detector(self.weights).vocabulary

    def check_weights(self) -> None:
        """Raises DeepmarkError where the file that serves, or what loads it, is gone, or is not what was registered."""
        registered = self.version.served_sha256
        if registered is not None and file_sha256(self.weights) != registered:
            raise DeepmarkError(
                f"version {self.version.number}: its weights were changed since it was registered (their sha256 is "
                f"not {registered[:12]}…). `deepmark register` where this checkpoint is stores it again."
            )
        if not self._registry.is_whole(self.version):
            raise DeepmarkError(
                f"version {self.version.number}: its MLmodel file or its code was changed or lost since it was "
                "registered. `deepmark register` where this checkpoint is makes a new version that is whole."
            )

    def read_predictions(self) -> list[Prediction]:
        """Its predictions on the workspace's validation images, as stored or made now.

        Raises DeepmarkError where they must be made, and the weights' file is gone or cannot be read.
        """
        from deepmark.data.predictions import read_predictions

        return list(read_predictions(self._predictions)[0])

    @property
    def is_new(self) -> bool:
        """Whether its predictions were made now, and not stored before."""
        return self._new_predictions is not None

    def store_evaluation(self, figures: dict[str, float | None]) -> None:
        """Store predictions that were made now, with their figures; nothing where the stored ones were used."""
        if self._new_predictions is None or self.version.run_id is None:
            return
        run_id, file = self.version.run_id, self._new_predictions
        evaluation = log_predictions(self._registry, self._workspace, run_id, file, figures, self._milliseconds)
        self._registry.set_tags(self.version.number, evaluation_tag(evaluation))

    @cached_property
    def _predictions(self) -> Path:
        return self._download_predictions() or self._predict()

    def _download_predictions(self) -> Path | None:
        """The stored predictions; None where there are none, or they were made in another way or are damaged."""
        stored = stored_evaluation(self.version)
        if stored is None or self.version.run_id is None or stored.measured != evaluation_digest(self._workspace):
            return None
        try:
            file = self._registry.download_artifact(self.version.run_id, stored.path, self._folder / "stored")
        except DeepmarkError:  # the weights can predict again
            return None
        return file if file_sha256(file) == stored.sha256 else None

    def _predict(self) -> Path:
        from deepmark.workspace.predict_validation import predict_validation

        strategy = self._workspace.params.promote.strategy
        out = self._folder / f"{strategy}.parquet"
        run_id = self.version.run_id or ""
        made = predict_validation(self._workspace, self.weights, out, strategy=strategy, run_id=run_id)
        self._new_predictions, self._milliseconds = out, sum(made.ms.values())
        return out


def evaluate_exported(registry: Registry, workspace: Workspace, number: int) -> None:
    """Predict by the exported file that serves in a version, and store the predictions with their figures.

    Nothing is done where they are stored already, and where the checkpoint serves.
    """
    from deepmark.data.records import read_records
    from deepmark.eval.metric.evaluate import evaluate

    (version,) = (one for one in registry.versions() if one.number == number)
    if version.serves == CHECKPOINT:
        return
    with tempfile.TemporaryDirectory(prefix="deepmark-register-") as folder:
        served = EvaluatedVersion(registry, workspace, version, Path(folder))
        served.check_weights()
        labels = read_records(workspace.records_file("validation"))
        predictions, records = served.read_predictions(), list(labels)
        if served.is_new:
            metrics = evaluate(records, predictions, vocabulary=labels.vocabulary, resamples=0, seed=0).headline()
            served.store_evaluation({name: METRICS[name].value_in(metrics) for name in HEADLINE})


def measure_costs(workspace: Workspace, versions: list[EvaluatedVersion]) -> list[ModelCost]:
    """The cost of each on this machine; equal networks in files of one kind are timed once, for equal times."""
    from deepmark.infer.exported_predictor import measured_milliseconds
    from deepmark.infer.predict import best_device
    from deepmark.model.cost import measured_time

    precision, times = workspace.params.predict.precision, dict[tuple[ModelParams, str], float]()
    costs = []
    for one in versions:
        key = one.network, one.version.serves
        if key not in times and one.weights.suffix == ".onnx":
            times[key] = measured_milliseconds(one.weights)
        elif key not in times:
            measured = measured_time(one.network, one.vocabulary, precision=precision, device=best_device())
            times[key] = measured["milliseconds_a_picture"]
        costs.append(ModelCost(milliseconds=times[key], megabytes=one.weights.stat().st_size / 1e6))
    return costs
