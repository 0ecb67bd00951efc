"""metrics/timing/{strategy}.json: how long the predictions of a strategy took, and on what.

The predictions themselves hold neither, so that predicting again gives the same file. The timing names the predictions
that it is of by their sha256.
"""

from collections.abc import Mapping
from math import isfinite
from pathlib import Path
from typing import Any

from deepmark.digests import read_json_with_digest, write_json_with_digest
from deepmark.errors import DeepmarkError
from deepmark.files import file_sha256

_PARTS = "read", "network", "decode"


def timing_beside(metrics_file: Path) -> Path:
    """The timing that belongs to a metrics/{strategy}.json."""
    return metrics_file.parent / "timing" / metrics_file.name


def timing_of(ms: Mapping[str, float], device: str, images: int) -> dict[str, Any]:
    """The content of a timing: `ms` holds the mean milliseconds of an image, read, network and decode."""
    return {"ms": {**ms, "total": sum(ms[part] for part in _PARTS)}, "device": device, "images": images}


def write_timing(file: Path, timing: Mapping[str, Any], predictions: Path) -> None:
    """Write a timing; one that is of the same predictions, byte by byte, stays as it is.

    It was measured when these were made, and DVC then finds that nothing has changed. Without the file, such as after
    `dvc repro --force`, which removes it, every prediction is timed anew.
    """
    sha256 = file_sha256(predictions)
    try:
        if read_timing(file).get("predictions") == [sha256]:
            return
    except DeepmarkError:
        pass  # damaged: it is written again
    write_json_with_digest(file, {**timing, "predictions": [sha256]})


def read_timing(file: Path) -> dict[str, Any]:
    """A timing, nothing where there is none. Raises DeepmarkError where it is damaged."""
    if not file.is_file():
        return {}
    maker = f"deepmark predict --strategy {file.stem}"
    timing = read_json_with_digest(file, maker)
    check_milliseconds(file, timing.get("ms"), maker)
    return timing


def check_milliseconds(file: Path, ms: Any, maker: str) -> None:
    """Raise DeepmarkError, naming `maker`, for times that are not positive numbers with names."""
    if not isinstance(ms, Mapping):
        raise DeepmarkError(f"{file}: damaged: it lacks milliseconds by name. Run `{maker}` again.")
    for name, value in ms.items():
        if not (type(value) in (int, float) and value >= 0 and isfinite(value)):
            raise DeepmarkError(
                f"{file}: damaged: milliseconds, {name} is {value!r}, which cannot be. Run `{maker}` again."
            )
