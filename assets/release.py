"""candidate and champion: from an evaluated checkpoint to what serves. Their commands are no stages of dvc.yaml.

A stage makes files of files, and DVC leaves it out where nothing changed. What serves is in MLflow's registry, and may
be changed by others: so it is asked every time.
"""

import json
from typing import Any

import dagster as dg

from assets.dvc.graph import Graph
from assets.dvc.repro import run_guarded
from assets.metadata.code_references import function_link
from assets.metadata.format import gridded, rounded, written
from deepmark.cli import registry as cli_release
from deepmark.report.tables.table import Table
from deepmark.tracking.dagster_events import RUN_VARIABLE

COMMAND = ("deepmark",)

GATE = "not_below_champion"
"""The check of a candidate; a champion is made of one that passes only."""

_NEEDED = ("metrics", "report")


def assets(graph: Graph) -> list[dg.AssetsDefinition]:
    """Nothing for a graph in which nothing is measured."""
    made = {family.hints.asset for family in graph.families}
    return [_candidate(graph), _champion(graph)] if made.issuperset(_NEEDED) else []


def _candidate(graph: Graph) -> dg.AssetsDefinition:
    @dg.asset(
        name="candidate",
        group_name="release",
        kinds={"mlflow"},
        owners=["team:deepmark"],
        deps=list(_NEEDED),
        pool="gpu",  # the gate measures milliseconds
        metadata=function_link(cli_release.register),
        description="The evaluated checkpoint as a version of the registered model: the challenger.",
        check_specs=[
            dg.AssetCheckSpec(
                GATE,
                asset="candidate",
                blocking=True,
                description="The gate of `deepmark promote`: as good as the champion on the same pictures, no category "
                "or subset much worse, not much slower or larger.",
            )
        ],
    )
    def candidate(context: dg.AssetExecutionContext) -> dg.MaterializeResult:
        version = _facts(context, graph, "register")
        verdict = _facts(context, graph, "promote", "--dry-run")
        check = dg.AssetCheckResult(
            check_name=GATE,
            passed=not verdict["failed"],
            description="; ".join(verdict["failed"]) or verdict["said"],
            metadata={**_measured(verdict), **_hardest(verdict)},
        )
        known = _known(context, graph, version["version"])
        return dg.MaterializeResult(
            metadata={**known, "verdict": verdict["said"], **_rules(verdict)}, check_results=[check]
        )

    return candidate


def _champion(graph: Graph) -> dg.AssetsDefinition:
    @dg.asset(
        name="champion",
        group_name="release",
        kinds={"mlflow"},
        owners=["team:deepmark"],
        deps=["candidate"],
        pool="gpu",
        metadata=function_link(cli_release.promote),
        description="The version that serves, `models:/deepmark@champion`: the candidate, where the gate holds.",
    )
    def champion(context: dg.AssetExecutionContext) -> dg.MaterializeResult:
        ended = _facts(context, graph, "promote")
        if ended["failed"]:
            raise dg.Failure(description=ended["said"], metadata=_rules(ended), allow_retries=False)
        known = _known(context, graph, ended["champion"])
        return dg.MaterializeResult(
            metadata={**known, "promotion": ended["said"], **_rules(ended)},
            data_version=dg.DataVersion(str(ended["champion"])),
        )

    return champion


def _facts(context: dg.AssetExecutionContext, graph: Graph, *words: str) -> Any:
    """What a command tells as JSON; a refusal is told so too. Its mistakes are failures that are not tried again."""
    command = [*COMMAND, *words, "--json"]
    lines: list[str] = []
    status, lines = run_guarded(command, graph.workspace, {RUN_VARIABLE: context.run.run_id}, context.log.info)
    facts = [json.loads(line) for line in lines if line.startswith(("{", "["))]
    if facts:
        return facts[-1]
    if status == 1:
        raise dg.Failure(description="\n".join(lines[-20:]), allow_retries=False)
    raise dg.RetryRequested(max_retries=2, seconds_to_wait=10)  # killed, or out of memory


def _known(context: dg.AssetExecutionContext, graph: Graph, number: int) -> dict[str, Any]:
    """What the registry knows of a version; numbers are plotted by materialization."""
    from deepmark.report.tables.registry_tables import models_table

    versions = _facts(context, graph, "models")
    (own,) = (one for one in versions if one["version"] == number)
    names = ("box_ap", "landmark_visible_ap", "landmark_ap", "megabytes", "milliseconds")
    figures = {name.replace("_ap", " AP").replace("_", " "): own[name] for name in names if own[name] is not None}
    run = own["mlflow_run"] or "unknown"
    return {"version": number, **rounded(figures), "MLflow run": run, "versions": written(models_table(versions))}


def _measured(ended: dict[str, Any]) -> dict[str, float]:
    """The figure that decides, of both; a check's numbers are plotted by execution."""
    name = ended["rules"][0]["name"] if ended["rules"] else ""
    return rounded({f"{name} of the {who}": ended["rules"][0][who] for who in ("champion", "challenger") if name})


def _rules(ended: dict[str, Any]) -> dict[str, Any]:
    """Every rule of the gate as a table; nothing where there was no champion to compare with."""
    table = _gate(ended, every=True)
    return {"gate": written(table)} if table else {}


def _hardest(ended: dict[str, Any]) -> dict[str, Any]:
    """The same without the categories and subsets that hold."""
    table = _gate(ended, every=False)
    return {"gate": gridded(table.columns, [row.cells for row in table.rows])} if table else {}


def _gate(ended: dict[str, Any], *, every: bool) -> Table | None:
    from deepmark.report.tables.registry_tables import gate_table

    if not ended["rules"]:
        return None
    return gate_table(ended["rules"], champion=ended["before"], challenger=ended["challenger"], every=every)
