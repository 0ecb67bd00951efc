"""The group `training`: the checkpoint, which is the trained detector."""

import dagster as dg

from assets.checks.model import loss_falls, loss_is_finite, the_training_learns
from assets.dvc.graph import Graph
from assets.dvc_asset import dvc_assets
from assets.metadata.stages import checkpoint_facts


def assets(graph: Graph) -> list[dg.AssetsDefinition]:
    return dvc_assets(
        graph,
        group="training",
        facts={"checkpoint": checkpoint_facts},
        checks={"checkpoint": [loss_is_finite]},
        warnings={"checkpoint": [loss_falls, the_training_learns]},
    )
