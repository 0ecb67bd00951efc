"""The paths of a workspace: a folder with params.yaml, dvc.yaml and data/."""

import re
from dataclasses import dataclass
from functools import cached_property
from os import PathLike
from pathlib import Path
from typing import TYPE_CHECKING

from deepmark.errors import DeepmarkError, as_path

if TYPE_CHECKING:
    from deepmark.params import Params
    from deepmark.vocabulary import Vocabulary

_UNUSABLE = re.compile(r"[?{}\x00-\x1f\x7f\ud800-\udfff]|%[0-9A-Fa-f]{2}")
"""In a path: Dagster takes ? and %41 of its databases' paths for a URL's, DVC takes braces for a format."""

_LONGEST_URI = 1900
"""Characters of a workspace's path as a URI; MLflow keeps at most 2,048 of a run's artifacts, some 80 more."""


def check_place(root: Path) -> None:
    """Raise DeepmarkError where the tools that work on a workspace could not work in this folder, there or not."""
    path = root.absolute()
    found = _UNUSABLE.search(str(path))
    if found:
        raise DeepmarkError(
            f"{str(path)!a}: a workspace cannot lie in a folder whose path has {found[0]!a}. Dagster, DVC and MLflow "
            "misread ?, { and }, % before two hexadecimal digits, control characters, and names that are not UTF-8. "
            "Give it another name, or move it."
        )
    if len(path.as_uri()) > _LONGEST_URI:
        raise DeepmarkError(f"{path}: this path is too long for MLflow. Take a folder with a shorter one.")


@dataclass(frozen=True, init=False)
class Workspace:
    """Where the stages read and write; the outs of dvc.yaml are these paths.

    Raises DeepmarkError where a workspace cannot work in a folder of this name.
    """

    root: Path

    def __init__(self, root: str | PathLike[str]) -> None:
        object.__setattr__(self, "root", as_path(root, "Workspace: root"))
        check_place(self.root)

    @cached_property
    def params(self) -> "Params":
        """The checked params.yaml."""
        from deepmark.params import load_params

        return load_params(self.root / "params.yaml")

    @property
    def vocabulary_file(self) -> Path:
        """The categories and landmarks of the labels, where they are not DeepFashion2's."""
        return self.root / "vocabulary.yaml"

    @cached_property
    def vocabulary(self) -> "Vocabulary":
        """That of the raw labels, which `ingest` reads; all later stages take it from the files that they are given."""
        from deepmark.vocabulary import DEEPFASHION2
        from deepmark.vocabulary.vocabulary_file import read_vocabulary

        return read_vocabulary(self.vocabulary_file) if self.vocabulary_file.is_file() else DEEPFASHION2

    @property
    def raw(self) -> Path:
        return self.root / self.params.data.raw

    @property
    def records(self) -> Path:
        return self.root / "data/records"

    def records_file(self, split: str) -> Path:
        return self.records / f"{split}.parquet"

    @property
    def set_aside_file(self) -> Path:
        """What the last `deepmark import` did not take, with the reasons."""
        return self.root / "data/set_aside.csv"

    @property
    def corrections_file(self) -> Path:
        """What people decided about labels; there once `deepmark label import` has made it."""
        return self.root / "data/corrections.parquet"

    def shards(self, split: str) -> Path:
        """Where `deepmark shard` writes shards, or the index of those that it writes to a URL.

        `deepmark.workspace.inputs.open_shards` opens the shards to read.
        """
        return self.root / "data/shards" / split

    @property
    def checkpoint(self) -> Path:
        return self.root / "data/checkpoint"

    @property
    def model_file(self) -> Path:
        return self.checkpoint / "model.safetensors"

    @property
    def training_file(self) -> Path:
        """Facts of the training: epochs, seconds, MLflow run."""
        return self.checkpoint / "training.json"

    @property
    def train_metrics_file(self) -> Path:
        return self.root / "metrics/train.json"

    @property
    def losses_file(self) -> Path:
        return self.root / "plots/losses.csv"

    def predictions_file(self, strategy: str) -> Path:
        return self.root / "data/predictions" / f"{strategy}.parquet"

    @property
    def held_out_file(self) -> Path:
        """Predictions of the training images, each by a network that has not learnt it."""
        return self.root / "data/predictions/held_out.parquet"

    def fold_file(self, split: str) -> Path:
        """In the workspace of a fold: the keys of the training images that are this split of it, one a line."""
        return self.root / "data/fold" / f"{split}.txt"

    def timing_file(self, strategy: str) -> Path:
        """How long the predictions took; they do not hold it themselves."""
        return self.root / "metrics/timing" / f"{strategy}.json"

    def metrics_file(self, strategy: str) -> Path:
        return self.root / "metrics" / f"{strategy}.json"

    def tables(self, strategy: str) -> Path:
        return self.root / "tables" / strategy

    def table_file(self, strategy: str) -> Path:
        """Every AP of the strategy."""
        return self.tables(strategy) / "ap.csv"

    def resamples_file(self, strategy: str) -> Path:
        """The headline figures of the strategy in each bootstrap resample."""
        return self.tables(strategy) / "resamples.csv"

    def plot_file(self, strategy: str) -> Path:
        return self.root / "plots" / f"{strategy}.csv"

    @property
    def export(self) -> Path:
        """The ONNX files of the checkpoint, and their contract."""
        return self.root / "export"

    @property
    def export_metrics_file(self) -> Path:
        """What each of them costs: size, milliseconds, AP."""
        return self.root / "metrics/export.json"

    @property
    def audit(self) -> Path:
        return self.root / "data/audit"

    @property
    def issues_file(self) -> Path:
        """Labels that somebody should look at, the most likely errors first."""
        return self.audit / "suspects.parquet"

    @property
    def audit_page(self) -> Path:
        """The first of them as a page with images."""
        return self.audit / "index.html"

    @property
    def report(self) -> Path:
        return self.root / "report"

    @property
    def stage_folders(self) -> tuple[Path, ...]:
        """What stages write; DVC deletes outputs before it runs a stage."""
        own = (self.records, self.root / "data/shards", self.checkpoint, self.root / "data/predictions", self.audit)
        return (*own, *(self.root / name for name in ("metrics", "plots", "tables")), self.export, self.report)

    @property
    def runs(self) -> Path:
        """Files in progress that DVC does not track: the checkpoints from which a training resumes."""
        return self.root / "runs"

    @property
    def parts(self) -> Path:
        """Parts of unfinished predictions, from which the next one goes on."""
        return self.runs / "predict"

    @property
    def folds(self) -> Path:
        """The workspaces of the folds, from which `deepmark crossvalidate` goes on."""
        return self.runs / "folds"

    @property
    def verified_file(self) -> Path:
        """Which shards were found intact, and what their files were then."""
        return self.runs / "verified.json"


def workspace_of_model(model: Path) -> Workspace | None:
    """The workspace whose `model_file` this is; None for a model that lies elsewhere."""
    parents = model.absolute().parents
    workspace = Workspace(parents[min(2, len(parents) - 1)])
    own = workspace.model_file == model.absolute() and (workspace.root / "params.yaml").is_file()
    return workspace if own else None


def enclosing_workspace(path: Path) -> Workspace | None:
    """The innermost workspace that a path, which need not exist, lies in; None where it lies in none."""
    for folder in path.resolve().parents:
        if (folder / "params.yaml").is_file() and (folder / "dvc.yaml").is_file():
            return Workspace(folder)
    return None
