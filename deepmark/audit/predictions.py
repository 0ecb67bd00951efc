"""The predictions that the audit compares labels with: of networks that have not learnt these labels."""

from pathlib import Path

from deepmark.audit.label_matching import with_min_score
from deepmark.data.parquet import vocabulary_of
from deepmark.data.predictions import read_predictions
from deepmark.data.records import open_records
from deepmark.errors import DeepmarkError
from deepmark.files import require_file
from deepmark.schema import STRATEGIES
from deepmark.types import Detections
from deepmark.vocabulary import check_same
from deepmark.workspace.layout import Workspace


def predictions_to_audit(workspace: Workspace) -> dict[str, dict[int, Detections]]:
    """The detections by split and image: of validation, and of train where params.yaml has `audit.folds`.

    Raises DeepmarkError where they are not those of today's images.
    """
    maker = f"deepmark predict --strategy {STRATEGIES[-1]}"
    found = {"validation": _read(workspace, "validation", workspace.predictions_file(STRATEGIES[-1]), maker)}
    if workspace.params.audit.folds:
        found["train"] = _read(workspace, "train", workspace.held_out_file, "deepmark crossvalidate")
    return found


def _read(workspace: Workspace, split: str, path: Path, maker: str) -> dict[int, Detections]:
    found, records_file = read_predictions(require_file(path, maker))[0], workspace.records_file(split)
    with open_records(records_file) as file:
        vocabulary = vocabulary_of(file.schema_arrow, records_file)
        check_same(vocabulary, records_file, found.vocabulary, path, f"Run `{maker}` again, for these records.")
        # without the weak ones: all of them would take gigabytes
        predictions = {each.image_id: with_min_score(each.detections) for each in found}
        known = set(file.read(columns=["id"]).column("id").to_pylist())
    if predictions.keys() != known:
        unknown, missing = predictions.keys() - known, known - predictions.keys()
        raise DeepmarkError(
            f"{path}: is about other images than data/records/{split}.parquet: {len(unknown):,} of them are not "
            f"there, {len(missing):,} of those not here. Run `{maker}` again."
        )
    return predictions
