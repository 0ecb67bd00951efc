"""What the base and the extras of pyproject.toml install, and what a command says where its extra is missing."""

import ast
import re
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
from distributions import REPOSITORY, declared, modules, needed
from packaging.utils import canonicalize_name

from deepmark.errors import EXTRAS, DeepmarkError, extras_named

OURS = {"deepmark", "pipelines", "assets"}
TOLD = (
    "this needs the extra 'train': `pip install '.[train]'` in a clone of DeepMark's repository (`deepmark` on PyPI is "
    "another project)."
)
LARGE = "synth3d"
"""The extra of half a gigabyte that `dev` leaves out. Its modules are named as its distributions."""

OPTIONAL = {"jaxtyping", "supervision"}
"""Of no extra: the first is imported by checks only, and what needs the second says how to install it."""


def imported(package: str) -> Iterator[tuple[Path, str]]:
    """Each third-party module that a file of ours imports, wherever in the file."""
    for file in sorted((REPOSITORY / package).rglob("*.py")):
        for node in ast.walk(ast.parse(file.read_text("utf-8"))):
            names = [alias.name for alias in node.names] if isinstance(node, ast.Import) else []
            if isinstance(node, ast.ImportFrom):
                names = [node.module or ""]
            for name in names:
                top = name.partition(".")[0]
                if top not in sys.stdlib_module_names | OURS:
                    yield file, top


@pytest.mark.slow
def test_every_module_that_the_library_imports_is_declared_in_the_base_or_named_with_its_extra():
    base = {canonicalize_name(one.name) for one in declared()}
    brought = modules()

    for file, module in imported("deepmark"):
        if module in OPTIONAL:
            continue
        if EXTRAS.get(module) == LARGE:
            assert module in {one.name for one in declared(LARGE)}, (file, module)
        elif module in EXTRAS:
            assert brought[module] & needed(EXTRAS[module]), (file, module)
        else:
            assert brought[module] & base, (file, module)


@pytest.mark.slow
def test_the_graph_imports_nothing_beyond_the_extras_of_pipeline_and_postgres():
    brought, installed = modules(), needed("pipeline", "postgres")

    for package in ("pipelines", "assets"):
        for file, module in imported(package):
            assert brought[module] & installed, (file, module)


def test_the_base_has_no_framework_no_orchestrator_no_tracking_and_no_server():
    heavy = {"torch", "opencv-python-headless", "pandas", "pyarrow", "dagster", "dvc", "mlflow", "sqlalchemy"}
    assert not (heavy | {"matplotlib", "psutil", "scipy", "jaxtyping", "fastapi"}) & needed()


def test_a_package_that_is_missing_is_an_error_that_names_its_extra(monkeypatch):
    monkeypatch.setitem(sys.modules, "mlflow", None)
    told = f"^{re.escape(TOLD)}$"

    with pytest.raises(DeepmarkError, match=told), extras_named():
        import mlflow.tracking  # noqa: F401


@pytest.mark.parametrize("module", ["deepmark.no_such_module", "no_such_package", "psutil.no_such_module"])
def test_any_other_missing_module_keeps_its_error(module):
    with pytest.raises(ModuleNotFoundError, match=module), extras_named():
        __import__(module)


@pytest.mark.system
def test_a_command_whose_extra_is_missing_says_which(tmp_path):
    program = (
        "import sys\nsys.modules['mlflow'] = None\nfrom deepmark.cli.app import main\n"
        f"sys.argv = ['deepmark', 'models', '--workspace', {str(REPOSITORY)!r}]\nmain()"
    )
    done = subprocess.run([sys.executable, "-c", program], cwd=tmp_path, capture_output=True, text=True, check=False)

    assert done.returncode == 1
    assert done.stderr == f"deepmark models: {TOLD}\n"


def test_a_python_name_whose_extra_is_missing_says_which(tmp_path):
    program = "import sys\nsys.modules['webdataset'] = None\nfrom deepmark import web_dataset"
    done = subprocess.run([sys.executable, "-c", program], cwd=tmp_path, capture_output=True, text=True, check=False)

    last = done.stderr.splitlines()[-1]
    assert last == f"deepmark.errors.DeepmarkError: {TOLD}"
