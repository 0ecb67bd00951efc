"""The shards of a split of a workspace: written below data/shards, or to the URL that params.yaml names."""

from typing import Any

from deepmark.compute.choose import engine_of
from deepmark.data.records import open_records
from deepmark.data.shards.index import INDEX_FILE
from deepmark.data.shards.writer import write_shards
from deepmark.files import new_folder, require_file
from deepmark.progress import progress
from deepmark.workspace.inputs import remote_shards
from deepmark.workspace.layout import Workspace


def shard_split(workspace: Workspace, split: str) -> dict[str, Any]:
    """Write the shards of a split; returns the number of samples, shards and bytes.

    Where params.yaml: storage: shards is a URL, data/shards/{split} gets a copy of their index, by which DVC knows
    them.
    """
    records = require_file(workspace.records_file(split), f"deepmark ingest --split {split}")
    params, remote = workspace.params.shard, remote_shards(workspace, split)
    with open_records(records) as file:
        images = file.metadata.num_rows
    with progress(f"shard {split}", images) as advance:
        facts = write_shards(
            records,
            workspace.raw,
            remote or workspace.shards(split),
            split=split,
            seed=params.seed,
            target_mib=params.target_mib,
            engine=engine_of(workspace.params.compute),
            progress=advance,
        )
    if remote is not None:
        with new_folder(workspace.shards(split)) as draft:
            (draft / INDEX_FILE).write_bytes(remote.read(INDEX_FILE))
    return facts
