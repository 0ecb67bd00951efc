"""The predictions that the audit compares labels with."""

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

_PREDICT_AGAIN = "Run `deepmark predict` again, with a model that was trained on these records."


def predictions_to_audit(workspace: Workspace) -> dict[int, Detections]:
    """The detections by image. Raises DeepmarkError where they are not those of today's validation images."""
    maker = f"deepmark predict --strategy {STRATEGIES[-1]}"
    path = require_file(workspace.predictions_file(STRATEGIES[-1]), maker)
    found, records_file = read_predictions(path)[0], workspace.records_file("validation")
    with open_records(records_file) as file:
        vocabulary = vocabulary_of(file.schema_arrow, records_file)
        check_same(vocabulary, records_file, found.vocabulary, path, _PREDICT_AGAIN)
        # without the weak ones: all of them would take gigabytes
        predictions = {each.image_id: with_min_score(each.detections) for each in found}
        known = set(file.read(columns=["id"]).column("id").to_pylist())
    if predictions.keys() != known:
        unknown, missing = predictions.keys() - known, known - predictions.keys()
        raise DeepmarkError(
            f"{path}: is about other images than data/records/validation.parquet: {len(unknown):,} of them are not "
            f"there, {len(missing):,} of those not here. Run `{maker}` again."
        )
    return predictions
