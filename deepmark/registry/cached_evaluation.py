"""What promotion needs to know of a registered version: its predictions on today's validation pictures, its cost.

Predictions are kept with the version, under a digest of how they were made: of which pictures, labelled how, by which
strategy and settings. Where that is how they would be made today, nothing is predicted; else the version's own weights
are fetched and predict again, and what they found is kept in its turn.
"""

import hashlib
import json
from dataclasses import asdict, dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

from deepmark.errors import DeepmarkError
from deepmark.eval.metric.columns import Prediction
from deepmark.files import file_sha256
from deepmark.params import ModelParams
from deepmark.registry.gate import Cost
from deepmark.registry.versions import Registry, Version
from deepmark.tracking.provenance import data_version
from deepmark.workspace.layout import Workspace

EVALUATION, NETWORK = "evaluation", "network"
"""The tags with what is known of a version's predictions (`Evaluation`), and with its network's params and bytes."""

FIGURES = ("box_ap", "landmark_visible_ap", "landmark_ap")


@dataclass(frozen=True, kw_only=True, slots=True)
class Evaluation:
    """Predictions that are kept with a version, and what they are worth; one tag, so that it is whole or not there."""

    measured: str
    """The digest of how they were made: `how_measured`."""

    data_version: str | None
    strategy: str
    path: str
    """Of the file among the artifacts of the version's run."""

    sha256: str
    figures: dict[str, float | None]
    """By names of `FIGURES`."""

    milliseconds: float | None
    """A picture from JPEG to detections, where they were made."""


def how_measured(workspace: Workspace) -> str:
    """The digest of everything that decides what a model's predictions and figures are, the model aside."""
    from deepmark.workspace.inputs import index_sha256

    params = workspace.params
    parts = {
        "shards": index_sha256(workspace, "validation"),
        "records": file_sha256(workspace.records_file("validation")),
        "strategy": params.promote.strategy,
        "predict": params.predict.model_dump(mode="json"),
    }
    return hashlib.sha256(json.dumps(parts, sort_keys=True).encode()).hexdigest()


def keep_predictions(
    registry: Registry,
    workspace: Workspace,
    run_id: str,
    file: Path,
    figures: dict[str, float | None],
    milliseconds: float | None,
) -> Evaluation:
    """Put predictions of today's validation pictures among a run's artifacts; returns what its version's tag says."""
    sha256 = file_sha256(file)
    folder = f"registered/{sha256[:16]}"  # a kill in the middle leaves a folder that no tag names
    registry.keep(run_id, file, folder)
    return Evaluation(
        measured=how_measured(workspace),
        data_version=data_version(workspace.root),
        strategy=workspace.params.promote.strategy,
        path=f"{folder}/{file.name}",
        sha256=sha256,
        figures=figures,
        milliseconds=milliseconds,
    )


def evaluation_of(version: Version) -> Evaluation | None:
    """What is kept with a version; None where nothing is."""
    noted = version.noted(EVALUATION)
    return Evaluation(**noted) if noted is not None else None


def network_tag(params: ModelParams, size: int) -> dict[str, str]:
    """The tag that saves fetching a model to know its cost."""
    return {NETWORK: json.dumps({"params": params.model_dump(mode="json"), "bytes": size})}


class Contender:
    """A version that is compared; fetched and predicted only where what is kept will not do."""

    def __init__(self, registry: Registry, workspace: Workspace, version: Version, folder: Path) -> None:
        """`folder` is for files that are needed for a while."""
        self.version = version
        self._registry, self._workspace, self._folder = registry, workspace, folder / str(version.number)
        self._made: Path | None = None

    @cached_property
    def weights(self) -> Path:
        """The version's own model, fetched; DeepmarkError where it is gone."""
        return self._registry.fetch_weights(self.version, self._folder / "model")

    @cached_property
    def network(self) -> tuple[ModelParams, int]:
        """Its network, and its bytes."""
        noted: Any = self.version.noted(NETWORK)
        if noted is not None:
            return ModelParams.model_validate(noted["params"]), noted["bytes"]
        from deepmark.model.detector import read_detector

        return read_detector(self.weights).params, self.weights.stat().st_size

    def check_weights(self) -> None:
        """Raises DeepmarkError where the version's model is gone, or is not what was registered."""
        known = self.version.checkpoint
        if known is not None and file_sha256(self.weights) != known:
            raise DeepmarkError(
                f"version {self.version.number}: its weights were changed since it was registered (their sha256 is "
                f"not {known[:12]}…). Bring the file back, or `deepmark register` a good checkpoint."
            )

    def read_predictions(self) -> list[Prediction]:
        """What it finds in today's validation pictures, as kept or made now.

        Raises DeepmarkError where it must be made, and the version's model is gone or cannot be read.
        """
        from deepmark.data.predictions import read_predictions

        return [(one.image_id, one.detections) for one in read_predictions(self._file)[0]]

    @cached_property
    def _file(self) -> Path:
        return self._kept() or self._predict()

    def remember(self, figures: dict[str, float | None]) -> None:
        """Keep what had to be predicted, with its figures."""
        if self._made is None or self.version.run_id is None:
            return
        from deepmark.data.predictions import read_predictions

        milliseconds = sum(json.loads(read_predictions(self._made)[1]["ms"]).values())
        kept = keep_predictions(self._registry, self._workspace, self.version.run_id, self._made, figures, milliseconds)
        self._registry.note(self.version.number, {EVALUATION: json.dumps(asdict(kept))})

    def _kept(self) -> Path | None:
        known = evaluation_of(self.version)
        if known is None or self.version.run_id is None or known.measured != how_measured(self._workspace):
            return None
        try:
            file = self._registry.fetch_kept(self.version.run_id, known.path, self._folder / "kept")
        except DeepmarkError:  # the model can say it again
            return None
        return file if file_sha256(file) == known.sha256 else None

    def _predict(self) -> Path:
        from deepmark.infer.predict_file import predict_file
        from deepmark.workspace.inputs import open_shards

        params, reader = self._workspace.params, open_shards(self._workspace, "validation")
        out, strategy = self._folder / f"{params.promote.strategy}.parquet", params.promote.strategy
        run_id = self.version.run_id or ""
        predict_file(self.weights, reader, out, strategy=strategy, params=params.predict, run_id=run_id)
        self._made = out
        return out


def costs(workspace: Workspace, contenders: list[Contender]) -> list[Cost]:
    """What each costs here; the time of equal networks is measured once, and is equal."""
    from deepmark.infer.predict import best_device
    from deepmark.model.cost import measured_time

    precision, times = workspace.params.predict.precision, dict[ModelParams, float]()
    found = []
    for contender in contenders:
        network, size = contender.network
        if network not in times:
            measured = measured_time(network, precision=precision, device=best_device())
            times[network] = measured["milliseconds_a_picture"]
        found.append(Cost(milliseconds=times[network], megabytes=size / 1e6))
    return found
