"""The group `data`: raw_deepfashion2, and the records and shards that are made from it."""

import dagster as dg

from assets.checks.data import (
    every_file_is_accounted_for,
    landmarks_are_in_mirror_order,
    no_picture_is_in_both_splits,
    nothing_has_shrunk,
    rejected_share_is_far_from_its_limit,
)
from assets.dvc.graph import Graph
from assets.dvc_asset import dvc_assets
from assets.metadata.stages import records_facts, shards_facts
from assets.raw_data import FOLDER, RAW, raw_asset


def assets(graph: Graph) -> list[dg.AssetsDefinition]:
    made = dvc_assets(
        graph,
        group="data",
        facts={"records": records_facts, "shards": shards_facts},
        checks={
            "records": [
                every_file_is_accounted_for,
                no_picture_is_in_both_splits,
                landmarks_are_in_mirror_order,
            ]
        },
        warnings={"records": [rejected_share_is_far_from_its_limit, nothing_has_shrunk]},
        sources={RAW: graph.workspace / FOLDER},
    )
    return [raw_asset(graph.workspace), *made] if made else []
