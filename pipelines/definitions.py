"""The Dagster code location: the assets, checks and jobs of one workspace, $DEEPMARK_WORKSPACE or this folder."""

import os
from pathlib import Path

import dagster as dg

from assets import data, evaluation, release, training
from deepmark.errors import DeepmarkError
from pipelines.dvc_assets import broken_graph, dvc_assets
from pipelines.dvc_graph import read_graph
from pipelines.jobs import jobs

GROUPS = {"data": data.assets, "training": training.assets, "evaluation": evaluation.assets, "release": release.assets}


def build_definitions(workspace: Path) -> dg.Definitions:
    """Everything Dagster knows of a workspace; for a dvc.yaml that cannot be read, one asset that says why."""
    try:
        graph = read_graph(workspace)
        others = {family.hints.group for family in graph.families} - set(GROUPS)
        assets = [asset for make in GROUPS.values() for asset in make(graph)]
        assets += [asset for group in sorted(others) for asset in dvc_assets(graph, group=group)]
        defs = dg.Definitions(assets=assets, jobs=jobs(graph), executor=dg.in_process_executor)
        defs.get_repository_def()  # Dagster looks at the whole only when asked
    except (DeepmarkError, dg.DagsterInvalidDefinitionError) as error:
        return dg.Definitions(assets=[broken_graph(error)])
    return defs


# Each asset starts a process anyway: a second one around it, for every step, would only cost its imports.
defs = build_definitions(Path(os.environ.get("DEEPMARK_WORKSPACE", ".")).resolve())
