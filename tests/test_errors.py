"""The page of errors is complete."""

import ast
from pathlib import Path

from deepmark import errors

REPOSITORY = Path(__file__).parents[1]


def test_the_module_of_errors_lists_every_exception_that_is_defined():
    defined = {
        node.name
        for package in ("deepmark", "assets", "pipelines")
        for file in (REPOSITORY / package).rglob("*.py")
        for node in ast.walk(ast.parse(file.read_text("utf-8")))
        if isinstance(node, ast.ClassDef) and node.name.endswith("Error")
    }
    listed = {line.split()[0] for line in (errors.__doc__ or "").splitlines() if line.startswith("    ")}

    assert listed == defined
