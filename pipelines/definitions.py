"""The Dagster code location: the assets, checks and jobs of one workspace, $DEEPMARK_WORKSPACE or this folder."""

import os
import warnings
from pathlib import Path

import dagster as dg

from assets import data, evaluation, release, training
from assets.dvc.graph import read_graph
from assets.dvc_asset import broken, dvc_assets
from deepmark.errors import DeepmarkError
from deepmark.workspace.layout import Workspace
from pipelines.automation.definitions import automation, watched
from pipelines.experiment.job import experiment_job
from pipelines.jobs import jobs

GROUPS = {"data": data.assets, "training": training.assets, "evaluation": evaluation.assets, "release": release.assets}


def build_definitions(workspace: Path) -> dg.Definitions:
    """Everything Dagster knows of a workspace; for a dvc.yaml that cannot be read, one asset that says why.

    Where params.yaml cannot be read, such an asset stands in place of schedule and sensors.
    """
    with warnings.catch_warnings():
        for kind in (dg.BetaWarning, dg.PreviewWarning):  # code links, observed assets: the release is pinned
            warnings.simplefilter("ignore", kind)
        return _definitions(workspace)


def _definitions(workspace: Path) -> dg.Definitions:
    try:
        graph = read_graph(workspace)
        others = {family.hints.group for family in graph.families} - set(GROUPS)
        assets = [asset for make in GROUPS.values() for asset in make(graph)]
        assets += [asset for group in sorted(others) for asset in dvc_assets(graph, group=group)]
        groups = {spec.group_name for asset in assets for spec in asset.specs if spec.group_name}
        every = [*jobs(graph, groups), experiment_job(graph)]
        made = dg.Definitions(assets=assets, jobs=every, executor=dg.in_process_executor)
        made.get_repository_def()  # Dagster looks at the whole only when asked
    except (DeepmarkError, dg.DagsterInvalidDefinitionError) as error:
        return dg.Definitions(assets=[broken("dvc.yaml", error)])
    try:
        params = Workspace(workspace).params.automation
        return dg.Definitions.merge(watched(made, params), automation(workspace, params, list(made.jobs or ())))
    except (DeepmarkError, dg.DagsterInvalidDefinitionError) as error:
        return dg.Definitions.merge(made, dg.Definitions(assets=[broken("params.yaml", error)]))


# Each asset starts a process anyway: a second one around it, for every step, would only cost its imports.
defs = build_definitions(Path(os.environ.get("DEEPMARK_WORKSPACE", ".")).resolve())
