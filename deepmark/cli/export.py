"""`deepmark export`: the checkpoint as files that need no torch, and such a file as a page for browsers."""

from pathlib import Path
from typing import Annotated

import typer

from deepmark.cli.options import HERE, JsonOption, WorkspaceOption, open_workspace, print_facts, print_json
from deepmark.cli.outputs import check_folder
from deepmark.errors import DeepmarkError


def export(
    web: Annotated[
        Path | None,
        typer.Option(
            metavar="DIR",
            show_default=False,
            help="Write instead a page that finds garments in the browser itself, with an exported model and its "
            "runtime as static files.",
        ),
    ] = None,
    model: Annotated[
        str | None,
        typer.Option(
            metavar="FILE.onnx",
            show_default=False,
            help="For --web: an exported file, or open, the model of DeepMark; else the smallest in export/.",
        ),
    ] = None,
    onnxruntime_web: Annotated[
        Path | None,
        typer.Option(
            metavar="FILE.tgz", show_default=False, help="For --web: npm's package, where it cannot be downloaded."
        ),
    ] = None,
    workspace: WorkspaceOption = HERE,
    as_json: JsonOption = False,
) -> None:
    """Checkpoint to ONNX files of 32, 16 and 8 bits that need no torch, each compared with it on validation images.

    They lie in export/: model.onnx, model_fp16.onnx, model_int8.onnx, and their contract model.json. `deepmark detect
    photo.jpg --model export/model_int8.onnx` uses one. A file that loses more AP than export.max_ap_drop is refused.

    With --web DIR one of them becomes a page; no byte of a photo leaves the machine. Any server of static files shows
    the folder: `python -m http.server -d DIR`, then http://localhost:8000. The files of onnxruntime-web come from npm's
    registry, are checked by their sha256, and kept for the next time.
    """
    if web is None:
        if model or onnxruntime_web:
            raise DeepmarkError("--model and --onnxruntime-web are for a page: give --web DIR, too.")
        _export_workspace(workspace, as_json)
        return
    from deepmark.models.packaged import OPEN, packaged_model
    from deepmark.runtime.onnx_detector import OnnxDetector
    from deepmark.web.folder import check_web_folder, write_web_folder

    check_folder(web, "--web", check=lambda: check_web_folder(web))
    named = packaged_model() if model == OPEN else Path(model) if model else None
    file = named or _smallest(workspace / "export")
    contract = OnnxDetector(file).contract
    print_facts(write_web_folder(web, file, contract, package=onnxruntime_web), as_json)


def _smallest(folder: Path) -> Path:
    """The exported file that a browser downloads first: speed there hardly depends on the precision."""
    from deepmark.runtime.contract import FILES

    files = [folder / FILES[precision] for precision in ("int8", "float16", "float32")]
    for file in files:
        if file.is_file():
            return file
    raise DeepmarkError(
        f"{files[-1]}: not there yet. `deepmark export` makes it; --model names another file, --model open the model "
        "that comes with DeepMark."
    )


def _export_workspace(workspace: Path, as_json: bool) -> None:
    from deepmark import stages
    from deepmark.report.tables.export_tables import export_table
    from deepmark.report.tables.table import print_table

    facts = stages.export(open_workspace(workspace))
    if as_json:
        print_json(facts)
    else:
        print_table(export_table(facts))
