"""What `deepmark train` checks before the first process starts: the shards, their number of images, the disk."""

import torch

from deepmark.data.sampling import batch_bounds
from deepmark.errors import DeepmarkError
from deepmark.files import require_space
from deepmark.model.detector import build_detector
from deepmark.progress import progress
from deepmark.schema import SPLITS
from deepmark.workspace.inputs import open_shards
from deepmark.workspace.layout import Workspace


def check_shards(workspace: Workspace, *, processes: int, verify: bool) -> None:
    """Raise DeepmarkError where a batch is too small for so many processes, or a shard differs from its checksum."""
    batch_size = workspace.params.train.batch_size
    if batch_size < processes:
        raise DeepmarkError(
            f"params.yaml: train: batch_size {batch_size} is the total over {processes} processes, and must "
            "give each at least one image. Raise it, or lower launch.nproc_per_node."
        )
    for split in SPLITS:
        reader = open_shards(workspace, split)
        smallest = min((stop - start for start, stop in batch_bounds(len(reader), batch_size)), default=0)
        if smallest < processes:
            raise DeepmarkError(
                f"{workspace.params.storage.shards}/{split}: {len(reader)} images are too few for {processes} "
                f"processes: the smallest batch has {smallest}. Add data, raise train.batch_size, or lower "
                "launch.nproc_per_node."
            )
        if verify:
            with progress(f"verify {split}", len(reader)) as advance:
                reader.verify(progress=advance)


def check_space(workspace: Workspace) -> None:
    """Raise DeepmarkError where not even the model and one checkpoint fit on the disk."""
    with torch.device("meta"):
        weights = sum(value.nbytes for value in build_detector(workspace.params.model, seed=None).state_dict().values())
    train = workspace.params.train
    copies = (
        3 + (train.ema is not None) + (train.evaluate_every > 0)
    )  # weights, two moments, the average, the best epoch's
    require_space(workspace.root, weights * (1 + copies))
