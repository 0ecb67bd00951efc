"""Sections of params.yaml about data: where it is, what ingest accepts, how shards are stored, where work is done."""

from typing import Annotated, Literal

from pydantic import Field

from deepmark.params.section import Count, Positive, Section, Seed, Share


class DataParams(Section):
    raw: str
    """Folder of DeepFashion2 as unzipped, relative to the workspace: train/image, train/annos, validation/…"""


class IngestParams(Section):
    max_rejected_share: Share
    """The stage fails if a larger share of all images is rejected."""

    max_megapixels: Positive
    """Larger images are rejected by their header, before decoding."""


class ShardParams(Section):
    seed: Seed
    """Seed of the shuffle that decides which sample goes into which shard."""

    target_mib: Positive
    """A shard is closed when it reaches this size."""


class StorageParams(Section):
    """Where shards lie. Results do not depend on it."""

    shards: str = "data/shards"
    """Folder of train/ and validation/, relative to the workspace, or its fsspec URL, such as s3://bucket/shards."""

    cache: str = "runs/shards"
    """Folder for shards downloaded from a URL, relative to the workspace; workspaces may share one."""

    cache_gib: Positive = 64
    """Largest size of the cache."""

    timeout_seconds: Positive = 60
    """A request to S3 without an answer is repeated after this time."""


class ComputeParams(Section):
    """Where the pieces of a stage run. No stage of dvc.yaml names it, and results do not depend on it."""

    engine: Literal["local", "ray"] = "local"
    """Processes of this machine, or the machines of a Ray cluster."""

    address: str = "auto"
    """Of the Ray cluster: host:port, or auto for the one that this machine has joined (or RAY_ADDRESS)."""

    workers: Count | None = None
    """Processes; None: one a core, of this machine or of the cluster. For networks one a GPU; on this machine without a
    GPU, one in all."""

    train_processes: Count | Literal["auto"] = "auto"
    """Processes that train together; "auto": one a GPU of the machine or cluster, or one where there is none.

    A run goes on with the number with which it began, which decides how its sums are rounded."""

    restarts: Annotated[int, Field(ge=0)] = 20
    """How often a training on a cluster starts again from its last checkpoint, after it lost machines or processes."""

    timeout_seconds: Positive = 600
    """How long the processes of a training wait for each other, when they meet and in every exchange."""
