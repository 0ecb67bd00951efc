"""What Dagster shows of an experiment: parameters and metrics beside the workspace's, and commands to go on with."""

import json
import subprocess
from pathlib import Path
from typing import Any

import dagster as dg

from deepmark.errors import redact
from deepmark.workspace.environment import child_environment, tool
from deepmark.workspace.git import git


def experiment_facts(workspace: Path, name: str) -> dict[str, Any]:
    """Metadata of an experiment that is kept."""
    facts: dict[str, Any] = {"experiment": name, "based on": git(workspace, "rev-parse", "HEAD")}
    for kind in ("params", "metrics"):
        difference = _difference(workspace, kind, name)
        if difference:
            facts[kind] = dg.MetadataValue.md(_difference_table(kind, difference, name))
    commands = [f"dvc {kind} diff HEAD {name}" for kind in ("params", "metrics", "plots")]
    commands += ["dvc exp show --only-changed", f"dvc exp apply {name}"]
    return {**facts, "look further": dg.MetadataValue.md("\n".join(["```", *commands, "```"]))}


def _difference(workspace: Path, kind: str, name: str) -> dict[str, Any]:
    """File -> name -> values of the experiment ("old") and of the workspace ("new"); empty where DVC reports none."""
    command = [str(tool("dvc")), kind, "diff", "--json", name]
    done = subprocess.run(
        command, cwd=workspace, env=child_environment(), stdout=subprocess.PIPE, text=True, check=False
    )
    return json.loads(done.stdout or "{}")


def _difference_table(title: str, difference: dict[str, dict[str, dict[str, Any]]], name: str) -> str:
    from deepmark.report.tables.table import UNKNOWN, Row, Table, to_markdown

    def cell(value: Any) -> str:
        return UNKNOWN if value is None else f"{value:.5g}" if isinstance(value, float) else redact(str(value))

    rows = [
        Row(cells=(f"{file}: {key}", cell(values.get("new")), cell(values.get("old"))))
        for file, changes in difference.items()
        for key, values in changes.items()
    ]
    return to_markdown(Table(title=title, columns=(title, "workspace", name), rows=tuple(rows)))
