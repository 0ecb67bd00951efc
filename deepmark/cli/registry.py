"""Commands of the model registry: which version serves, and how that changes."""

import json
from dataclasses import asdict
from typing import TYPE_CHECKING, Annotated, Any

import typer

from deepmark.cli.options import HERE, JsonOption, WorkspaceOption, tell

if TYPE_CHECKING:
    from deepmark.registry.promote import Promotion


def register(workspace: WorkspaceOption = HERE, as_json: JsonOption = False) -> None:
    """Make the evaluated checkpoint a version of the registered model: the challenger."""
    from deepmark.registry.register import register
    from deepmark.workspace.layout import Workspace

    tell(register(Workspace(workspace.resolve())), as_json)


def promote(
    workspace: WorkspaceOption = HERE,
    force: Annotated[
        str | None, typer.Option(metavar="REASON", help="Promote whatever the gate says; the reason is kept.")
    ] = None,
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Say what would happen, and move no alias.")] = False,
    every: Annotated[bool, typer.Option("--all", help="Every rule, not only those that matter.")] = False,
    as_json: JsonOption = False,
) -> None:
    """Make the challenger the champion, which serves, if it is not worse.

    Both are compared on the same validation pictures; exit code 1 where the challenger is refused, with the rules that
    failed.
    """
    from deepmark.registry import promote as release
    from deepmark.workspace.layout import Workspace

    try:
        ended = release.promote(Workspace(workspace.resolve()), force=force, dry_run=dry_run)
    except release.RefusedError as refused:
        _show(refused.promotion, every=every, as_json=as_json)
        raise
    _show(ended, every=every, as_json=as_json)
    if not as_json:
        typer.echo(ended.said)


def rollback(workspace: WorkspaceOption = HERE, as_json: JsonOption = False) -> None:
    """Put the previous champion back; again goes one further back."""
    from deepmark.registry import promote as release
    from deepmark.workspace.layout import Workspace

    tell(release.rollback(Workspace(workspace.resolve())), as_json)


def models(workspace: WorkspaceOption = HERE, as_json: JsonOption = False) -> None:
    """The registered versions: aliases, APs, size, data version."""
    from deepmark.registry.promote import list_models
    from deepmark.report.tables.registry_tables import models_table
    from deepmark.report.tables.table import print_table
    from deepmark.workspace.layout import Workspace

    found = list_models(Workspace(workspace.resolve()))
    if as_json:
        typer.echo(json.dumps(found))
    elif found:
        print_table(models_table(found))
    else:
        typer.echo("no version is registered yet: `deepmark register` makes one of the evaluated checkpoint")


def _show(ended: "Promotion", *, every: bool, as_json: bool) -> None:
    if as_json:
        typer.echo(json.dumps(_facts(ended)))
        return
    if ended.comparison is None or ended.before is None or ended.challenger is None:
        return
    from deepmark.report.tables.registry_tables import comparison_rows, verdict_table
    from deepmark.report.tables.table import print_table

    names = {"champion": ended.before, "challenger": ended.challenger}
    print_table(comparison_rows(ended.comparison.differences, **names))
    print_table(verdict_table(ended.comparison.verdict, **names, every=every))


def _facts(ended: "Promotion") -> dict[str, Any]:
    rules = ended.comparison.verdict.rules if ended.comparison else ()
    return {
        "champion": ended.champion,
        "before": ended.before,
        "challenger": ended.challenger,
        "failed": list(ended.failed),
        "rules": [asdict(rule) for rule in rules],
        "said": ended.said,
    }
