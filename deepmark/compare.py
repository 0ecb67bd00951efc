"""Two sets of predictions against each other: which is better, and whether the pictures can tell."""

from pathlib import Path

from deepmark.data.predictions import read_predictions
from deepmark.errors import DeepmarkError
from deepmark.eval.metric.compare import Difference, compare
from deepmark.eval.metric.evaluate import PASSES
from deepmark.files import new_file, require_file
from deepmark.progress import progress
from deepmark.report.tables.comparison_tables import comparison_frame
from deepmark.schema import STRATEGIES
from deepmark.types import Prediction
from deepmark.workspace.layout import Workspace


def predictions_of(workspace: Workspace, name: str) -> Path:
    """The predictions of a strategy of this workspace, or those in a file.

    Raises DeepmarkError where the name is neither, or the strategy was not predicted yet.
    """
    if name in STRATEGIES:
        return require_file(workspace.predictions_file(name), f"deepmark predict --strategy {name}")
    if Path(name).is_file():
        return Path(name)
    raise DeepmarkError(
        f"{name}: neither a strategy ({', '.join(STRATEGIES)}) nor a file of predictions. "
        "Give for example flip, or ../other/data/predictions/flip.parquet."
    )


def compare_predictions(workspace: Workspace, a: str, b: str, *, out: Path | None = None) -> list[Difference]:
    """Every figure of A and of B on the workspace's validation records, and how much B is above A.

    With `out`, all of them as CSV. Raises DeepmarkError where one cannot be read or is of other pictures.
    """
    from deepmark.data.records import read_records

    params = workspace.params.evaluate
    files = [predictions_of(workspace, name) for name in (a, b)]
    records_file = require_file(workspace.records_file("validation"), "deepmark ingest --split validation")
    records = list(read_records(records_file))
    known = {record.id for record in records}
    found = [_read(file, known) for file in files]
    with progress(f"compare {a} and {b}", PASSES) as advance:
        differences = compare(records, *found, resamples=params.resamples, seed=params.seed, progress=advance)
    if out is not None:
        with new_file(out) as draft:
            comparison_frame(differences).to_csv(draft, index=False, lineterminator="\n")
    return differences


def _read(file: Path, known: set[int]) -> list[Prediction]:
    found = list(read_predictions(file)[0])
    if {prediction.image_id for prediction in found} != known:
        raise DeepmarkError(
            f"{file}: predictions of {len(found)} pictures, and the validation records hold {len(known)}, not all the "
            "same. Two detectors can be compared on the same pictures only: predict again from this workspace's shards."
        )
    return found
