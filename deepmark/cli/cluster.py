"""`deepmark cluster check`: what a Ray cluster has, machine by machine, and what is wrong with it."""

from typing import TYPE_CHECKING, Any

import typer

from deepmark.cli.options import HERE, JsonOption, WorkspaceOption, open_workspace, print_json
from deepmark.errors import DeepmarkError

if TYPE_CHECKING:
    from deepmark.report.tables.table import Table
    from deepmark.workspace.cluster_check import ClusterCheck

cluster = typer.Typer(help="The Ray cluster that params.yaml names.", no_args_is_help=True, rich_markup_mode="markdown")


@cluster.callback()
def _cluster() -> None:
    pass


@cluster.command()
def check(workspace: WorkspaceOption = HERE, as_json: JsonOption = False) -> None:
    """What each machine has, and whether all fit together: software, the shared folder, clocks, token, settings.

    A small file is written into the workspace (and to the URL of storage.shards), read on every machine, and removed.
    Exit code 1 where anything is wrong, with what to do.
    """
    from dataclasses import asdict

    from deepmark.report.tables.table import print_table
    from deepmark.workspace.cluster_check import check_cluster

    found = check_cluster(open_workspace(workspace))
    if as_json:
        print_json(asdict(found))
    else:
        print_table(_table(found))
    if found.wrong:
        raise DeepmarkError("\n".join(found.wrong))
    if not as_json:
        typer.echo("Nothing is wrong. `compute: engine: ray` in params.yaml runs the stages there.")


def _table(found: "ClusterCheck") -> "Table":
    from deepmark.report.tables.table import Row, Table

    columns = ("cores", "GPUs", "deepmark", "Python", "ray", "torch", "shared", "clock")
    return Table(
        title=f"The Ray cluster: {len(found.machines)} machines",
        columns=("machine", *columns),
        rows=tuple(Row(cells=_cells(machine)) for machine in found.machines),
        note=f"shared: sees {' and '.join(found.places)}; clock: seconds ahead of this machine's",
    )


def _cells(machine: dict[str, Any]) -> tuple[str, ...]:
    from deepmark.report.tables.table import UNKNOWN

    name = f"{machine['host']} {machine['address']}{' (head)' if machine['head'] else ''}"
    gpus = f"{machine['gpus']} {machine['gpu'] or ''}".strip()
    if "deepmark" not in machine:
        return (name, str(machine["cores"]), gpus, *[UNKNOWN] * 6)
    ours = machine["deepmark"] + ("" if machine["same_software"] else " (differs)")
    rest = (machine["python"], machine["ray"], machine["torch"], "yes" if machine["shared"] else "no")
    return (name, str(machine["cores"]), gpus, ours, *rest, f"{machine['clock_seconds']:+.2f}")
