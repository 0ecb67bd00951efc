"""Commands of the model registry: `register`, `promote`, `rollback` and `models`."""

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from deepmark.cli.options import HERE, JsonOption, WorkspaceOption, open_workspace, print_facts, print_json
from deepmark.cli.outputs import PROMOTED, REGISTERED, check_new_file

if TYPE_CHECKING:
    from deepmark.registry.promote import Promotion

OutOption = Annotated[Path | None, typer.Option("--out", hidden=True, help="File for the facts as JSON.")]
"""A file for the same facts as JSON, for the assets that run these commands."""


def register(workspace: WorkspaceOption = HERE, as_json: JsonOption = False, out: OutOption = None) -> None:
    """Make the evaluated checkpoint a version of the registered model: the challenger."""
    from deepmark.files import write_json
    from deepmark.registry.register import register

    target = open_workspace(workspace)
    if out:
        check_new_file(out, "--out", REGISTERED)
    facts = register(target)
    if out:
        write_json(out, facts)
    print_facts(facts, as_json)


def promote(
    workspace: WorkspaceOption = HERE,
    force: Annotated[
        str | None,
        typer.Option(metavar="REASON", help="Promote even a version that the gate refuses; the reason is recorded."),
    ] = None,
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Print what would happen, and change no alias.")] = False,
    every: Annotated[bool, typer.Option("--all", help="Every rule, not only those that matter.")] = False,
    as_json: JsonOption = False,
    out: OutOption = None,
) -> None:
    """Make the challenger the champion, the version that is served, if it is not worse.

    Both are compared on the same validation images; exit code 1 where the challenger is refused, with the rules that
    failed.
    """
    from deepmark.files import write_json
    from deepmark.registry.promote import RefusedError, list_models, promote

    target, refused = open_workspace(workspace), None
    if out:
        check_new_file(out, "--out", PROMOTED)
    try:
        promotion = promote(target, force=force, dry_run=dry_run)
    except RefusedError as error:
        promotion, refused = error.promotion, error
    if out:
        write_json(out, {**promotion.facts(), "versions": list_models(target)})
    _show(promotion, every=every, as_json=as_json)
    if refused:
        raise refused
    if not as_json:
        typer.echo(promotion.message)


def rollback(workspace: WorkspaceOption = HERE, as_json: JsonOption = False) -> None:
    """Make the previous champion the champion again; a second call goes one version further back."""
    from deepmark.registry.promote import rollback

    print_facts(rollback(open_workspace(workspace)), as_json)


def models(workspace: WorkspaceOption = HERE, as_json: JsonOption = False) -> None:
    """The registered versions: aliases, APs, size, data version."""
    from deepmark.registry.promote import list_models
    from deepmark.report.tables.registry_tables import models_table
    from deepmark.report.tables.table import print_table

    versions = list_models(open_workspace(workspace))
    if as_json:
        print_json(versions)
    elif versions:
        print_table(models_table(versions))
    else:
        typer.echo("no version is registered yet: `deepmark register` makes one of the evaluated checkpoint")


def _show(promotion: "Promotion", *, every: bool, as_json: bool) -> None:
    facts = promotion.facts()
    if as_json:
        print_json(facts)
        return
    if promotion.comparison is None or promotion.previous is None or promotion.challenger is None:
        return
    from deepmark.report.tables.registry_tables import gate_table, version_comparison_table
    from deepmark.report.tables.table import print_table

    numbers = {"champion": promotion.previous, "challenger": promotion.challenger}
    print_table(version_comparison_table(promotion.comparison.differences, **numbers))
    print_table(gate_table(facts["rules"], **numbers, every=every))
