"""Reads metrics/{strategy}.json: the figures of a strategy over everything, and its milliseconds."""

import json
from pathlib import Path
from typing import Any

from deepmark.errors import DeepmarkError
from deepmark.eval.metric.names import KINDS


def read_metrics(file: Path) -> dict[str, Any]:
    """The content of a metrics/{strategy}.json.

    Raises DeepmarkError where the figures have the names of an earlier release.
    """
    metrics = json.loads(file.read_text("utf-8"))
    missing = [kind for kind in KINDS if kind not in metrics]
    if missing:
        raise DeepmarkError(
            f"{file}: has no figures named {', '.join(missing)}; an earlier release wrote it, with other names. "
            f"Evaluate again: `dvc repro --force --single-item evaluate@{file.stem}`, or "
            f"`deepmark evaluate --strategy {file.stem}`."
        )
    return metrics
