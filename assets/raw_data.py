"""raw_deepfashion2: the raw files, which no stage makes. They are observed, so that the graph shows their changes."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import dagster as dg

from assets.dagster_internals import DATA_VERSION_TAG, INPUT_DATA_VERSION_TAG
from assets.metadata.code_references import function_link
from assets.metadata.format import rounded
from deepmark.data.ingest.raw_version import RawVersion, read_raw_version
from deepmark.workspace.layout import Workspace

RAW = "raw_deepfashion2"
FOLDER = "data/raw"
"""As the stages of dvc.yaml name it."""


def raw_asset(workspace: Path) -> dg.AssetsDefinition:
    """The observed source; its data version follows from the names, sizes and times of all raw files."""

    @dg.multi_observable_source_asset(
        name=f"observe_{RAW}",
        specs=[
            dg.AssetSpec(
                RAW,
                group_name="data",
                owners=["team:deepmark"],
                kinds={"file"},
                description="DeepFashion2 as unzipped, or drawn in its format: images and annotations, by split. "
                "Observed, not made: its data version changes when a file is added, removed or written.",
                metadata=function_link("deepmark.data.ingest.raw_version", "read_raw_version"),
            )
        ],
    )
    def observed() -> Iterator[dg.ObserveResult]:
        version = read_raw_version(Workspace(workspace).raw)
        yield dg.ObserveResult(asset_key=RAW, data_version=dg.DataVersion(version.digest), metadata=_facts(version))

    return observed


def observation(version: RawVersion) -> dg.AssetObservation:
    """The same observation as an event, for a caller that has read the version."""
    return dg.AssetObservation(RAW, tags={DATA_VERSION_TAG: version.digest}, metadata=_facts(version))


def version_of_records(instance: dg.DagsterInstance) -> str | None:
    """The version of the raw files that the latest records, of either split, were made from; None if not known."""
    records = instance.fetch_materializations(dg.AssetKey("records"), limit=1).records
    latest = records[0].asset_materialization if records else None
    return (latest.tags or {}).get(f"{INPUT_DATA_VERSION_TAG}{RAW}") if latest else None


def _facts(version: RawVersion) -> dict[str, Any]:
    return rounded({"files": version.files, "MiB": version.bytes / 2**20})
