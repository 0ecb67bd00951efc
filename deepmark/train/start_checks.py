"""What `deepmark train` checks before it trains: shards, their number of images, the disk, the number of processes."""

import logging
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import torch

from deepmark.data.sampling import batch_bounds
from deepmark.data.shards.reader import ShardReader
from deepmark.data.shards.remote import MissingFileError
from deepmark.data.shards.upload import PLAN_FILE, plan_digest
from deepmark.data.shards.verified import VerifiedShards, read_verified, write_verified
from deepmark.errors import DeepmarkError
from deepmark.files import require_space
from deepmark.model.detector import build_detector
from deepmark.progress import progress
from deepmark.schema import SPLITS
from deepmark.vocabulary import check_same
from deepmark.workspace.inputs import open_shards, remote_shards
from deepmark.workspace.layout import Workspace

_log = logging.getLogger(__name__)


def check_shards(workspace: Workspace, *, processes: int, verify: bool, fresh: bool = False) -> None:
    """Raise DeepmarkError where a batch is too small for so many processes, or a shard differs from its checksum.

    Shards that were intact at an earlier start and have not changed since are not read again (`data.shards.verified`),
    unless this start is `fresh`.
    """
    batch_size = workspace.params.train.batch_size
    if batch_size < processes:
        raise DeepmarkError(
            f"params.yaml: train: batch_size {batch_size} is the total over {processes} processes, and must "
            "give each at least one image. Raise it, or lower compute.train_processes."
        )
    verified = VerifiedShards() if fresh else read_verified(workspace.verified_file)
    for split in SPLITS:
        reader = open_shards(workspace, split)
        smallest = min((stop - start for start, stop in batch_bounds(len(reader), batch_size)), default=0)
        if smallest < processes:
            raise DeepmarkError(
                f"{workspace.params.storage.shards}/{split}: {len(reader)} images are too few for {processes} "
                f"processes: the smallest batch has {smallest}. Add data, raise train.batch_size, or lower "
                "compute.train_processes."
            )
        if verify:
            _warn_of_other_records(workspace, split)
            with progress(f"verify {split}", len(reader)) as advance:
                reader.verify(advance, verified=verified)
            write_verified(workspace.verified_file, verified)


def _warn_of_other_records(workspace: Workspace, split: str) -> None:
    """Say so where shards at a URL are not those that `deepmark shard` would write, which DVC does not see.

    Shards that somebody copied there do not tell what they were made of.
    """
    folder, records = remote_shards(workspace, split), workspace.records_file(split)
    if folder is None or not records.is_file():
        return
    params = workspace.params.shard
    try:
        made_of = folder.read(PLAN_FILE)
    except MissingFileError:
        return
    if made_of.decode() != plan_digest(records, split=split, seed=params.seed, target_mib=params.target_mib):
        _log.warning(
            "warning: %s: made of other records, or by another section shard of params.yaml, than are here. Run "
            "`dvc repro shard@%s` to train on today's.",
            folder.url,
            split,
        )


def check_vocabularies(workspace: Workspace, train: ShardReader, validation: ShardReader) -> None:
    """Raise DeepmarkError where both splits have not the same vocabulary."""
    folders = [f"{workspace.params.storage.shards}/{split}" for split in SPLITS]
    remedy = "Ingest and shard both again: `dvc repro`."
    check_same(train.vocabulary, folders[0], validation.vocabulary, folders[1], remedy)


def check_space(workspace: Workspace) -> None:
    """Raise DeepmarkError where not even the model and one checkpoint fit on the disk."""
    with torch.device("meta"):
        detector = build_detector(workspace.params.model, open_shards(workspace, "train").vocabulary, seed=None)
    weights = sum(value.nbytes for value in detector.state_dict().values())
    train = workspace.params.train
    copies = (
        3 + (train.ema is not None) + (train.evaluate_every > 0)
    )  # weights, two moments, the average, the best epoch's
    require_space(workspace.root, weights * (1 + copies))


def check_processes(folder: Path, facts: Mapping[str, Any], *, processes: int) -> None:
    """Raise DeepmarkError where another number of processes began the run, of which a checkpoint has these facts.

    Sums over processes are rounded otherwise in another number of groups, and normalisation without `sync_batch_norm`
    sees other images, so that the run would end as neither number of processes ends it.
    """
    begun = facts.get("processes")
    if begun is None:
        _log.warning(
            "warning: %s: of an earlier release, which did not note how many processes trained; goes on with %d.",
            folder,
            processes,
        )
    elif begun != processes:
        raise DeepmarkError(
            f"{folder}: this run was begun by {begun} processes, and would go on with {processes}, which makes it "
            f"another one. Set compute: train_processes: {begun} in params.yaml (or give {begun} by the scheduler), or "
            "train anew with `deepmark train --fresh`."
        )
