"""One function a stage: read files, call the library, write files, return facts.

The command line, the DVC stage and, through DVC, the Dagster asset all come here. What is called is free of files and
configuration where it can be.
"""

import json
import shutil
from pathlib import Path
from typing import TYPE_CHECKING, Any

from deepmark.errors import DeepmarkError
from deepmark.progress import progress
from deepmark.schema import SPLITS, STRATEGIES
from deepmark.workspace import Workspace

if TYPE_CHECKING:
    from deepmark.report.page import Picture


def _need(path: Path, maker: str) -> Path:
    if not path.exists():
        raise DeepmarkError(f"{path}: not there yet. Make it with `{maker}`, or everything with `dvc repro`.")
    return path


def ingest(workspace: Workspace, *, split: str) -> dict[str, Any]:
    """Raw files -> data/records/{split}.parquet, its rejects and its statistics."""
    from deepmark.data.ingest import ingest_split, list_inputs

    params = workspace.params
    with progress(f"ingest {split}", len(list_inputs(workspace.raw / split))) as advance:
        result = ingest_split(workspace.raw, split=split, out=workspace.records, params=params.ingest, progress=advance)
    return {
        "files": result.files,
        "records": result.records,
        "rejected": result.rejected,
        "rejected_by_kind": result.kinds,
        **result.notes,
    }


def shard(workspace: Workspace, *, split: str) -> dict[str, Any]:
    """Records and raw pictures -> data/shards/{split}."""
    from deepmark.data.records import open_records
    from deepmark.data.shards import write_shards

    records = _need(workspace.records_file(split), f"deepmark ingest --split {split}")
    params = workspace.params.shard
    with open_records(records) as file:
        pictures = file.metadata.num_rows
    with progress(f"shard {split}", pictures) as advance:
        return write_shards(
            records,
            workspace.raw,
            workspace.shards(split),
            split=split,
            seed=params.seed,
            target_mib=params.target_mib,
            progress=advance,
        )


def train(workspace: Workspace, *, fresh: bool = False) -> dict[str, Any] | None:
    """Shards -> data/checkpoint, metrics/train.json and plots/losses.csv.

    Its facts come from where rank 0 runs; None on every other machine, and in every other process of a scheduler.
    """
    from deepmark.train.distributed import announced_place
    from deepmark.train.launch import count_processes, run_workers
    from deepmark.train.recipe import run_folder
    from deepmark.train.worker import run_rank

    launch, place = workspace.params.train.launch, announced_place()
    here = place.local_world if place else count_processes(launch.nproc_per_node)
    _check_shards(
        workspace,
        processes=place.world if place else launch.nnodes * here,
        verify=place is None or place.local_rank == 0,  # once a machine
    )
    folder = run_folder(workspace)
    if fresh and (place is None or place.rank == 0):
        shutil.rmtree(folder, ignore_errors=True)
    if place:
        run_rank(workspace)
        is_first = place.rank == 0
    else:
        is_first = run_workers(workspace.root, here, launch, run_id=folder.name)
    return json.loads(workspace.train_metrics_file.read_text("utf-8")) if is_first else None


def _check_shards(workspace: Workspace, *, processes: int, verify: bool) -> None:
    """Whether there is enough for so many processes, and every byte is as it was written."""
    from deepmark.data.stream import ShardReader, batch_bounds

    batch_size = workspace.params.train.batch_size
    if batch_size < processes:
        raise DeepmarkError(
            f"params.yaml: train: batch_size {batch_size} is the total over {processes} processes, and must "
            "give each at least one picture. Raise it, or lower launch.nproc_per_node."
        )
    for split in SPLITS:
        reader = ShardReader(_need(workspace.shards(split), f"deepmark shard --split {split}"))
        smallest = min((stop - start for start, stop in batch_bounds(len(reader), batch_size)), default=0)
        if smallest < processes:
            raise DeepmarkError(
                f"{workspace.shards(split)}: {len(reader)} pictures are too few for {processes} processes: the "
                f"smallest batch has {smallest}. Add data, raise train.batch_size, or lower launch.nproc_per_node."
            )
        if verify:
            with progress(f"verify {split}", len(reader)) as advance:
                reader.verify(progress=advance)


def predict(workspace: Workspace, *, strategy: str) -> dict[str, Any]:
    """Checkpoint and validation shards -> data/predictions/{strategy}.parquet."""
    from deepmark.infer.predict_file import predict_file

    model = _need(workspace.model_file, "deepmark train")
    shards = _need(workspace.shards("validation"), "deepmark shard --split validation")
    run_id = json.loads(workspace.training_file.read_text("utf-8"))["mlflow_run_id"]
    out, params = workspace.predictions_file(strategy), workspace.params.predict
    return predict_file(model, shards, out, strategy=strategy, params=params, run_id=run_id)


