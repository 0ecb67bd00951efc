"""Which installed distributions an extra of pyproject.toml needs, and an environment that has only those."""

import subprocess
import sys
import sysconfig
import tomllib
import zipfile
from collections import Counter
from collections.abc import Iterable
from functools import cache
from importlib.metadata import Distribution, distribution, packages_distributions
from pathlib import Path

from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

REPOSITORY = Path(__file__).parents[2]


def declared(*extras: str) -> list[Requirement]:
    """What pyproject.toml wants for the base and, if any are named, for these extras."""
    project = tomllib.loads((REPOSITORY / "pyproject.toml").read_text("utf-8"))["project"]
    lines = [*project["dependencies"], *(line for extra in extras for line in project["optional-dependencies"][extra])]
    return [Requirement(line) for line in lines]


@cache
def needed(*extras: str) -> frozenset[str]:
    """The canonical names of the distributions that `pip install deepmark[extras]` brings, ours left out."""
    found: set[tuple[str, str]] = set()
    _collect(declared(*extras), "", found)
    return frozenset(name for name, _ in found)


def _collect(requirements: Iterable[Requirement], extra: str, found: set[tuple[str, str]]) -> None:
    """Add the name and extra of each requirement that applies for `extra`, and of what that needs in its turn."""
    for one in requirements:
        if one.marker and not one.marker.evaluate({"extra": extra}):
            continue
        name = canonicalize_name(one.name)
        if name == "deepmark":
            _collect(declared(*one.extras), "", found)
            continue
        for wanted in {"", *one.extras}:
            if (name, wanted) not in found:
                found.add((name, wanted))
                _collect(map(Requirement, distribution(name).requires or []), wanted, found)


def modules() -> dict[str, set[str]]:
    """The distributions, by canonical name, that bring a module which can be imported."""
    return {module: set(map(canonicalize_name, names)) for module, names in packages_distributions().items()}


def build_wheel(folder: Path) -> Path:
    """The wheel of this repository, built without isolation, so offline."""
    command = [sys.executable, "-m", "pip", "wheel", "--quiet", "--no-deps", "--no-build-isolation", "--no-index"]
    subprocess.run([*command, "--wheel-dir", folder, REPOSITORY], check=True)
    return next(folder.glob("deepmark-*.whl"))


def bare_environment(folder: Path, wheel: Path, *extras: str) -> Path:
    """A virtual environment with the wheel and what it needs, linked from here; returns its folder of commands."""
    subprocess.run([sys.executable, "-m", "venv", "--without-pip", folder], check=True)
    at = {"base": str(folder), "platbase": str(folder)}
    packages, commands = (Path(sysconfig.get_path(name, "venv", at)) for name in ("purelib", "scripts"))
    _link([distribution(name) for name in needed(*extras)], packages)
    with zipfile.ZipFile(wheel) as archive:
        archive.extractall(packages)
    command = commands / "deepmark"
    command.write_text(f"#!{commands / 'python'}\nfrom deepmark.cli.app import main\nmain()\n")
    command.chmod(0o755)
    return commands


def _link(distributions: list[Distribution], packages: Path) -> None:
    """Link each top folder, or, of one that several distributions share (ruamel, nvidia), the folders in it."""
    tops = {one: {file.parts[0] for file in one.files or []} - {"..", "__pycache__"} for one in distributions}
    shared = {top for top, count in Counter(top for all_of in tops.values() for top in all_of).items() if count > 1}
    for one in distributions:
        depth = {file.parts[: 2 if file.parts[0] in shared else 1] for file in one.files or []}
        for parts in depth:
            if parts[0] in {"..", "__pycache__"} or parts[-1] == "__pycache__":
                continue
            link = packages.joinpath(*parts)
            link.parent.mkdir(parents=True, exist_ok=True)
            if not link.exists():
                link.symlink_to(Path(one.locate_file("")).joinpath(*parts))
