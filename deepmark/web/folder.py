"""Writes the page, a model and its runtime as a folder that any server of static files can show."""

import json
import shutil
from pathlib import Path
from typing import Any

from deepmark.errors import DeepmarkError
from deepmark.files import new_folder
from deepmark.runtime.contract import Contract
from deepmark.runtime.image_detector import least_score
from deepmark.schema import FOUND_SCORE
from deepmark.web.onnxruntime_web import runtime_files
from deepmark.web.page import STATIC, page_config

CONFIG = "config.json"


def write_web_folder(folder: Path, model: Path, contract: Contract, *, package: Path | None = None) -> dict[str, Any]:
    """Write the folder, whole or not at all, and return facts about it; a folder that we wrote before is replaced.

    `package` is as in `runtime_files`. Raises DeepmarkError where the folder holds something else, or the runtime
    cannot be had.
    """
    check_web_folder(folder)
    runtime = runtime_files(package)
    least = least_score(None, contract.predict.min_score)
    config = page_config(
        "browser",
        contract.vocabulary,
        model="model.onnx",
        contract="model.json",
        title=f"model.onnx ({contract.precision})",
        least_score=FOUND_SCORE,
    ) | {"min_score": least}
    with new_folder(folder) as draft:
        shutil.copytree(STATIC, draft, dirs_exist_ok=True)
        (draft / "server_engine.js").unlink()
        (draft / "ort").mkdir()
        for name, content in runtime.items():
            (draft / "ort" / name).write_bytes(content)
        shutil.copyfile(model, draft / "model.onnx")
        (draft / "model.json").write_text(contract.to_json(), "utf-8")
        (draft / CONFIG).write_text(json.dumps(config, indent=1) + "\n", "utf-8")
    files = [file for file in folder.rglob("*") if file.is_file()]
    size = sum(file.stat().st_size for file in files)
    return {
        "folder": str(folder),
        "precision": contract.precision,
        "files": len(files),
        "megabytes": round(size / 1e6, 1),
    }


def check_web_folder(folder: Path) -> None:
    """Raise DeepmarkError where the folder holds what we did not write."""
    if folder.is_dir() and any(folder.iterdir()) and not _is_ours(folder / CONFIG):
        raise DeepmarkError(
            f"--web {folder}: holds something else than an exported page. Name an empty or a new folder."
        )


def _is_ours(config: Path) -> bool:
    try:
        return json.loads(config.read_text("utf-8")).get("engine") == "browser"
    except (OSError, ValueError, AttributeError):
        return False
