"""Private parts of torch are used in one file only, which was read with the torch that is installed."""

import ast
from pathlib import Path

import pytest
import torch
from workspaces import REPOSITORY

from deepmark.train.distributed.torch_internals import TORCH_VERSION

ONE_FILE = Path("deepmark/train/distributed/torch_internals.py")


def imported_from_torch(tree: ast.AST) -> set[str]:
    """The names under which a file imports torch's modules and objects."""
    names = set()
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            names |= {(name.asname or name.name).split(".")[0] for name in node.names if name.name.startswith("torch")}
        if isinstance(node, ast.ImportFrom) and (node.module or "").split(".")[0] == "torch":
            names |= {name.asname or name.name for name in node.names}
    return names


def dotted(node: ast.AST) -> list[str]:
    if isinstance(node, ast.Attribute):
        return [*dotted(node.value), node.attr]
    return [node.id] if isinstance(node, ast.Name) else [""]


DOCUMENTED = {"_check"}
"""What torch's pages explain, as torch.export needs it, in spite of the name."""


def private_uses(file: Path) -> list[str]:
    """The private names of torch in a file, and its methods that override private ones of torch's classes."""
    text = file.read_text("utf-8")
    tree = ast.parse(text)
    ours, uses = imported_from_torch(tree), []
    for node in ast.walk(tree):
        if isinstance(node, ast.ImportFrom) and (node.module or "").split(".")[0] == "torch":
            parts = [*(node.module or "").split("."), *(name.name for name in node.names)]
            uses += [part for part in parts if part.startswith("_")]
        if isinstance(node, ast.Attribute) and dotted(node)[0] in ours:
            parts = [part for part in dotted(node)[1:] if part.startswith("_") and not part.startswith("__")]
            uses += [part for part in parts if part not in DOCUMENTED]
        if isinstance(node, ast.ClassDef) and any(dotted(base)[0] in ours - {"nn", "torch"} for base in node.bases):
            methods = [child.name for child in node.body if isinstance(child, ast.FunctionDef)]
            uses += [name for name in methods if name.startswith("_") and not name.startswith("__")]
    return uses + ["TORCHELASTIC"] * text.count("TORCHELASTIC")


@pytest.mark.slow
def test_private_parts_of_torch_are_used_in_one_file():
    files = [
        *REPOSITORY.glob("deepmark/**/*.py"),
        *REPOSITORY.glob("pipelines/**/*.py"),
        *REPOSITORY.glob("assets/**/*.py"),
    ]
    found = {file.relative_to(REPOSITORY) for file in files if private_uses(file)}

    assert found == {ONE_FILE}
    assert "TORCHELASTIC" in private_uses(REPOSITORY / ONE_FILE)


def test_the_file_was_read_in_the_torch_that_is_installed():
    assert torch.__version__.startswith(f"{TORCH_VERSION}.")
