"""Turns raw DeepFashion2 files into validated records; inputs that cannot be used are rejected with a reason.

An input is image/NNNNNN.jpg, annos/NNNNNN.json, or both under one number. A file with any other name is an input of its
own, unless the name begins with a dot. Every input becomes a record or is rejected as a whole: an image without its one
bad item would teach the network that the item is background.
"""

import os
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from contextlib import closing
from dataclasses import asdict, dataclass, field
from functools import partial
from pathlib import Path
from typing import Any

import pyarrow as pa

from deepmark.compute.engine import Engine
from deepmark.compute.local import Local
from deepmark.data.corrections import Correction
from deepmark.data.ingest.raw_version import WHENCE
from deepmark.data.ingest.statistics import SplitStatistics
from deepmark.data.ingest.validate import Input, RejectedInput, validate_input
from deepmark.data.parquet import read_table, write_table
from deepmark.data.records import pack_batch, records_to_batch, unpack_batch, write_batches
from deepmark.digests import read_json_with_digest, write_json_with_digest
from deepmark.errors import DeepmarkError
from deepmark.files import require_space
from deepmark.params import IngestParams
from deepmark.vocabulary import Vocabulary, check_same, stored_vocabulary, vocabulary_from_json

VOCABULARY_FILE = "vocabulary.json"
"""Beside image/ and annos/ of a split whose labels are of another vocabulary than DeepFashion2's."""

CHUNK = 256
"""Inputs per task of a worker; a task takes about half a second, and costs the process that gives it a millisecond."""

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

    corrections: dict[str, int] = field(default_factory=dict)
    """Corrections of labels by what they did, `nothing` for those that only say what somebody thought."""

    def __post_init__(self) -> None:
        assert self.files == self.records + self.rejected == self.records + sum(self.kinds.values())

    def __str__(self) -> str:
        balance = f"{self.split}: {self.files} inputs = {self.records} records + {self.rejected} set aside"
        if self.first is None:
            return balance
        kinds = ", ".join(f"{count} {kind.replace('_', ' ')}" for kind, count in self.kinds.items())
        return f"{balance} ({kinds}), the first of them {self.first}"


@dataclass(kw_only=True, slots=True)
class _Tally:
    """Statistics, rejected inputs and notes of some inputs."""

    statistics: SplitStatistics
    rejected: list[RejectedInput] = field(default_factory=list)
    notes: Counter[str] = field(default_factory=Counter)

    def merge(self, other: "_Tally") -> None:
        self.statistics.merge(other.statistics)
        self.rejected.extend(other.rejected)
        self.notes.update(other.notes)

    def result(self, split: str, files: int, corrections: Sequence[Correction]) -> IngestResult:
        return IngestResult(
            split=split,
            files=files,
            records=self.statistics.records,
            rejected=len(self.rejected),
            kinds=dict(sorted(Counter(rejected.kind for rejected in self.rejected).items())),
            notes={name: self.notes[name] for name in NOTES},
            first=next(iter(self.rejected), None),
            corrections=dict(sorted(Counter(each.action.value for each in corrections).items())),
        )


def _ingest_chunk(
    inputs: Sequence[Input], *, folder: Path, max_megapixels: float, vocabulary: Vocabulary
) -> tuple[bytes, _Tally]:
    """The records of some inputs as packed rows of the file, and their tally: all that this process must not do."""
    records, tally = [], _Tally(statistics=SplitStatistics(vocabulary))
    for given in inputs:
        validated = validate_input(given, folder, max_megapixels=max_megapixels, vocabulary=vocabulary)
        if isinstance(validated, RejectedInput):
            tally.rejected.append(validated)
        else:
            record, notes = validated
            records.append(record)
            tally.statistics.add(record)
            tally.notes.update(notes)
    return pack_batch(records_to_batch(records)), tally


def list_inputs(folder: Path) -> list[Input]:
    """The inputs in a split's folder, sorted by name.

    Raises DeepmarkError where image/ or annos/ is missing, or both are empty.
    """
    images, annotations = _files(folder, "image", ".jpg"), _files(folder, "annos", ".json")
    if not images and not annotations:
        raise DeepmarkError(f"{folder}: image and annos are empty. {WHENCE}")
    names = sorted(images.keys() | annotations.keys())
    return [Input(name, images.get(name), annotations.get(name)) for name in names]


