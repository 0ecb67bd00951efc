"""What Dagster shows of candidate and champion, made of the facts of `deepmark promote`."""

from typing import Any

from assets.metadata.format import markdown_table, metadata_table, rounded
from deepmark.eval.metric.names import HEADLINE
from deepmark.report.tables.table import Table

PromotionFacts = dict[str, Any]
"""What `deepmark promote --json` prints, and `versions`, what `deepmark models --json` prints."""

_FIGURES = (*HEADLINE, "megabytes", "milliseconds")


def version_metadata(facts: PromotionFacts, number: int) -> dict[str, Any]:
    """The figures of a version as numbers, which Dagster plots by materialization, and a table of all versions."""
    from deepmark.report.tables.registry_tables import models_table

    (version,) = (row for row in facts["versions"] if row["version"] == number)
    figures = {_words(name): version[name] for name in _FIGURES if version[name] is not None}
    run = version["mlflow_run"] or "unknown"
    table = markdown_table(models_table(facts["versions"]))
    return {"version": number, **rounded(figures), "MLflow run": run, "versions": table}


def gate_metadata(facts: PromotionFacts) -> dict[str, Any]:
    """Every rule of the gate as a table; nothing where there was no champion to compare with."""
    table = _gate_table(facts, every=True)
    return {"gate": markdown_table(table)} if table else {}


def gate_check_metadata(facts: PromotionFacts) -> dict[str, Any]:
    """The primary metric of champion and challenger, and the rules without those of parts that hold, for a check."""
    table = _gate_table(facts, every=False)
    if table is None:
        return {}
    primary = facts["rules"][0]
    figures = {f"{primary['name']} of the {who}": primary[who] for who in ("champion", "challenger")}
    return {**rounded(figures), "gate": metadata_table(table.columns, [row.cells for row in table.rows])}


def _gate_table(facts: PromotionFacts, *, every: bool) -> Table | None:
    from deepmark.report.tables.registry_tables import gate_table

    if not facts["rules"]:
        return None
    return gate_table(facts["rules"], champion=facts["before"], challenger=facts["challenger"], every=every)


def _words(name: str) -> str:
    return name.replace("_ap", " AP").replace("_", " ")
