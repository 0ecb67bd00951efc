"""The command `datasheet`: what a data set holds, as a page, before anything was trained on it."""

from pathlib import Path
from typing import Annotated

import typer

from deepmark.cli.options import HERE, JsonOption, WorkspaceOption, open_workspace, print_facts
from deepmark.cli.outputs import DATA_SHEET, check_new_file


def datasheet(
    out: Annotated[Path, typer.Option(metavar="FILE.html", help="The page to write.")] = Path("data.html"),
    workspace: WorkspaceOption = HERE,
    as_json: JsonOption = False,
) -> None:
    """The data as a page: items, boxes, landmarks, duplicates, changes, images; `report` writes it too."""
    from deepmark.files import write_text
    from deepmark.report.data_sheet.content import data_sheet
    from deepmark.report.data_sheet.findings import findings
    from deepmark.report.data_sheet.page import render_sheet

    check_new_file(out, "--out", DATA_SHEET)
    sheet = data_sheet(open_workspace(workspace))
    write_text(out, render_sheet(sheet))
    print_facts({"file": str(out), "look_at": list(findings(sheet.counts))}, as_json)
