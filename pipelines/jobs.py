"""A job for each set of assets that share their partitions, as the hints in dvc.yaml name it."""

import dagster as dg

from pipelines.dvc_graph import Graph


def jobs(graph: Graph) -> list:
    """In an order in which they can run."""
    return [
        dg.define_asset_job(
            name,
            # Objects, not a selection string: strings need antlr 4.13, which DVC's own wishes can replace.
            selection=dg.AssetSelection.assets(*(family.hints.asset for family in families)),
            description="Makes " + ", ".join(family.hints.asset for family in families) + ".",
        )
        for name, families in graph.jobs.items()
    ]
