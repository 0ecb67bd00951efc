"""Turns raw DeepFashion2 files into validated records; inputs that cannot be used are rejected with a reason.

An input is image/NNNNNN.jpg, annos/NNNNNN.json, or both under one number. A file with any other name is an input of its
own, unless the name begins with a dot. Every input becomes a record or is rejected as a whole: an image without its one
bad item would teach the network that the item is background.
"""

from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import closing
from dataclasses import asdict, dataclass
from functools import partial
from pathlib import Path
from typing import Any

import pyarrow as pa

from deepmark.compute.engine import Engine
from deepmark.compute.local import Local
from deepmark.data.ingest.statistics import SplitStatistics
from deepmark.data.ingest.validate import Input, RejectedInput, ValidatedInputs, validate_inputs
from deepmark.data.parquet import read_table, write_table
from deepmark.data.records import write_records
from deepmark.digests import read_json_with_digest, write_json_with_digest
from deepmark.errors import DeepmarkError
from deepmark.files import require_space
from deepmark.params import IngestParams
from deepmark.types import ImageRecord

CHUNK = 64
"""Inputs per task of a worker; a task takes about a quarter of a second."""

NOTES = ("boxes_clipped", "landmarks_outside", "unlabelled_landmarks_zeroed", "orientation_ignored")
"""Unusual things that are accepted and counted; the last one counts images that EXIF data would turn."""

_BYTES = 400
"""A low estimate of what the record of an input takes on disk."""

REJECTED_SCHEMA = pa.schema(
    [(name, pa.string()) for name in RejectedInput.__dataclass_fields__], metadata={"deepmark": "rejects"}
)


@dataclass(frozen=True, kw_only=True, slots=True)
class IngestResult:
    """How many inputs of a split became records, and how many were rejected."""

    split: str
    files: int
    """Number of inputs: records + rejected."""

    records: int
    rejected: int
    kinds: dict[str, int]
    """Rejected inputs by kind."""

    notes: dict[str, int]
    """Unusual things that were accepted, by their names in NOTES."""

    first: RejectedInput | None
    """The first rejected input."""

    def __post_init__(self) -> None:
        assert self.files == self.records + self.rejected == self.records + sum(self.kinds.values())

    def __str__(self) -> str:
        balance = f"{self.split}: {self.files} inputs = {self.records} records + {self.rejected} set aside"
        if self.first is None:
            return balance
        kinds = ", ".join(f"{count} {kind.replace('_', ' ')}" for kind, count in self.kinds.items())
        return f"{balance} ({kinds}), the first of them {self.first}"


class _IngestAccumulator:
    """Collects statistics, rejected inputs and notes."""

    def __init__(self) -> None:
        self.statistics = SplitStatistics()
        self.rejected: list[RejectedInput] = []
        self.notes: Counter[str] = Counter()

    def add(self, validated: ValidatedInputs) -> None:
        for record in validated.records:
            self.statistics.add(record)
        self.rejected.extend(validated.rejected)
        self.notes.update(validated.notes)

    def result(self, split: str, files: int) -> IngestResult:
        return IngestResult(
            split=split,
            files=files,
            records=self.statistics.records,
            rejected=len(self.rejected),
            kinds=dict(sorted(Counter(rejected.kind for rejected in self.rejected).items())),
            notes={name: self.notes[name] for name in NOTES},
            first=next(iter(self.rejected), None),
        )


def _names(folder: Path) -> list[str]:
    return [path.name for path in folder.iterdir() if not path.name.startswith(".")]


