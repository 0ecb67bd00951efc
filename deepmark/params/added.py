"""What changed in params.yaml since the first release: parameters that were added, and a section that is gone."""

from collections.abc import Iterable, Mapping
from typing import Any

ADDED: dict[str, Any] = {
    "storage.shards": "data/shards",
    "storage.cache": "runs/shards",
    "storage.cache_gib": 64,
    "storage.timeout_seconds": 60,
    "compute.engine": "local",
    "compute.address": "auto",
    "compute.workers": None,
    "compute.train_processes": "auto",
    "compute.restarts": 20,
    "compute.timeout_seconds": 600,
    "model.deformable": True,
    "model.landmark_maps": "separate",
    "augment.rotation": 0.0,
    "augment.cutout": 0.0,
    "augment.white_balance": 0.0,
    "augment.blur": 0.0,
    "augment.noise": 0.0,
    "augment.jpeg": 0,
    "train.init": None,
    "train.teacher": None,
    "train.device_batch": None,
    "train.repeat_threshold": None,
    "train.sync_batch_norm": False,
    "train.ema": None,
    "train.not_finite": "stop",
    "train.channels_last": True,
    "train.compile": False,
    "train.landmark_radius": "box",
    "train.loss_weights.box_giou": 0.0,
    "train.loss_weights.box_diou": 0.0,
    "train.loss_weights.landmark_vectors_oks": 0.0,
    "train.loss_weights.landmark_offset_oks": 0.0,
    "train.loss_weights.teacher": 0.0,
    "train.validate_every": 1,
    "train.evaluate_every": 0,
    "train.best_by": "landmark_ap",
    "train.checkpoint_steps": None,
    "train.checkpoints_kept": 2,
    "predict.landmark_blend": 0.0,
    "predict.rescore": False,
    "evaluate.resamples": 1000,
    "evaluate.seed": 1,
    "evaluate.nms_kinds": False,
    "export.formats": ["float32", "float16", "int8"],
    "export.flip": False,
    "export.peaks": 100,
    "export.calibration_images": 128,
    "export.equality_images": 64,
    "export.max_ap_drop": 0.02,
    "audit.folds": 0,
    "audit.fold_epochs": None,
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
"""By dotted name, in the order of params.yaml, each with the value that changes no result of a workspace without it. A
new parameter is added here in the commit that adds it."""

GONE = "train.launch"
"""The section that said on how many machines and processes a training runs, before the section `compute` did."""


def values_of_launch(launch: Any) -> dict[str, Any]:
    """The parameters of `compute` that mean what the section `train.launch` of an earlier release meant."""
    if not isinstance(launch, Mapping):
        return {}
    processes, machines = launch.get("nproc_per_node", "auto"), launch.get("nnodes", 1)
    if isinstance(processes, int) and isinstance(machines, int):
        processes *= machines
    return {
        "compute.train_processes": processes,
        "compute.timeout_seconds": launch.get("timeout_seconds", ADDED["compute.timeout_seconds"]),
    }


def added_below(names: Iterable[str]) -> list[str]:
    """Those of `names`, parameters or sections, that are in `ADDED` or whose parameters all are."""
    return [name for name in names if name in ADDED or any(one.startswith(f"{name}.") for one in ADDED)]
