"""The files of onnxruntime-web that the page needs, from npm's registry; each version is known by its sha256."""

import hashlib
import io
import os
import tarfile
import urllib.error
import urllib.request
from pathlib import Path

from deepmark.errors import DeepmarkError
from deepmark.files import new_file

VERSION = "1.30.0"
SHA256 = "d2228df7e4616bc3348bf504ee888f3bec43789a273f0a63f3e68d203ce3bf71"
"""Of the package, 33 MB; unpacked it has 145 MB, of which FILES are 41."""

FILES = (
    "ort.wasm.min.mjs",
    "ort-wasm-simd-threaded.mjs",
    "ort-wasm-simd-threaded.wasm",
    "ort.webgpu.min.mjs",
    "ort-wasm-simd-threaded.asyncify.mjs",
    "ort-wasm-simd-threaded.asyncify.wasm",
)
"""For WebAssembly, and for WebGPU, whose WebAssembly runs what the GPU cannot."""

REGISTRY = "https://registry.npmjs.org"
REGISTRY_VARIABLE = "NPM_CONFIG_REGISTRY"
"""npm's own environment variable for another registry."""

_TIMEOUT = 60


def cache_folder() -> Path:
    """Where the package is kept: deepmark/ in the user's cache."""
    return Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "deepmark"


def runtime_files(package: Path | None = None) -> dict[str, bytes]:
    """The content of each of FILES, and of LICENSE, by name; the package is downloaded once and then kept.

    `package` is a file that was downloaded before, for machines without a network. Raises DeepmarkError where it cannot
    be had, or is another one.
    """
    data = _read(package) if package else _cached()
    with tarfile.open(fileobj=io.BytesIO(data)) as archive:
        return {name: _member(archive, f"package/dist/{name}") for name in FILES}


def _member(archive: tarfile.TarFile, name: str) -> bytes:
    file = archive.extractfile(name)
    assert file is not None, name  # its sha256 was checked
    return file.read()


def _read(package: Path) -> bytes:
    try:
        data = package.read_bytes()
    except OSError as error:
        raise DeepmarkError(f"{package}: cannot be read ({error.strerror}).") from None
    _check(data, str(package))
    return data


def _cached() -> bytes:
    kept = cache_folder() / f"onnxruntime-web-{VERSION}.tgz"
    if kept.is_file():
        data = kept.read_bytes()
        if hashlib.sha256(data).hexdigest() == SHA256:
            return data
    registry = os.environ.get(REGISTRY_VARIABLE) or os.environ.get(REGISTRY_VARIABLE.lower()) or REGISTRY
    url = f"{registry.rstrip('/')}/onnxruntime-web/-/{kept.name}"
    data = _download(url)
    _check(data, url)
    kept.parent.mkdir(parents=True, exist_ok=True)
    with new_file(kept) as draft:
        draft.write_bytes(data)
    return data


def _download(url: str) -> bytes:
    if not url.startswith("https://"):
        raise DeepmarkError(f"{url}: not an https address. Correct {REGISTRY_VARIABLE}, or unset it.")
    try:
        with urllib.request.urlopen(url, timeout=_TIMEOUT) as answer:
            return answer.read()
    except (OSError, urllib.error.URLError) as error:
        reason = getattr(error, "reason", None) or error
        raise DeepmarkError(
            f"{url}: cannot be downloaded ({reason}). Try again, or download it elsewhere and name the file with "
            "--onnxruntime-web."
        ) from None


def _check(data: bytes, where: str) -> None:
    if hashlib.sha256(data).hexdigest() != SHA256:
        raise DeepmarkError(f"{where}: not onnxruntime-web {VERSION} (its sha256 differs). Download it again.")
