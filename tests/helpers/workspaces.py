"""What tests do with workspaces: make them once, change their params, copy them, run commands in them."""

import json
import os
import shutil
import subprocess
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
from filelock import FileLock
from ruamel.yaml import YAML

from deepmark.workspace.environment import child_environment, tool
from deepmark.workspace.git import IDENTITY, git
from deepmark.workspace.layout import Workspace

REPOSITORY = Path(__file__).parents[2]

SCALAR_KERNELS = {"TORCHINDUCTOR_VEC_ISA_OK": "0"}
"""The environment in which torch.compile writes kernels without vector code, which build in half the time."""


@dataclass(frozen=True, kw_only=True)
class Done:
    """How a command ended."""

    code: int
    out: str
    err: str

    @property
    def facts(self) -> Any:
        """Standard output as the JSON that it must be, and nothing else."""
        return json.loads(self.out)


def run(*command: object, cwd: Path, **variables: str) -> Done:
    """A command of our environment, such as `deepmark train`, from its start to its end."""
    name, *words = map(str, command)
    env = child_environment() | {"DVC_NO_ANALYTICS": "true"} | variables
    done = subprocess.run([tool(name), *words], cwd=cwd, env=env, capture_output=True, text=True, check=False)
    return Done(code=done.returncode, out=done.stdout, err=done.stderr)


def refused(done: Done, *words: str) -> bool:
    """Assert that a command ended with one message for a person that holds these words, and printed nothing else."""
    assert done.code == 1
    assert done.out == ""
    assert done.err.startswith("deepmark ")
    assert "Traceback" not in done.err
    for word in words:
        assert word in done.err
    return True


def commit(root: Path) -> None:
    """All that is there, as a person does before an experiment; DVC's experiments start from a commit."""
    git(root, "add", "--all")
    git(root, *IDENTITY, "commit", "--quiet", "--message", "made")


def set_params(workspace: Workspace, **sections: Mapping[str, object]) -> Workspace:
    """The workspace with some values of its params.yaml changed: set_params(workspace, train={"epochs": 2})."""
    yaml, file = YAML(), workspace.root / "params.yaml"
    values = yaml.load(file.read_text("utf-8"))
    _change(values, sections)
    yaml.dump(values, file)
    return Workspace(workspace.root)


def _change(values: dict, changes: Mapping[str, object]) -> None:
    assert values.keys() >= changes.keys()
    for name, change in changes.items():
        if isinstance(change, Mapping) and values[name]:
            _change(values[name], change)
        else:
            values[name] = change


def copied(workspace: Workspace, folder: Path) -> Workspace:
    """The same workspace once more, in `folder`."""
    return Workspace(Path(shutil.copytree(workspace.root, folder / "workspace", symlinks=True)))


def made_once(tmp_path_factory: pytest.TempPathFactory, name: str, make: Callable[[Path], object]) -> Path:
    """The folder that `make` fills, once for all workers of pytest-xdist: the first fills it, and the others wait."""
    base = tmp_path_factory.getbasetemp()
    folder = (base.parent if "PYTEST_XDIST_WORKER" in os.environ else base) / name
    with FileLock(f"{folder}.lock"):
        if not (done := folder.with_suffix(".done")).exists():
            shutil.rmtree(folder, ignore_errors=True)
            folder.mkdir()
            make(folder)
            done.touch()
    return folder
