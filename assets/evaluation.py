"""The group `evaluation`: the quality of the detector (predictions, metrics, report) and of its labels."""

import dagster as dg

from assets.checks.export import float32_finds_what_torch_finds, no_file_loses_ap
from assets.checks.model import ap_is_not_below_the_simpler_strategy, latency_has_not_grown
from assets.dvc.graph import Graph
from assets.dvc_asset import dvc_assets
from assets.metadata.stages import export_facts, metrics_facts, report_facts, suspects_facts


def assets(graph: Graph) -> list[dg.AssetsDefinition]:
    return dvc_assets(
        graph,
        group="evaluation",
        facts={
            "metrics": metrics_facts,
            "exported_model": export_facts,
            "suspected_labels": suspects_facts,
            "report": report_facts,
        },
        warnings={
            "metrics": [ap_is_not_below_the_simpler_strategy, latency_has_not_grown],
            "exported_model": [float32_finds_what_torch_finds, no_file_loses_ap],
        },
    )