def list_inputs(folder: Path) -> list[Input]:
    """The inputs in a split's folder, sorted by name.

    Raises DeepmarkError where image/ or annos/ is missing, or both are empty.
    """
    inputs: dict[str, dict[str, str]] = {}
    for kind, field, suffix in (("image", "image", ".jpg"), ("annos", "annotation", ".json")):
        if not (folder / kind).is_dir():
            raise DeepmarkError(
                f"{folder / kind}: no such folder. docs/data.md says how to get DeepFashion2; "
                "`deepmark synth` draws a data set of the same format."
            )
        for name in _names(folder / kind):
            stem = name.removesuffix(suffix)
            key = stem if name.endswith(suffix) and stem.isdecimal() else f"{kind}/{name}"
            inputs.setdefault(key, {})[field] = f"{kind}/{name}"
    if not inputs:
        raise DeepmarkError(f"{folder}: image and annos are empty. docs/data.md says how to get DeepFashion2.")
    return [
        Input(name=name, image=files.get("image"), annotation=files.get("annotation"))
        for name, files in sorted(inputs.items())
    ]


def _write_rejected(path: Path, rejected: list[RejectedInput]) -> None:
    write_table(path, pa.Table.from_pylist([asdict(each) for each in rejected], REJECTED_SCHEMA))


def read_rejected(path: Path) -> list[RejectedInput]:
    """The rejected inputs of a split; raises DeepmarkError where the file is missing or damaged."""
    return [RejectedInput(**row) for row in read_table(path, _maker(path.name.partition(".")[0])).to_pylist()]


def read_statistics(path: Path) -> dict[str, Any]:
    """The statistics of a split; raises DeepmarkError where the file is missing or damaged."""
    return read_json_with_digest(path, _maker(path.name.partition(".")[0]))


def _maker(split: str) -> str:
    return f"deepmark ingest --split {split}"


def ingest_split(
    raw: Path,
    *,
    split: str,
    out: Path,
    params: IngestParams,
    engine: Engine | None = None,
    progress: Callable[[int], None] = lambda count: None,
) -> IngestResult:
    """Validate every input of `raw`/`split`; write records, rejected inputs and statistics into `out`.

    The files are the same by any engine (None: one process per core). `progress` is called with the number of
    further inputs that are done. Memory stays under 2 GB for the whole of DeepFashion2.

    Raises DeepmarkError where folders are missing or empty, and where more than `params.max_rejected_share` of the
    inputs were rejected. In the latter case the list of rejected inputs is written, but records and statistics stay as
    they were.
    """
    inputs = list_inputs(raw / split)
    require_space(out, len(inputs) * _BYTES)
    chunks = [inputs[start : start + CHUNK] for start in range(0, len(inputs), CHUNK)]
    validate = partial(validate_inputs, folder=raw / split, max_megapixels=params.max_megapixels)
    accumulator = _IngestAccumulator()
    rejected_file = out / f"{split}.rejected.parquet"

    def records() -> Iterator[ImageRecord]:
        for chunk, validated in zip(chunks, results, strict=True):
            accumulator.add(validated)
            yield from validated.records
            progress(len(chunk))
        # Still inside write_records: an error raised here leaves the old file of records in place.
        _write_rejected(rejected_file, accumulator.rejected)
        _refuse_too_many(accumulator.result(split, len(inputs)), params.max_rejected_share, rejected_file)

    with closing((engine or Local()).map_in_order(validate, chunks)) as results:
        write_records(out / f"{split}.parquet", records())
    result = accumulator.result(split, len(inputs))
    write_json_with_digest(out / f"{split}.statistics.json", _statistics(result, accumulator.statistics))
    return result


def _refuse_too_many(result: IngestResult, max_share: float, rejected_file: Path) -> None:
    if result.rejected > max_share * result.files:
        raise DeepmarkError(
            f"{result}. That is more than ingest.max_rejected_share = {max_share:g} of them; see {rejected_file} for "
            "the reasons, correct the files or raise the share in params.yaml."
        )


def _statistics(result: IngestResult, statistics: SplitStatistics) -> dict:
    return {
        "split": result.split,
        "inputs": result.files,
        "records": result.records,
        "rejected": result.rejected,
        "rejected_by_kind": result.kinds,
        **result.notes,
        **statistics.as_dict(result.split),
    }
