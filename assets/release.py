"""The group `release`: candidate and champion, from an evaluated checkpoint to the model that serves.

Their commands are no stages of dvc.yaml. A stage makes files of files, and DVC skips it where nothing changed. The
champion is in MLflow's registry, which others may change, so the registry is asked every time.
"""

import dagster as dg

from assets.dvc.graph import Graph
from assets.metadata.code_references import function_link
from assets.metadata.release import gate_check_metadata, gate_metadata, version_metadata
from assets.registry_command import registry_facts

GATE = "not_below_champion"
"""The check of a candidate; only one that passes becomes the champion."""

_UPSTREAM, _CARRIED = ("metrics", "report"), "exported_model"
"""What a version is made of, and what it carries where the graph has it."""


def assets(graph: Graph) -> list[dg.AssetsDefinition]:
    """None for a graph without metrics or without a report."""
    names = {family.hints.asset for family in graph.families}
    upstream = sorted(names & {*_UPSTREAM, _CARRIED})
    return [_candidate(graph, upstream), _champion(graph)] if names.issuperset(_UPSTREAM) else []


def _candidate(graph: Graph, upstream: list[str]) -> dg.AssetsDefinition:
    @dg.asset(
        name="candidate",
        group_name="release",
        kinds={"mlflow"},
        owners=["team:deepmark"],
        deps=upstream,
        pool="gpu",  # the gate measures milliseconds
        metadata=function_link("deepmark.registry.register", "register"),
        description="The evaluated checkpoint as a version of the registered model: the challenger.",
        check_specs=[
            dg.AssetCheckSpec(
                GATE,
                asset="candidate",
                blocking=True,
                description="The gate of `deepmark promote`: as good as the champion on the same images, no category "
                "or subset much worse, not much slower or larger.",
            )
        ],
    )
    def candidate(context: dg.AssetExecutionContext) -> dg.MaterializeResult:
        number = registry_facts(context, graph.workspace, "register")["version"]
        facts = registry_facts(context, graph.workspace, "promote", "--dry-run")
        check = dg.AssetCheckResult(
            check_name=GATE,
            passed=not facts["failed"],
            description="; ".join(facts["failed"]) or facts["said"],
            metadata=gate_check_metadata(facts),
        )
        return dg.MaterializeResult(
            metadata={**version_metadata(facts, number), "verdict": facts["said"], **gate_metadata(facts)},
            check_results=[check],
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
        metadata=function_link("deepmark.registry.promote", "promote"),
        description="The version that serves, `models:/deepmark@champion`: the candidate, where the gate holds.",
    )
    def champion(context: dg.AssetExecutionContext) -> dg.MaterializeResult:
        facts = registry_facts(context, graph.workspace, "promote")
        if facts["failed"]:
            raise dg.Failure(description=facts["said"], metadata=gate_metadata(facts), allow_retries=False)
        number = facts["champion"]
        return dg.MaterializeResult(
            metadata={**version_metadata(facts, number), "promotion": facts["said"], **gate_metadata(facts)},
            data_version=dg.DataVersion(str(number)),
        )

    return champion
