"""Parameters that were added to params.yaml, each with the value that changes no result of a workspace without it."""

from collections.abc import Iterable
from typing import Any

ADDED: dict[str, Any] = {
    "storage.shards": "data/shards",
    "storage.cache": "runs/shards",
    "storage.cache_gib": 64,
    "storage.timeout_seconds": 60,
    "model.deformable": True,
    "model.landmark_maps": "separate",
    "train.init": None,
    "train.device_batch": None,
    "train.ema": None,
    "train.not_finite": "stop",
    "train.channels_last": True,
    "train.compile": False,
    "train.landmark_radius": "box",
    "train.evaluate_every": 0,
    "train.best_by": "landmark_ap",
    "train.checkpoint_steps": None,
    "train.checkpoints_kept": 2,
    "train.launch.nnodes": 1,
    "train.launch.nproc_per_node": "auto",
    "train.launch.rendezvous": None,
    "train.launch.timeout_seconds": 600,
    "evaluate.resamples": 1000,
    "evaluate.seed": 1,
    "export.formats": ["float32", "float16", "int8"],
    "export.flip": False,
    "export.peaks": 100,
    "export.calibration_images": 128,
    "export.equality_images": 64,
    "export.max_ap_drop": 0.02,
    "audit.faulty_share": 0.01,
    "audit.min_score": 0.05,
    "audit.hash_bits": 10,
    "audit.pictures": 60,
    "automation.schedule": "0 3 * * 1",
    "automation.timezone": "UTC",
    "automation.look_every_minutes": 5,
    "automation.settled_minutes": 30,
    "automation.report_days": 10,
    "automation.champion_days": 17,
    "promote.strategy": "nms",
    "promote.serve": "checkpoint",
    "promote.primary_metric": "landmark_ap",
    "promote.tolerance": 0.005,
    "promote.max_category_drop": 0.05,
    "promote.max_latency_ratio": 1.5,
    "promote.max_size_ratio": 1.5,
}
"""By dotted name, in the order of params.yaml. A new parameter is added here in the commit that adds it."""


def added_below(names: Iterable[str]) -> list[str]:
    """Those of `names`, parameters or sections, that are in `ADDED` or whose parameters all are."""
    return [name for name in names if name in ADDED or any(one.startswith(f"{name}.") for one in ADDED)]
