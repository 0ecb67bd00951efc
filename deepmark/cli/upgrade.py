"""The command `upgrade`: a workspace of an earlier release becomes one of this release."""

from typing import Annotated

import typer

from deepmark.cli.options import HERE, JsonOption, WorkspaceOption, open_workspace, print_json


def upgrade(
    workspace: WorkspaceOption = HERE,
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Show the difference, and write nothing.")] = False,
    as_json: JsonOption = False,
) -> None:
    """Add to a workspace of an earlier release what is new, with values that change no result; show the difference."""
    from deepmark.workspace.upgrade import plan_upgrade

    upgrade = plan_upgrade(open_workspace(workspace).root)
    if not dry_run:
        upgrade.write()
    if as_json:
        changes = {"parameters": upgrade.parameters, "removed": upgrade.removed, "stages": upgrade.stages}
        written = bool(upgrade.texts) and not dry_run
        print_json({**changes, "difference": upgrade.difference(), "written": written})
    else:
        typer.echo(upgrade.difference() or "Nothing is missing: this is a workspace of this release.", nl=False)
        typer.echo()
