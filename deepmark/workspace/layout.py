"""A workspace: a folder with params.yaml, dvc.yaml and data/, and the one list of where everything in it lives."""

import shutil
import subprocess
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

from deepmark.errors import DeepmarkError, missing_extra
from deepmark.params import Params, load_params
from deepmark.workspace.environment import tool
from deepmark.workspace.git import IDENTITY, git

PROFILES = ("demo", "paper", "modern")

_GIT_IGNORE = "/data/?*\n!/data/.gitignore\n!/data/*.dvc\n/runs/\n/dvc_plots/\n/mlflow.db\n/mlartifacts/\n/.dagster/\n"
"""data/raw.dvc is for git, what lies beside it is not. For "/data/*" DVC would take data/ itself to be ignored, and not
look for raw.dvc there."""


@dataclass(frozen=True)
class Workspace:
    """Where the stages read and write; the outs of dvc.yaml are these paths."""

    root: Path

    @cached_property
    def params(self) -> Params:
        """The checked params.yaml."""
        return load_params(self.root / "params.yaml")

    @property
    def raw(self) -> Path:
        return self.root / self.params.data.raw

    @property
    def records(self) -> Path:
        return self.root / "data/records"

    def records_file(self, split: str) -> Path:
        return self.records / f"{split}.parquet"

    def shards(self, split: str) -> Path:
        """What `deepmark shard` makes; what is read is `deepmark.workspace.inputs.open_shards`."""
        return self.root / "data/shards" / split

    @property
    def checkpoint(self) -> Path:
        return self.root / "data/checkpoint"

    @property
    def model_file(self) -> Path:
        return self.checkpoint / "model.safetensors"

    @property
    def training_file(self) -> Path:
        """How the checkpoint came about: epochs, seconds, MLflow run."""
        return self.checkpoint / "training.json"

    @property
    def train_metrics_file(self) -> Path:
        return self.root / "metrics/train.json"

    @property
    def losses_file(self) -> Path:
        return self.root / "plots/losses.csv"

    def predictions_file(self, strategy: str) -> Path:
        return self.root / "data/predictions" / f"{strategy}.parquet"

    def metrics_file(self, strategy: str) -> Path:
        return self.root / "metrics" / f"{strategy}.json"

    def tables(self, strategy: str) -> Path:
        return self.root / "tables" / strategy

    def table_file(self, strategy: str) -> Path:
        """Every AP of the strategy."""
        return self.tables(strategy) / "ap.csv"

    def plot_file(self, strategy: str) -> Path:
        return self.root / "plots" / f"{strategy}.csv"

    @property
    def audit(self) -> Path:
        return self.root / "data/audit"

    @property
    def suspects_file(self) -> Path:
        """Suspected labels, ranked."""
        return self.audit / "suspects.parquet"

    @property
    def audit_page(self) -> Path:
        """The same for people, with pictures."""
        return self.audit / "index.html"

    @property
    def report(self) -> Path:
        return self.root / "report"

    @property
    def runs(self) -> Path:
        """Work in progress that DVC must not touch: the checkpoints a training resumes from."""
        return self.root / "runs"


def profile_file(profile: str) -> Path:
    """The params.yaml that a profile starts with."""
    return Path(__file__).parent / "profiles" / f"{profile}.yaml"


def _dvc_yaml() -> Path:
    beside_package, in_package = Path(__file__).parents[2] / "dvc.yaml", Path(__file__).parent / "profiles/dvc.yaml"
    return in_package if in_package.is_file() else beside_package


def _run(*command: str, cwd: Path) -> subprocess.CompletedProcess[str]:
    try:
        return subprocess.run(command, cwd=cwd, check=True, capture_output=True, text=True)
    except subprocess.CalledProcessError as error:
        raise DeepmarkError(f"{cwd}: `{' '.join(command)}` failed: {error.stderr.strip()}") from None


def init_workspace(root: Path, profile: str) -> Workspace:
    """Make `root` a workspace with a git and a DVC repository of its own; an existing workspace is left as it is.

    Raises DeepmarkError where the folder holds something else.
    """
    if (root / "params.yaml").is_file() and (root / ".dvc").is_dir():
        return Workspace(root)
    if root.is_dir() and any(root.iterdir()):
        raise DeepmarkError(f"{root}: not empty, and not a workspace. Give a new folder.")
    if shutil.which("git") is None:
        raise DeepmarkError("git: not found. A workspace is a git repository: install git.")
    if not tool("dvc").is_file():
        raise missing_extra("pipeline")
    root.mkdir(parents=True, exist_ok=True)
    shutil.copyfile(profile_file(profile), root / "params.yaml")
    shutil.copyfile(_dvc_yaml(), root / "dvc.yaml")
    (root / ".gitignore").write_text(_GIT_IGNORE, "utf-8")
    (root / "data").mkdir()
    git(root, "init", "--quiet", "--initial-branch=main")
    _run(str(tool("dvc")), "init", "--quiet", cwd=root)
    _run(str(tool("dvc")), "config", "core.analytics", "false", cwd=root)
    git(root, "add", "--all")
    git(root, *IDENTITY, "commit", "--quiet", "--message", f"A DeepMark workspace, profile {profile}")
    return Workspace(root)
