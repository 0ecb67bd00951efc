"""The inputs of a workspace's stages: shards, which may lie on other storage, training.json, and predictions."""

import hashlib
from pathlib import Path
from typing import Any

from deepmark.data.predictions import read_predictions
from deepmark.data.shards.cache import ShardCache
from deepmark.data.shards.index import index_file
from deepmark.data.shards.reader import ShardReader
from deepmark.data.shards.remote import RemoteFolder, is_url
from deepmark.data.shards.source import RemoteShards, remote_index
from deepmark.digests import read_json_with_digest
from deepmark.errors import DeepmarkError
from deepmark.files import file_sha256, require_file
from deepmark.schema import STRATEGIES
from deepmark.types import Prediction
from deepmark.workspace.layout import Workspace


def remote_shards(workspace: Workspace, split: str) -> RemoteFolder | None:
    """The folder of a split's shards on other storage; None where params.yaml names a local folder."""
    storage = workspace.params.storage
    if not is_url(storage.shards):
        return None
    return RemoteFolder(url=f"{storage.shards.rstrip('/')}/{split}", timeout_seconds=storage.timeout_seconds)


def shard_source(workspace: Workspace, split: str) -> Path | RemoteShards:
    """Where the shards of a split are, by the section `storage` of params.yaml.

    Raises DeepmarkError where that is a folder that does not exist.
    """
    storage, folder = workspace.params.storage, remote_shards(workspace, split)
    if folder is not None:
        cache = ShardCache(folder=workspace.root / storage.cache, limit=int(storage.cache_gib * 2**30))
        return RemoteShards(folder, cache)
    return require_file(workspace.root / storage.shards / split, f"deepmark shard --split {split}")


def open_shards(workspace: Workspace, split: str) -> ShardReader:
    """The samples of a split; in the workspace of a fold both splits are parts of the training images."""
    fold = workspace.fold_file(split)
    if fold.is_file():
        return ShardReader(shard_source(workspace, "train"), only=fold)
    return ShardReader(shard_source(workspace, split))


def index_sha256(workspace: Workspace, split: str) -> str:
    """Identifies the shards of a split on any storage: the sha256 of their index, which holds all checksums."""
    if workspace.fold_file(split).is_file():
        return open_shards(workspace, split).sha256
    source = shard_source(workspace, split)
    if isinstance(source, RemoteShards):
        return hashlib.sha256(remote_index(source.folder)[0]).hexdigest()
    return file_sha256(index_file(source))


def read_training(workspace: Workspace) -> dict[str, Any]:
    """The content of training.json: the history of the training, and its MLflow run.

    Raises DeepmarkError where the file is missing or damaged.
    """
    return read_json_with_digest(workspace.training_file, "deepmark train")


def find_predictions(workspace: Workspace, name: str) -> Path:
    """The file of predictions of a strategy of the workspace, or the file of that name.

    Raises DeepmarkError if the name is neither, or the strategy has not been predicted yet.
    """
    if name in STRATEGIES:
        return require_file(workspace.predictions_file(name), f"deepmark predict --strategy {name}")
    if Path(name).is_file():
        return Path(name)
    raise DeepmarkError(
        f"{name}: neither a strategy ({', '.join(STRATEGIES)}) nor a file of predictions, an exported model or a "
        "registered version. Give for example flip, ../other/data/predictions/flip.parquet, export/model_int8.onnx, or "
        "models:/deepmark@champion."
    )


def read_predictions_of(file: Path, images: set[int]) -> list[Prediction]:
    """The predictions in a file; DeepmarkError if they are not of the images with these ids, each and no other."""
    predictions = list(read_predictions(file)[0])
    if {one.image_id for one in predictions} != images:
        raise DeepmarkError(
            f"{file}: predictions of {len(predictions)} images, and the validation records hold {len(images)}, not "
            "all the same. Detectors can be compared on the same images only: predict again from this workspace."
        )
    return predictions
