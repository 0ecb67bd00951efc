"""A job that runs the graph with other parameters than params.yaml has, in a copy, and keeps the result for DVC.

params.yaml and the results of the workspace stay what they are. What ran with which parameters is an experiment of
DVC: `dvc params diff HEAD NAME` shows them, `dvc exp apply NAME` brings them into the workspace.
"""

import json
import re
from pathlib import Path
from typing import Any

import dagster as dg
from pydantic import Field

from assets.dvc.graph import Graph
from assets.dvc.repro import run_guarded
from assets.dvc_asset import repro_in_run
from deepmark.errors import DeepmarkError, nearest
from deepmark.tracking.mlflow_store import tracking_uri
from deepmark.tracking.provenance import EXPERIMENT_VARIABLE
from deepmark.workspace.git import git
from deepmark.workspace.layout import Workspace
from pipelines.experiment.overrides import override
from pipelines.experiment.workspace_copy import copied, find_kept, keep, link

EXPERIMENT = "experiment"
"""The job; Dagster wants another name for its only op."""

_OP = "in_a_copy"

NAME_TAG = "deepmark/experiment"
PARAMS_TAG = "deepmark/params"

_NAME = re.compile(r"(?!.*\.lock$)[A-Za-z0-9_]+([.-][A-Za-z0-9_]+)*")
_ABOUT = "Runs the graph with other parameters, in a copy of the workspace, and keeps the result as a DVC experiment."


class ExperimentConfig(dg.Config):
    """What the launchpad asks for."""

    params: dict[str, Any] = Field(
        description="What differs from params.yaml, by the names of `dvc params diff`: {train.epochs: 2}, or by "
        "section: {train: {epochs: 2}}."
    )
    name: str | None = Field(default=None, description="Of the experiment; run- and the run's id where none is given.")
    targets: list[str] = Field(
        default=[], description="The stages of dvc.yaml to bring up to date, with all they depend on; all where empty."
    )


def experiment_job(graph: Graph) -> dg.JobDefinition:
    """The job for a workspace; it takes a place in the pool `gpu`, for it trains and predicts."""

    @dg.op(name=_OP, pool="gpu", description=_ABOUT)
    def in_a_copy(context: dg.OpExecutionContext, config: ExperimentConfig) -> None:
        try:
            _run(context, graph, config)
        except DeepmarkError as error:
            raise dg.Failure(description=str(error), allow_retries=False) from None

    @dg.config_mapping
    def asked(config: ExperimentConfig) -> dict[str, Any]:
        return {"ops": {_OP: {"config": config.model_dump(exclude_none=True)}}}

    @dg.job(name=EXPERIMENT, description=_ABOUT, executor_def=dg.in_process_executor, config=asked)
    def experiment() -> None:
        in_a_copy()

    return experiment


def _run(context: dg.OpExecutionContext, graph: Graph, config: ExperimentConfig) -> None:
    workspace, run = graph.workspace, context.run.root_run_id or context.run_id
    name = config.name or f"run-{run[:8]}"
    params, changed = override(workspace / "params.yaml", config.params)
    written = "\n".join(f"{key}: {json.dumps(value)}" for key, value in changed.items())
    _check(graph, name, config.targets)
    kept = find_kept(workspace, name)
    if kept and run not in kept:
        what = kept.splitlines()[0]
        raise DeepmarkError(
            f"The name '{name}' is taken, by {what}. "
            f"Choose another; an experiment is forgotten by `dvc exp remove {name}`."
        )
    context.instance.add_run_tags(context.run_id, {NAME_TAG: name, PARAMS_TAG: written.replace("\n", ", ")})
    if kept:
        context.log.info(f"Experiment {name} was kept by this run before it was started again: nothing is left to do.")
    else:
        with copied(workspace, name, params) as copy:
            _prepare(context, workspace, copy, config.targets)
            repro_in_run(
                context,
                copy,
                *config.targets,
                options=["--allow-missing"],
                env={EXPERIMENT_VARIABLE: name, "MLFLOW_TRACKING_URI": tracking_uri(workspace)},
            )
            keep(workspace, copy, name, f"Experiment {name}\n\n{written}\n\nDagster's run {run}")
    context.add_output_metadata(_facts(context, workspace, name))


def _check(graph: Graph, name: str, targets: list[str]) -> None:
    if not _NAME.fullmatch(name):
        raise DeepmarkError(
            f"'{name}' cannot be the name of an experiment. Take letters, digits and _, with - or . between them."
        )
    names = [stage.address for family in graph.families for stage in family.stages]
    names += [family.name for family in graph.families if family.items]
    for target in targets:
        if target not in names:
            raise DeepmarkError(f"'{target}' is not a stage of {graph.workspace}/dvc.yaml. {nearest(target, names)}")


def _prepare(context: dg.OpExecutionContext, workspace: Path, copy: Path, targets: list[str]) -> None:
    """Check out the results, and link the raw files where a stage that reads them has to run.

    Otherwise they are missing, and allowed to be: DVC, which knows files by their place, would read every one again.

    Raises DeepmarkError where no stage reads what differs.
    """
    _dvc(context, copy, "checkout", "--quiet", "--allow-missing", "dvc.yaml")
    status, lines = _dvc(context, copy, "repro", "--dry", "--allow-missing", *targets)
    if status:
        link(workspace, copy, Workspace(copy).params.data.raw)
    elif "Data and pipelines are up to date." in lines:
        raise DeepmarkError(
            "There is nothing to run: no stage that was asked for reads what differs from params.yaml, or nothing does."
        )


def _facts(context: dg.OpExecutionContext, workspace: Path, name: str) -> dict[str, Any]:
    """What a person wants to see: parameters and figures beside the workspace's, and the commands to look further."""
    facts: dict[str, Any] = {"experiment": name, "based on": git(workspace, "rev-parse", "HEAD")}
    for what in ("params", "metrics"):
        _, lines = _dvc(context, workspace, what, "diff", "--json", name)
        difference: dict[str, Any] = next((json.loads(line) for line in reversed(lines) if line.startswith("{")), {})
        if difference:
            facts[what] = dg.MetadataValue.md(_table(what, difference, name))
    commands = [f"dvc {what} diff HEAD {name}" for what in ("params", "metrics", "plots")]
    commands += ["dvc exp show --only-changed", f"dvc exp apply {name}"]
    return {**facts, "look further": dg.MetadataValue.md("\n".join(["```", *commands, "```"]))}


def _table(title: str, difference: dict[str, dict[str, dict[str, Any]]], name: str) -> str:
    from deepmark.report.tables.table import UNKNOWN, Row, Table, to_markdown

    def cell(value: Any) -> str:
        return UNKNOWN if value is None else f"{value:.5g}" if isinstance(value, float) else str(value)

    rows = [  # DVC was asked what the workspace has changed since the experiment: new is the workspace's
        Row(cells=(f"{file}: {key}", cell(values.get("new")), cell(values.get("old"))))
        for file, changes in difference.items()
        for key, values in changes.items()
    ]
    return to_markdown(Table(title=title, columns=(title, "workspace", name), rows=tuple(rows)))


def _dvc(context: dg.OpExecutionContext, folder: Path, *words: str) -> tuple[int, list[str]]:
    return run_guarded(["dvc", *words], folder, {}, context.log.debug)
