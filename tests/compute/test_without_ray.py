"""Every stage works where Ray is not installed: none looks for it unless params.yaml names it."""

from pathlib import Path

import pytest
from workspaces import run

from deepmark.schema import SPLITS, STRATEGIES
from deepmark.workspace.layout import Workspace

FOUND_OUT = """
import os, pathlib, sys
pathlib.Path(os.environ["RAY_WAS_IMPORTED"]).write_text(" ".join(sys.argv))
raise ImportError("Ray is not installed here")
"""
"""A package of Ray's name that says who imports it, in whatever process."""


@pytest.fixture
def told(tmp_path: Path) -> dict[str, str]:
    """The environment in which it comes before Ray's own."""
    package = tmp_path / "instead/ray"
    package.mkdir(parents=True)
    (package / "__init__.py").write_text(FOUND_OUT, "utf-8")
    return {"PYTHONPATH": str(package.parent), "RAY_WAS_IMPORTED": str(tmp_path / "imported.txt")}


@pytest.mark.slow
@pytest.mark.system
def test_the_whole_graph_never_imports_ray(sharded: Workspace, told, tmp_path):
    commands = [
        *(("ingest", "--split", split) for split in SPLITS),
        *(("shard", "--split", split) for split in SPLITS),
        ("train",),
        *((stage, "--strategy", strategy) for strategy in STRATEGIES for stage in ("predict", "evaluate")),
        ("export",),
        ("crossvalidate",),
        ("audit",),
        ("report",),
        ("cluster", "--help"),
        ("register",),
    ]
    for words in commands:
        done = run("deepmark", *words, cwd=sharded.root, **told)
        assert done.code == 0, f"{words}: {done.err}"
        assert not (tmp_path / "imported.txt").exists(), words
