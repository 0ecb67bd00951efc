"""The form of an asset check: a function of what was materialized, whose name and docstring Dagster shows."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import dagster as dg


@dataclass(frozen=True, kw_only=True)
class Materialized:
    """An asset, or one partition of it, that has just been materialized."""

    workspace: Path

    partition: str | None

    previous: Mapping[str, Any]
    """The metadata of the materialization before, of the same partition; empty for the first."""


AssetCheck = Callable[[Materialized], dg.AssetCheckResult]
"""A failed check of severity ERROR stops everything downstream of the asset; one of severity WARN stops nothing."""


def unknown(reason: str) -> dg.AssetCheckResult:
    """A warning that the check could not be made; it stops nothing downstream."""
    return dg.AssetCheckResult(passed=False, severity=dg.AssetCheckSeverity.WARN, description=reason)
