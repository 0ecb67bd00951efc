"""A workspace of other garments than DeepFashion2's: painted images of a vocabulary, records, shards, and results."""

from pathlib import Path

import numpy as np
import PIL.Image
from tiny_dataset import LENIENT
from vocabularies import SMALL
from vocabulary_samples import SIZE, as_drawn, near, painted, record
from workspaces import set_params

from deepmark import stages
from deepmark.compute.local import Local
from deepmark.data.coco.importer import import_coco
from deepmark.data.coco.writer import write_coco
from deepmark.data.ingest.ingest import ingest_split
from deepmark.data.predictions import write_predictions
from deepmark.digests import write_json_with_digest
from deepmark.eval.metric.timing_file import timing_of, write_timing
from deepmark.files import file_sha256
from deepmark.model.detector import build_detector, save_detector
from deepmark.schema import STRATEGIES
from deepmark.types import ImageRecord
from deepmark.vocabulary import Vocabulary
from deepmark.workspace.init import init_workspace
from deepmark.workspace.inputs import open_shards
from deepmark.workspace.layout import Workspace

COUNTS = {"train": 24, "validation": 12}


def images_of(folder: Path, vocabulary: Vocabulary, numbers: range) -> list[ImageRecord]:
    """Painted images with one to three garments each, and their records."""
    folder.mkdir(parents=True)
    records = []
    for number in numbers:
        rng, items = np.random.default_rng(number), []
        for place in range(1 + number % 3):
            category = vocabulary.categories[(number + place) % len(vocabulary.categories)]
            corner = np.array([10 + 130 * place, rng.uniform(20, 200)])
            items.append(as_drawn(category, np.concatenate([corner, corner + rng.uniform(70, 115, 2)]), rng, place + 1))
        PIL.Image.fromarray(painted(items, vocabulary, rng)).save(folder / f"{number:06d}.jpg", quality=90)
        records.append(record(number, items))
    return records


def accessories(folder: Path, vocabulary: Vocabulary = SMALL) -> Workspace:
    """A workspace with raw files, records and shards of the vocabulary, and an untrained model for it."""
    workspace = set_params(
        init_workspace(folder / "workspace", "demo"),
        model={"input_size": [64, 64]},
        evaluate={"resamples": 50},
        compute={"train_processes": 1},
        audit={"pictures": 10},
        report={"pictures": 8},
    )
    first = 1
    for split, count in COUNTS.items():
        images = folder / "images" / split
        write_coco(folder / f"{split}.json", images_of(images, vocabulary, range(first, first + count)), vocabulary)
        import_coco(folder / f"{split}.json", images, workspace.raw / split, vocabulary, engine=Local(1))
        settings = {"params": LENIENT, "vocabulary": vocabulary, "engine": Local(1)}
        ingest_split(workspace.raw, split=split, out=workspace.records, **settings)
        stages.shard(workspace, split=split)
        first += count
    workspace.checkpoint.mkdir(parents=True)
    save_detector(build_detector(workspace.params.model, vocabulary, seed=1), workspace.model_file)
    write_json_with_digest(workspace.training_file, {"mlflow_run_id": "0123", "history": []})
    return workspace


def predicted(workspace: Workspace, strategy: str, *, spread: float = 2.0) -> None:
    """Predictions near the labels of validation, as if the model had made them."""
    reader, rng, found = open_shards(workspace, "validation"), np.random.default_rng(STRATEGIES.index(strategy)), []
    for position in range(len(reader)):
        image = reader[position][0]
        found.append((image.id, image.file, near(list(image.garments), reader.vocabulary, rng, spread)))
    facts = {
        "strategy": strategy,
        "checkpoint_sha256": file_sha256(workspace.model_file),
        "mlflow_run_id": "0123",
    }
    file = workspace.predictions_file(strategy)
    write_predictions(file, found, facts)
    timing = timing_of({"read": 1.0, "network": 2.0, "decode": 0.5}, "cpu", len(found))
    write_timing(workspace.timing_file(strategy), timing, file)


assert SIZE == 400  # the garments of an image lie side by side in it
