"""Checks of the exported files."""

import dagster as dg

from assets.checks.asset_check import Materialized, unknown
from assets.metadata.stages import read_json
from deepmark.workspace.layout import Workspace

_MISSING = "metrics/export.json is missing"


def float32_finds_what_torch_finds(materialized: Materialized) -> dg.AssetCheckResult:
    """On validation images, boxes, scores and landmarks of model.onnx are torch's but for rounding."""
    figures = read_json(Workspace(materialized.workspace).export_metrics_file, "deepmark export")
    if figures is None:
        return unknown(_MISSING)
    equality = figures["files"]["float32"]["equality"]
    return dg.AssetCheckResult(passed=bool(equality["holds"]), metadata=equality)


def no_file_loses_ap(materialized: Materialized) -> dg.AssetCheckResult:
    """By the paired bootstrap, no exported file has a lower box AP or landmark AP than torch."""
    figures = read_json(Workspace(materialized.workspace).export_metrics_file, "deepmark export")
    if figures is None:
        return unknown(_MISSING)
    lost = [
        f"{of['file']}: {name} is {-of[name]['difference']:.4f} below torch's"
        for of in figures["files"].values()
        for name in ("box_ap", "landmark_ap")
        if of[name]["high"] is not None and of[name]["high"] < 0
    ]
    return dg.AssetCheckResult(
        passed=not lost, severity=dg.AssetCheckSeverity.WARN, description="; ".join(lost) or None
    )
