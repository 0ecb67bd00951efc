"""The data sets of a training as MLflow shows them: the shards of each split, and their version."""

import json
from collections.abc import Mapping
from typing import TYPE_CHECKING

from deepmark.data.shards.remote import is_url
from deepmark.digests import read_json_with_digest
from deepmark.tracking.provenance import data_version
from deepmark.workspace.inputs import index_sha256
from deepmark.workspace.layout import Workspace

if TYPE_CHECKING:
    from mlflow.entities import DatasetInput

_DIGEST = 32
"""Characters of the sha256 that are kept; MLflow takes up to 36."""


def dataset_inputs(workspace: Workspace, sizes: Mapping[str, dict[str, int]]) -> list["DatasetInput"]:
    """The shards of each split, for MLflow's `log_inputs`; the split is the context.

    The digest is the beginning of the sha256 of the shards' index, which holds a checksum of every sample. `sizes`
    has what is counted of each split; the items of each category are added where `deepmark ingest` has counted them.
    """
    from mlflow.entities import Dataset, DatasetInput, InputTag

    shards, version = workspace.params.storage.shards.rstrip("/"), data_version(workspace.root)
    source_type = shards.partition("://")[0] if is_url(shards) else "local"
    return [
        DatasetInput(
            Dataset(
                name=f"shards/{split}",
                digest=index_sha256(workspace, split)[:_DIGEST],
                source_type=source_type,
                source=json.dumps({"uri": f"{shards}/{split}"}),
                profile=json.dumps(
                    {**counts, **_items(workspace, split), **({"data.version": version} if version else {})}
                ),
            ),
            tags=[InputTag("mlflow.data.context", split)],
        )
        for split, counts in sizes.items()
    ]


def _items(workspace: Workspace, split: str) -> dict[str, dict[str, int]]:
    file = workspace.records / f"{split}.statistics.json"
    if not file.is_file():  # trained where only the shards are
        return {}
    statistics = read_json_with_digest(file, f"deepmark ingest --split {split}")
    return {"items": {name: counts["items"] for name, counts in statistics["by"]["category"].items()}}
