"""Where child processes find our commands and our code."""

import os
import sys
from pathlib import Path

_TOOLS = Path(sys.executable).parent
_CODE = Path(__file__).parents[2]
"""The folder that holds the packages deepmark, assets and pipelines."""


def tool(name: str) -> Path:
    """A command of this Python's environment: dvc, deepmark, dagster, mlflow."""
    return _TOOLS / name


def child_environment() -> dict[str, str]:
    """Our environment, for processes that call our commands by name, as dvc.yaml does, and import our packages.

    The commands of this Python and the packages that this module belongs to come before others of the same name.
    """
    return {
        **os.environ,
        "PATH": os.pathsep.join([str(_TOOLS), os.environ.get("PATH", "")]),
        "PYTHONPATH": os.pathsep.join(filter(None, [str(_CODE), os.environ.get("PYTHONPATH")])),
    }
