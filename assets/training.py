"""checkpoint: the trained detector."""

import dagster as dg

from pipelines.checks import loss_falls, loss_is_finite
from pipelines.dvc_assets import dvc_assets
from pipelines.dvc_graph import Graph
from pipelines.metadata import checkpoint_facts


def assets(graph: Graph) -> list[dg.AssetsDefinition]:
    return dvc_assets(
        graph,
        group="training",
        facts={"checkpoint": checkpoint_facts},
        checks={"checkpoint": [loss_is_finite, loss_falls]},
    )
