"""A job that runs the graph with other parameters in a copy of the workspace, and keeps the result for DVC.

params.yaml and the results of the workspace stay as they are. The result is an experiment of DVC, with its parameters:
`dvc params diff HEAD NAME` shows them, `dvc exp apply NAME` brings them into the workspace.
"""

import json
import re
from pathlib import Path
from typing import Any

import dagster as dg
from pydantic import Field

from assets.dvc import dvc_internals
from assets.dvc.graph import Graph
from assets.dvc.repro import run_guarded
from assets.dvc_asset import repro_in_run
from deepmark.errors import DeepmarkError, nearest, redact
from deepmark.tracking.mlflow_store import open_store
from deepmark.tracking.provenance import EXPERIMENT_VARIABLE
from deepmark.workspace.layout import Workspace
from pipelines.experiment.facts import experiment_facts
from pipelines.experiment.overrides import override
from pipelines.experiment.workspace_copy import find_kept, keep, link, workspace_copy
from pipelines.jobs.names import EXPERIMENT, EXPERIMENT_TAG, PARAMS_TAG

_OP = "in_a_copy"
"""The only op of the job: Dagster wants another name for it than the job's, and instances have it on disk."""

_NAME = re.compile(r"(?!.*\.lock$)[A-Za-z0-9_]+([.-][A-Za-z0-9_]+)*")
_DESCRIPTION = (
    "Runs the graph with other parameters, in a copy of the workspace, and keeps the result as a DVC experiment."
)


_EXAMPLE = {"predict.nms_iou": 0.6}
"""What the launchpad opens with: it runs in a minute, because nothing has to be trained."""


class ExperimentConfig(dg.Config):
    """The fields of the launchpad."""

    params: dict[str, Any] = Field(
        default=_EXAMPLE,
        description="What differs from params.yaml, by the names of `dvc params diff`: {train.epochs: 2}, or by "
        "section: {train: {epochs: 2}}.",
    )
    name: str | None = Field(default=None, description="Of the experiment; run- and the run's id where none is given.")
    targets: list[str] = Field(
        default=[], description="The stages of dvc.yaml to bring up to date, with all they depend on; all where empty."
    )


def experiment_job(graph: Graph) -> dg.JobDefinition:
    """The job for a workspace. It takes a place in the pool `gpu`, because it trains and predicts."""

    @dg.op(name=_OP, pool="gpu", description=_DESCRIPTION)
    def run_in_copy(context: dg.OpExecutionContext, config: ExperimentConfig) -> None:
        try:
            _run(context, graph, config)
        except DeepmarkError as error:
            raise dg.Failure(description=str(error), allow_retries=False) from None

    @dg.config_mapping
    def op_config(config: ExperimentConfig) -> dict[str, Any]:
        return {"ops": {_OP: {"config": config.model_dump(exclude_none=True)}}}

    @dg.job(name=EXPERIMENT, description=_DESCRIPTION, executor_def=dg.in_process_executor, config=op_config)
    def experiment() -> None:
        run_in_copy()

    return experiment


def _run(context: dg.OpExecutionContext, graph: Graph, config: ExperimentConfig) -> None:
    workspace, run = graph.workspace, context.run.root_run_id or context.run_id
    name = config.name or f"run-{run[:8]}"
    params, changed = override(workspace / "params.yaml", config.params)
    _check_config(graph, name, config.targets)
    kept = find_kept(workspace, name)
    if kept and run not in kept:
        ref = kept.splitlines()[0]
        raise DeepmarkError(
            f"The name '{name}' is taken, by {ref}. "
            f"Choose another; an experiment is forgotten by `dvc exp remove {name}`."
        )
    lines = [f"{key}: {json.dumps(value)}" for key, value in changed.items()]
    if kept and set(lines) != _params_of(kept):
        raise DeepmarkError(
            f"The run that this one re-executes has kept its experiment '{name}', with other parameters "
            f"({', '.join(sorted(_params_of(kept)))}). Give this one a name of its own."
        )
    context.instance.add_run_tags(context.run_id, {EXPERIMENT_TAG: name, PARAMS_TAG: redact(", ".join(lines))})
    facts: dict[str, Any] = {}
    if kept:
        context.log.warning(
            f"Experiment {name} was finished before, by this run or the one that it re-executes: nothing ran. "
            "For another try of the same parameters, give it a name of its own."
        )
        facts["nothing ran"] = "the experiment was finished before"
    else:
        with workspace_copy(workspace, name, params) as copy:
            _prepare(context, workspace, copy, config.targets)
            repro_in_run(
                context,
                copy,
                *config.targets,
                options=["--allow-missing"],
                env={EXPERIMENT_VARIABLE: name, "MLFLOW_TRACKING_URI": open_store(workspace)},
            )
            keep(workspace, copy, name, "\n".join([f"Experiment {name}\n", *lines, f"\nDagster's run {run}"]))
    context.add_output_metadata({**facts, **experiment_facts(workspace, name)})


def _params_of(kept: str) -> set[str]:
    """The parameters in the message of an experiment's commit, as `_run` writes them."""
    return {line for line in kept.splitlines()[1:] if re.match(r"[\w.]+: ", line)}


def _check_config(graph: Graph, name: str, targets: list[str]) -> None:
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
    """Check out the results; link the raw files, if a stage that reads them has to run.

    Otherwise they stay missing, and DVC is told to allow it: it remembers files by their path, so it would read every
    raw file again through a link.

    Raises DeepmarkError where no stage reads the parameters that differ.
    """
    progress = context.log.debug
    run_guarded(["dvc", "checkout", "--quiet", "--allow-missing", "dvc.yaml"], copy, {}, progress)
    status, lines = run_guarded(["dvc", "repro", "--dry", "--allow-missing", *targets], copy, {}, progress)
    if status:
        link(workspace, copy, Workspace(copy).params.data.raw)
    elif dvc_internals.UP_TO_DATE in lines:
        raise DeepmarkError(
            "There is nothing to run: no stage that was asked for reads what differs from params.yaml, or nothing does."
        )
