"""records and shards: what is made of the raw files."""

import dagster as dg

from pipelines.checks import every_file_is_accounted_for
from pipelines.dvc_assets import dvc_assets
from pipelines.dvc_graph import Graph
from pipelines.metadata import records_facts, shards_facts


def assets(graph: Graph) -> list[dg.AssetsDefinition]:
    return dvc_assets(
        graph,
        group="data",
        facts={"records": records_facts, "shards": shards_facts},
        checks={"records": [every_file_is_accounted_for]},
    )
