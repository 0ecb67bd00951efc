"""The facts on the page about the run, the model and the machine."""

import os
import platform
from collections.abc import Mapping
from importlib.metadata import version
from pathlib import Path
from typing import Any

from deepmark.tracking.provenance import code_in_words, data_version, workspace_version
from deepmark.version import __version__
from deepmark.vocabulary import Vocabulary
from deepmark.workspace.layout import Workspace

_PACKAGES = ("torch", "numpy", "opencv-python-headless")
"""Packages that may influence a figure."""


def run_facts(workspace: Workspace, training: Mapping[str, Any]) -> dict[str, str]:
    """The facts of the training: recipe, data and code, from params.yaml, training.json, git and DVC."""
    params, root = workspace.params, workspace.root
    kept = training.get("kept", {}).get("epoch")
    epochs = len(training["history"])
    return {
        "epochs": str(epochs) if kept is None else f"{epochs}, weights of epoch {kept}",
        "seed": str(params.train.seed),
        "data version": data_version(root) or "not under DVC",
        "commit of the workspace": workspace_version(root) or "none",
        "commit of the code": code_in_words(),
        "MLflow run": training["mlflow_run_id"],
    }


def model_facts(workspace: Workspace, vocabulary: Vocabulary) -> dict[str, str]:
    """The cost of the model: parameters, operations, file size; counted without running it."""
    from deepmark.model.cost import cost

    known = cost(workspace.params.model, vocabulary)
    flop = {"GFLOP an image, detecting": known["gflop_detecting"], "GFLOP an image, training": known["gflop"]}
    return {
        "backbone": known["backbone"],
        "input size": f"{known['input_size']} pixels",
        "parameters": f"{known['parameters'] / 1e6:.2f} million",
        **{name: f"{value:.1f}" for name, value in flop.items()},
        "file size": f"{workspace.model_file.stat().st_size / 1e6:.1f} MB",
    }


def machine_facts(device: str) -> dict[str, str]:
    """The machine that made the predictions, of which `device` is known, and the software that made this report."""
    processor = _processor()
    return {
        "predictions made on": device if device != "cpu" else f"CPU of {os.cpu_count()} threads, {processor}",
        "Python": platform.python_version(),
        "DeepMark": __version__,
        **{name.removesuffix("-headless"): version(name) for name in _PACKAGES},
    }


def _processor() -> str:
    known = Path("/proc/cpuinfo")
    lines = known.read_text("utf-8").splitlines() if known.is_file() else []
    names = (line.partition(":")[2].strip() for line in lines if line.startswith("model name"))
    return next(names, platform.processor() or platform.machine())
