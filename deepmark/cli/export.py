"""`deepmark export`: a model for use elsewhere, such as in a browser."""

from pathlib import Path
from typing import Annotated

import typer

from deepmark.cli.options import HERE, JsonOption, WorkspaceOption, print_facts
from deepmark.cli.outputs import check_folder


def export(
    web: Annotated[
        Path, typer.Option(metavar="DIR", help="Folder for a page that finds garments in the browser itself.")
    ],
    model: Annotated[
        Path | None,
        typer.Option(
            metavar="FILE.onnx", show_default=False, help="An exported file; the workspace's export/model.onnx."
        ),
    ] = None,
    onnxruntime_web: Annotated[
        Path | None,
        typer.Option(metavar="FILE.tgz", show_default=False, help="npm's package, where it cannot be downloaded."),
    ] = None,
    workspace: WorkspaceOption = HERE,
    as_json: JsonOption = False,
) -> None:
    """Write a page, an exported model and its runtime as static files; no byte of a photo leaves the machine.

    Any server of static files shows the folder: `python -m http.server -d DIR`, then http://localhost:8000. The files
    of onnxruntime-web come from npm's registry, are checked by their sha256, and kept for the next time.
    """
    from deepmark.runtime.onnx_detector import OnnxDetector
    from deepmark.web.folder import check_web_folder, write_web_folder

    check_folder(web, "--web", check=lambda: check_web_folder(web))
    file = model or workspace / "export/model.onnx"
    contract = OnnxDetector(file).contract
    print_facts(write_web_folder(web, file, contract, package=onnxruntime_web), as_json)
