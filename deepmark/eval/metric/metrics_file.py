"""Reads metrics/{strategy}.json: the figures of a strategy over everything; with the milliseconds, which lie beside it.

The file also holds its own digest, and the sha256 sums of the predictions that it was computed from and of the tables
and the plot that were computed with it.
"""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from deepmark.digests import read_json_with_digest
from deepmark.errors import DeepmarkError
from deepmark.eval.metric.names import KINDS, METRICS
from deepmark.eval.metric.timing_file import check_milliseconds, read_timing, timing_beside


def read_metrics(file: Path) -> dict[str, Any]:
    """The figures in a metrics/{strategy}.json, with the milliseconds in metrics/timing/{strategy}.json as `ms`.

    Without the second there are none, but for a file of an earlier release, which holds them itself.

    Raises DeepmarkError where the file is missing or damaged, where a figure is impossible, and where the figures have
    the names of an earlier release.
    """
    metrics = read_json_with_digest(file, maker(file))
    missing = [kind for kind in KINDS if kind not in metrics]
    if missing:
        raise DeepmarkError(
            f"{file}: has no figures named {', '.join(missing)}; an earlier release wrote it, with other names. "
            f"Evaluate again: `dvc repro --force --single-item evaluate@{file.stem}`, or `{maker(file)}`."
        )
    _check_figures(file, metrics)
    if "ms" in metrics:
        check_milliseconds(file, metrics["ms"], maker(file))
    timing = read_timing(timing_beside(file))
    return {**metrics, "ms": timing["ms"]} if timing else metrics


def maker(file: Path) -> str:
    """The command that makes a metrics/{strategy}.json, and the tables of the strategy."""
    return f"deepmark evaluate --strategy {file.stem}"


def _check_figures(file: Path, metrics: Mapping[str, Any]) -> None:
    """Raise DeepmarkError for an AP that is not in 0..1."""
    try:
        figures = {metric.words: metric.value_in(metrics) for metric in METRICS.values()}
    except (KeyError, TypeError, AttributeError) as error:
        raise DeepmarkError(f"{file}: damaged: it lacks {error}. Run `{maker(file)}` again.") from None
    for name, value in figures.items():
        if value is not None and not (type(value) in (int, float) and 0 <= value <= 1):
            raise DeepmarkError(f"{file}: damaged: {name} is {value!r}, which cannot be. Run `{maker(file)}` again.")
