"""Checks of the records of a split."""

from typing import Any

import dagster as dg

from assets.checks.asset_check import Materialized, unknown
from assets.metadata.stages import CATEGORIES, read_json
from deepmark.schema import SPLITS
from deepmark.workspace.layout import Workspace

SHRUNK = 0.9
"""A split, or a category, that has less than this share of its previous items is a warning."""

COUNTED = 20
"""The least number of items of a category that is compared with its previous number."""

_MISSING = "the statistics file is missing"


def every_file_is_accounted_for(materialized: Materialized) -> dg.AssetCheckResult:
    """Files in = records + rejected."""
    counts = _statistics(materialized)
    if counts is None:
        return unknown(_MISSING)
    inputs, records, rejected = (int(counts[name]) for name in ("inputs", "records", "rejected"))
    return dg.AssetCheckResult(
        passed=inputs == records + rejected,
        metadata={"inputs": inputs, "records": records, "rejected": rejected},
    )


def rejected_share_is_far_from_its_limit(materialized: Materialized) -> dg.AssetCheckResult:
    """At most half of ingest.max_rejected_share was rejected; above the whole of it, the stage stops."""
    counts = _statistics(materialized)
    if counts is None:
        return unknown(_MISSING)
    share = counts["rejected"] / max(1, counts["inputs"])
    limit = Workspace(materialized.workspace).params.ingest.max_rejected_share
    return dg.AssetCheckResult(
        passed=share <= limit / 2,
        severity=dg.AssetCheckSeverity.WARN,
        description=f"{share:.2%} of the files were rejected; the stage stops above {limit:.2%}.",
        metadata={"rejected share": share, "limit": limit},
    )


def nothing_has_shrunk(materialized: Materialized) -> dg.AssetCheckResult:
    """Neither the split nor a category has lost a tenth of its items since the last materialization."""
    counts = _statistics(materialized)
    if counts is None:
        return unknown(_MISSING)
    before: dict[str, Any] = {"records": materialized.previous.get("records")}
    categories = materialized.previous.get(CATEGORIES)
    if isinstance(categories, dg.TableMetadataValue):  # an older release showed them as text
        before |= {str(row.data["category"]): row.data["items"] for row in categories.records}
    now = {"records": counts["records"], **{name: part["items"] for name, part in counts["by"]["category"].items()}}
    lost = [
        f"{name}: {before[name]} before, {count} now"
        for name, count in now.items()
        if (before.get(name) or 0) >= COUNTED and count < SHRUNK * before[name]
    ]
    return dg.AssetCheckResult(
        passed=not lost,
        severity=dg.AssetCheckSeverity.WARN,
        description="; ".join(lost) or None,
        metadata={"records": counts["records"], "records before": before["records"] or 0},
    )


def no_picture_is_in_both_splits(materialized: Materialized) -> dg.AssetCheckResult:
    """No JPEG of this split is, byte for byte, one of the other: validation images were not trained on."""
    from deepmark.data.records import open_records

    files = [Workspace(materialized.workspace).records_file(split) for split in SPLITS]
    missing = [file for file in files if not file.is_file()]
    if missing:
        return dg.AssetCheckResult(passed=True, description=f"{missing[0].name} is compared once it is made.")
    sums = []
    for file in files:
        with open_records(file) as records:
            columns = records.read(columns=["sha256", "file"]).to_pydict()
        sums.append(dict(zip(columns["sha256"], columns["file"], strict=True)))
    both = sorted(sums[0].keys() & sums[1].keys())
    pairs = [f"{SPLITS[0]}/{sums[0][sha256]} = {SPLITS[1]}/{sums[1][sha256]}" for sha256 in both[:10]]
    return dg.AssetCheckResult(
        passed=not both,
        description="; ".join(pairs) or None,
        metadata={"images in both": len(both), "images compared": sum(map(len, sums))},
    )


def landmarks_are_in_mirror_order(materialized: Materialized) -> dg.AssetCheckResult:
    """Of every mirrored pair, the left landmark lies left of its partner on most garments; landmarks 2 and 4 too."""
    from deepmark.data.ingest.left_right_check import check_left_right

    pairs = check_left_right(Workspace(materialized.workspace).records_file(materialized.partition or ""))
    wrong = [pair for pair in pairs if pair.share < 0.5]
    lines = [f"{pair.name}: holds on {pair.share:.0%} of {pair.garments} garments" for pair in wrong[:10]]
    return dg.AssetCheckResult(
        passed=not wrong,
        description="; ".join(lines) or None,
        metadata={"pairs": len(pairs), "lowest share": pairs[0].share if pairs else 1.0},
    )


def _statistics(materialized: Materialized) -> dict[str, Any] | None:
    file = Workspace(materialized.workspace).records / f"{materialized.partition}.statistics.json"
    return read_json(file, f"deepmark ingest --split {materialized.partition}")
