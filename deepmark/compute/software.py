"""What runs on a machine, as far as it decides the bytes that the machine computes: our code, Python, and libraries."""

import hashlib
import platform
from functools import cache
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path

import deepmark.version

LIBRARIES = ("ray", "torch", "numpy", "pyarrow", "opencv-python-headless", "pillow", "simplejpeg")
"""The libraries that a piece's result may depend on, and Ray, whose releases do not talk to each other."""


@cache
def software() -> dict[str, str]:
    """By name: the version of deepmark, the sha256 of its files, Python's minor version, and those of `LIBRARIES`.

    A version is without its local part, so that torch for CPUs and torch for GPUs are the same; `-` is not installed.
    """
    return {
        "deepmark": deepmark.version.__version__,
        "deepmark's files": _digest(Path(deepmark.version.__file__).parent),
        "Python": ".".join(platform.python_version_tuple()[:2]),
        **{name: installed(name).partition("+")[0] for name in LIBRARIES},
    }


def installed(library: str) -> str:
    """The version of an installed library, or `-`."""
    try:
        return version(library)
    except PackageNotFoundError:
        return "-"


def _digest(package: Path) -> str:
    """The first 12 hexadecimal digits of the sha256 over the names and the bytes of a package's Python files."""
    digest = hashlib.sha256()
    for file in sorted(package.rglob("*.py")):
        content = file.read_bytes()
        digest.update(f"{file.relative_to(package).as_posix()}\0{len(content)}\0".encode())
        digest.update(content)
    return digest.hexdigest()[:12]


def differences(here: dict[str, str], there: dict[str, str]) -> list[str]:
    """What another machine has that this one has not, in words: `torch 2.12.0 instead of 2.13.0`."""
    return [
        f"{name} {there.get(name, '-')} instead of {value}" for name, value in here.items() if there.get(name) != value
    ]
