"""The assets, checks, jobs, schedule and sensors that Dagster has of a workspace."""

import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import dagster as dg

from assets import data, evaluation, release, training
from assets.dvc.graph import Graph, read_graph
from assets.dvc_asset import broken_file_asset, dvc_assets
from deepmark.errors import DeepmarkError
from deepmark.workspace.layout import Workspace
from pipelines.automation.definitions import automation
from pipelines.automation.freshness import with_freshness
from pipelines.experiment.job import experiment_job
from pipelines.jobs.asset_jobs import asset_jobs
from pipelines.jobs.chains import chains

GROUPS = {"data": data.assets, "training": training.assets, "evaluation": evaluation.assets, "release": release.assets}
"""Group -> the function that makes its assets, in the order of the graph."""


def build_definitions(workspace: Path) -> dg.Definitions:
    """Everything that Dagster knows of a workspace.

    Where dvc.yaml cannot be read, it is one asset that shows the error. Where params.yaml cannot be read, such an asset
    takes the place of schedule and sensors.
    """
    try:
        defs = build_jobs(read_graph(workspace))
    except DeepmarkError as error:
        return dg.Definitions(assets=[broken_file_asset("dvc.yaml", error)])
    try:
        params = Workspace(workspace).params.automation
        with _ignored_warnings():
            return dg.Definitions.merge(
                with_freshness(defs, params), automation(workspace, params, list(defs.jobs or ()))
            )
    except (DeepmarkError, dg.DagsterInvalidDefinitionError) as error:
        return dg.Definitions.merge(defs, dg.Definitions(assets=[broken_file_asset("params.yaml", error)]))


def build_jobs(graph: Graph) -> dg.Definitions:
    """The assets and jobs of a graph, without schedule and sensors. Raises DeepmarkError where Dagster refuses them."""
    with _ignored_warnings():
        try:
            others = {family.hints.group for family in graph.families} - set(GROUPS)
            assets = [asset for make in GROUPS.values() for asset in make(graph)]
            assets += [asset for group in sorted(others) for asset in dvc_assets(graph, group=group)]
            groups = {spec.group_name for asset in assets for spec in asset.specs if spec.group_name}
            jobs = [*asset_jobs(graph, groups), *chains(graph, lambda: defs), experiment_job(graph)]
            # An asset starts a process in any case: one more around it would only cost its imports.
            defs = dg.Definitions(assets=assets, jobs=jobs, executor=dg.in_process_executor)
            defs.get_repository_def()  # Dagster checks the whole only when it is asked for it
        except dg.DagsterInvalidDefinitionError as error:
            raise DeepmarkError(str(error)) from error
    return defs


@contextmanager
def _ignored_warnings() -> Iterator[None]:
    """Dagster warns of code links and observed assets, which may change in a later version than the one pinned."""
    with warnings.catch_warnings():
        for kind in (dg.BetaWarning, dg.PreviewWarning):
            warnings.simplefilter("ignore", kind)
        yield
