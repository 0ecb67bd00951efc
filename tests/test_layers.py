"""Imports go one way: from the doors down to the vocabulary, through the layers that docs/architecture.md lists."""

import ast
import re
from collections.abc import Iterator, Mapping
from functools import cache
from pathlib import Path

import pytest
from workspaces import REPOSITORY

PACKAGES = ("deepmark", "assets", "pipelines")
ARCHITECTURE = REPOSITORY / "docs" / "architecture.md"
FACE = "deepmark"
"""deepmark/__init__.py offers names of every layer to people, and no module of ours imports it."""


@cache
def module_files(root: Path) -> dict[str, Path]:
    files = {}
    for package in PACKAGES:
        for path in sorted((root / package).rglob("*.py")):
            parts = path.relative_to(root).with_suffix("").parts
            files[".".join(parts[:-1] if parts[-1] == "__init__" else parts)] = path
    return files


def imported(path: Path, modules: Mapping[str, Path]) -> Iterator[str]:
    """The modules of ours that a file imports, also inside functions."""
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names if alias.name in modules)
        elif isinstance(node, ast.ImportFrom) and node.module in modules:
            for alias in node.names:
                member = f"{node.module}.{alias.name}"
                yield member if member in modules else node.module


@cache
def import_graph() -> dict[str, set[str]]:
    modules = module_files(REPOSITORY)
    return {name: set(imported(path, modules)) - {name} for name, path in modules.items() if name != FACE}


@cache
def layers() -> tuple[tuple[str, ...], ...]:
    """The packages of docs/architecture.md, the uppermost layer first; packages of one layer are separated by bars."""
    block = re.search(r"^## Layers$.*?^```$\n(.*?)^```$", ARCHITECTURE.read_text(), re.MULTILINE | re.DOTALL)
    assert block, f"{ARCHITECTURE} has no block of layers"
    return tuple(tuple(re.findall(r"[\w./]+", line)) for line in block[1].splitlines() if line.strip())


def package_of(module: str, packages: set[str]) -> str | None:
    """The listed package with the longest name that is the module or a folder around it."""
    name = module.replace(".", "/")
    while name and name not in packages:
        name = name.rpartition("/")[0]
    return name or None


def circle(graph: Mapping[str, set[str]]) -> list[str]:
    """One circle of the graph as a list of its members, or nothing."""
    done: set[str] = set()

    def search(node: str, way: list[str]) -> list[str]:
        if node in way:
            return [*way[way.index(node) :], node]
        if node in done:
            return []
        for following in sorted(graph.get(node, ())):
            if found := search(following, [*way, node]):
                return found
        done.add(node)
        return []

    return next((found for node in sorted(graph) if (found := search(node, []))), [])


@pytest.mark.slow
def test_no_file_imports_itself_by_way_of_others():
    assert circle(import_graph()) == []


@pytest.mark.slow
def test_no_folder_imports_itself_by_way_of_others():
    """A loose module of deepmark/ is a package of its own; all other packages are folders."""

    def folder(module: str) -> str:
        parent = str(module_files(REPOSITORY)[module].parent.relative_to(REPOSITORY))
        return module if parent == "deepmark" else parent

    folders: dict[str, set[str]] = {}
    for module, targets in import_graph().items():
        packages = {folder(target) for target in targets if target != FACE}
        folders.setdefault(folder(module), set()).update(packages - {folder(module)})

    assert circle(folders) == []


def test_a_module_imports_its_own_package_and_lower_layers_only():
    height = {package: -number for number, layer in enumerate(layers()) for package in layer}
    upwards = []
    for module, targets in import_graph().items():
        package = package_of(module, set(height))
        for target in targets - {FACE}:
            other = package_of(target, set(height))
            if package is None or other is None or (package != other and height[other] >= height[package]):
                upwards.append(f"{module} ({package}) imports {target} ({other})")

    assert upwards == []


def test_the_architecture_lists_every_file_in_its_package():
    listed, package = set(), ""
    for line in ARCHITECTURE.read_text("utf-8").splitlines():
        if heading := re.match(r"((?:deepmark|assets|pipelines)[\w/]*)/(\s|$)", line):
            package = heading[1]
        elif file := re.match(r"  (\w+\.py)\s", line):
            listed.add(f"{package}/{file[1]}")
    files = {str(path.relative_to(REPOSITORY)) for path in module_files(REPOSITORY).values()}

    assert listed == {file for file in files if not file.endswith("__init__.py")}


def test_every_package_of_the_layers_exists():
    for package in (package for layer in layers() for package in layer):
        assert (REPOSITORY / package).is_dir() or (REPOSITORY / f"{package}.py").is_file(), package


@pytest.mark.parametrize("graph", [{"a": {"b"}, "b": {"c"}, "c": {"a"}}, {"a": {"b", "c"}, "b": {"d"}, "d": {"b"}}])
def test_a_circle_is_noticed(graph):
    assert circle(graph)
    assert circle({"a": {"b", "c"}, "b": {"c"}, "c": set()}) == []


def test_few_modules_stand_loose_and_no_file_is_long():
    files = [path for folder in (*PACKAGES, "tests", "benchmarks") for path in (REPOSITORY / folder).rglob("*.py")]
    loose = [path.name for path in (REPOSITORY / "deepmark").glob("*.py") if path.name != "__init__.py"]

    assert len(loose) <= 10
    assert [path.name for path in files if len(path.read_text().splitlines()) > 300] == []