def evaluate(workspace: Workspace, *, strategy: str) -> dict[str, Any]:
    """Predictions and records -> metrics/{strategy}.json, tables/{strategy}/ and plots/{strategy}.csv."""
    from deepmark.data.records import read_records
    from deepmark.eval.metrics import PASSES
    from deepmark.eval.metrics import evaluate as measure
    from deepmark.files import new_folder, write_json, write_text
    from deepmark.infer.predictions import read_predictions
    from deepmark.tracking import Tracker, flattened

    found, facts = read_predictions(workspace.predictions_file(strategy))
    records = read_records(_need(workspace.records_file("validation"), "deepmark ingest --split validation"))
    predictions = [(prediction.image_id, prediction.detections) for prediction in found]
    params = workspace.params.evaluate
    with progress(f"evaluate {strategy}", PASSES) as advance:
        report = measure(records, predictions, resamples=params.resamples, seed=params.seed, progress=advance)
    ms = json.loads(facts["ms"])
    metrics = {
        **report.headline(),
        "interval": report.headline_intervals(),
        "ms": {**ms, "total": sum(ms.values())},
        "images": len(predictions),
    }
    with new_folder(workspace.tables(strategy)) as draft:
        report.to_frame().to_csv(draft / workspace.table_file(strategy).name, index=False, lineterminator="\n")
    write_text(workspace.plot_file(strategy), report.by_category().to_csv(index=False, lineterminator="\n"))
    write_json(workspace.metrics_file(strategy), metrics)
    tracker = Tracker.resume(workspace.root, facts["mlflow_run_id"])
    tracker.log_metrics({name: value for name, value in flattened({strategy: metrics}) if value is not None})
    tracker.log_artifact(workspace.tables(strategy), f"tables/{strategy}")
    return metrics


def report(workspace: Workspace) -> dict[str, Any]:
    """All metrics and tables, and some pictures -> report/."""
    import pandas as pd

    from deepmark.provenance import data_version, workspace_version
    from deepmark.report.page import write_report
    from deepmark.tracking import Tracker

    params = workspace.params
    need = {name: f"deepmark evaluate --strategy {name}" for name in STRATEGIES}
    metrics = {
        name: json.loads(_need(workspace.metrics_file(name), maker).read_text("utf-8")) for name, maker in need.items()
    }
    frames = {name: pd.read_csv(_need(workspace.table_file(name), maker)) for name, maker in need.items()}
    training = json.loads(_need(workspace.training_file, "deepmark train").read_text("utf-8"))
    tracker = Tracker.resume(workspace.root, training["mlflow_run_id"])
    facts = {
        "backbone": params.model.backbone,
        "input size": " x ".join(map(str, params.model.input_size)),
        "epochs": str(len(training["history"])),
        "seed": str(params.train.seed),
        "data version": data_version(workspace.root) or "not under DVC",
        "workspace commit": workspace_version(workspace.root) or "none",
        "MLflow run": training["mlflow_run_id"],
    }
    page = write_report(
        workspace.report,
        metrics=metrics,
        frames=frames,
        pictures=_draw_pictures(workspace),
        facts=facts,
        measured_on=f"{metrics['none']['images']:,} validation pictures",
    )
    tracker.log_artifact(workspace.report, "report")
    return {"page": str(page), "mlflow_run": tracker.run_id}


def _draw_pictures(workspace: Workspace) -> list["Picture"]:
    """Truth beside detections, for pictures spread evenly over the validation shards."""
    import numpy as np

    from deepmark.data.images import decode_jpeg
    from deepmark.data.stream import ShardReader
    from deepmark.infer.predictions import read_predictions
    from deepmark.report.gallery import contact_sheet, draw_detections, draw_truth
    from deepmark.report.page import Picture

    params = workspace.params.report
    reader = ShardReader(workspace.shards("validation"))
    chosen = np.linspace(0, len(reader) - 1, min(params.pictures, len(reader))).astype(int).tolist()
    found = dict(enumerate(read_predictions(workspace.predictions_file(STRATEGIES[-1]))[0]))
    pictures = []
    for position in chosen:
        record, jpeg = reader[position]
        image, prediction = decode_jpeg(jpeg), found[position]
        assert prediction.image_id == record.id
        drawn = draw_detections(image, prediction.detections, min_score=params.min_score)
        sheet = contact_sheet([draw_truth(image, record), drawn], columns=2)
        caption = f"Picture {reader.key(position)}: what is labelled (left), what is found (right)"
        pictures.append(Picture(name=reader.key(position), caption=caption, image=sheet))
    return pictures
