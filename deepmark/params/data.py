"""Sections of params.yaml about data: where it is, what ingest accepts, how shards are written and stored."""

from deepmark.params.section import Positive, Section, Share


class DataParams(Section):
    raw: str
    """Folder of DeepFashion2 as unzipped, relative to the workspace: train/image, train/annos, validation/…"""


class IngestParams(Section):
    max_rejected_share: Share
    """More rejected pictures than this share of all files stops the stage."""

    max_megapixels: Positive
    """Larger pictures are refused by their header, before decoding."""


class ShardParams(Section):
    seed: int
    """Of the shuffle that decides which sample lies in which shard."""

    target_mib: Positive
    """A shard is closed when it has reached this size."""


class StorageParams(Section):
    """Where shards are read from; what is made of them does not depend on it."""

    shards: str = "data/shards"
    """Folder of train/ and validation/, relative to the workspace, or its fsspec URL, such as s3://bucket/shards."""

    cache: str = "runs/shards"
    """Folder, relative to the workspace, that keeps shards fetched from a URL; workspaces may share one."""

    cache_gib: Positive = 64
    """The most that the cache holds."""

    timeout_seconds: Positive = 60
    """How long S3 may be silent before it is asked again."""