def _files(folder: Path, kind: str, suffix: str) -> dict[str, str]:
    """The paths of the files of a kind below the split's folder, by the name of their input."""
    if not (folder / kind).is_dir():
        raise DeepmarkError(
            f"{folder / kind}: no such folder. {WHENCE} `deepmark synth` draws a data set of the same format."
        )
    files = {}
    for name in os.listdir(folder / kind):  # noqa: PTH208 - a path for each would take five times as long
        stem = name.removesuffix(suffix)
        if name.endswith(suffix) and stem.isdecimal():
            files[stem] = f"{kind}/{name}"
        elif not name.startswith("."):
            files[f"{kind}/{name}"] = f"{kind}/{name}"
    return files


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
    vocabulary: Vocabulary,
    inputs: Sequence[Input] | None = None,
    corrections: Sequence[Correction] = (),
    engine: Engine | None = None,
    progress: Callable[[int], None] = lambda count: None,
) -> IngestResult:
    """Validate every input of `raw`/`split`; write records, rejected inputs and statistics into `out`.

    `inputs` are what `list_inputs` found there, where that is known; of `corrections` those of the split are applied to
    their labels. The files are the same by any engine (None: one
    process per core). `progress` is called with the number of further inputs that are done. Memory stays under 2 GB
    for the whole of DeepFashion2.

    Raises DeepmarkError where folders are missing or empty, where their labels are of another vocabulary, where a label
    has changed since it was corrected, and where more than `params.max_rejected_share` of the inputs were rejected. In
    the latter case the list of rejected inputs is written, but records and statistics stay as they were.
    """
    inputs = list_inputs(raw / split) if inputs is None else inputs
    corrections = [each for each in corrections if each.split == split]
    inputs = _with_corrections(inputs, corrections, raw / split)
    require_space(out, len(inputs) * _BYTES)
    chunks = [inputs[start : start + CHUNK] for start in range(0, len(inputs), CHUNK)]
    check_raw_vocabulary(raw / split / VOCABULARY_FILE, vocabulary)
    convert = partial(_ingest_chunk, folder=raw / split, max_megapixels=params.max_megapixels, vocabulary=vocabulary)
    tally = _Tally(statistics=SplitStatistics(vocabulary))
    rejected_file = out / f"{split}.rejected.parquet"

    def batches() -> Iterator[pa.RecordBatch]:
        for chunk, (packed, of_chunk) in zip(chunks, converted, strict=True):
            tally.merge(of_chunk)
            yield unpack_batch(packed)
            progress(len(chunk))
        # Still inside write_batches: an error raised here leaves the old file of records in place.
        _write_rejected(rejected_file, tally.rejected)
        _refuse_too_many(tally.result(split, len(inputs), corrections), params.max_rejected_share, rejected_file)

    with closing((engine or Local()).map_in_order(convert, chunks)) as converted:
        write_batches(out / f"{split}.parquet", batches(), vocabulary)
    result = tally.result(split, len(inputs), corrections)
    write_json_with_digest(out / f"{split}.statistics.json", _statistics(result, tally.statistics))
    return result


def _with_corrections(inputs: Sequence[Input], corrections: Sequence[Correction], folder: Path) -> Sequence[Input]:
    if not corrections:
        return inputs
    by_image: dict[int, list[Correction]] = {}
    for each in corrections:
        by_image.setdefault(each.image_id, []).append(each)
    given = [
        one._replace(corrections=tuple(by_image.pop(int(one.name), ()))) if one.name.isdecimal() else one
        for one in inputs
    ]
    if by_image:
        raise DeepmarkError(
            f"{folder}: image {next(iter(by_image))} is not there any more, and somebody corrected its labels "
            f"({len(by_image)} such images). Put it back, or take these rows out (`deepmark label drop`)."
        )
    return given


def write_raw_vocabulary(folder: Path, vocabulary: Vocabulary) -> None:
    """Say beside image/ and annos/ of a split of which vocabulary its labels are, unless it is DeepFashion2's."""
    if stored := stored_vocabulary(vocabulary):
        (folder / VOCABULARY_FILE).write_text(stored + "\n", "utf-8")


def check_raw_vocabulary(file: Path, vocabulary: Vocabulary) -> None:
    """Raise DeepmarkError where this file of a split says that its labels are of another vocabulary."""
    if file.is_file():
        remedy = (
            "Give the workspace the vocabulary.yaml that these labels were made with (`deepmark init --vocabulary`), "
            "or make them again."
        )
        check_same(vocabulary, "the workspace", vocabulary_from_json(file.read_bytes(), file), file.parent, remedy)


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
        **({"corrections": result.corrections} if result.corrections else {}),
        **statistics.as_dict(result.split),
    }
