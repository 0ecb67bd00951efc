"""A job for each set of assets that have the same partitions, because a Dagster run has one set of partitions."""

from collections.abc import Collection

import dagster as dg

from assets.dvc.graph import Graph
from pipelines.jobs.names import RELEASE


def asset_jobs(graph: Graph, groups: Collection[str]) -> list:
    """In an order in which they can run; the last is `release`, where there is a group of that name."""
    jobs = [
        dg.define_asset_job(
            name,
            # Objects, not a selection string: strings need antlr 4.13, and DVC's requirements allow others.
            selection=dg.AssetSelection.assets(*(family.hints.asset for family in families)),
            description="Makes " + ", ".join(family.hints.asset for family in families) + ".",
        )
        for name, families in graph.jobs.items()
    ]
    if RELEASE in groups:
        release = dg.define_asset_job(
            RELEASE,
            selection=dg.AssetSelection.groups(RELEASE),
            description="From an evaluated checkpoint to the champion.",
        )
        jobs.append(release)
    return jobs
