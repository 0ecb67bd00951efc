"""Raw DeepFashion2 files in, checked records out; what cannot be used is set aside with its reason.

An input is a name: NNNNNN of image/NNNNNN.jpg, of annos/NNNNNN.json, or of both. A file that is called anything else is
an input of its own, unless its name begins with a dot. Every input becomes a record or a reject, as a whole: a picture
with one bad item would teach that the item is background.
"""

from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import closing
from dataclasses import asdict, dataclass
from functools import partial
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq

from deepmark.data.ingest.statistics import Tally
from deepmark.data.ingest.validate import Checked, Input, Reject, check_inputs
from deepmark.data.parallel import map_in_order, worker_count
from deepmark.data.records import write_records
from deepmark.errors import DeepmarkError
from deepmark.files import new_file, write_json
from deepmark.params import IngestParams
from deepmark.types import ImageRecord

CHUNK = 64
"""Inputs a worker checks at a time, about a quarter of a second."""

REJECTS = pa.schema([(name, pa.string()) for name in Reject.__dataclass_fields__], metadata={"deepmark": "rejects"})


@dataclass(frozen=True, kw_only=True, slots=True)
class IngestResult:
    """What became of the inputs of a split."""

    split: str
    files: int
    """Inputs: records + rejected."""

    records: int
    rejected: int
    kinds: dict[str, int]
    """Rejects by kind."""

    notes: dict[str, int]
    """What was unusual and kept: boxes_clipped, landmarks_outside, unlabelled_landmarks_zeroed."""

    def __post_init__(self) -> None:
        assert self.files == self.records + self.rejected == self.records + sum(self.kinds.values())

    def __str__(self) -> str:
        kinds = ", ".join(f"{count} {kind.replace('_', ' ')}" for kind, count in self.kinds.items())
        balance = f"{self.split}: {self.files} inputs = {self.records} records + {self.rejected} set aside"
        return f"{balance} ({kinds})" if kinds else balance


class _Ledger:
    """What has been seen so far."""

    def __init__(self) -> None:
        self.tally = Tally()
        self.rejects: list[Reject] = []
        self.notes: Counter[str] = Counter()

    def enter(self, checked: Checked) -> None:
        for record in checked.records:
            self.tally.add(record)
        self.rejects.extend(checked.rejects)
        self.notes.update(checked.notes)

    def result(self, split: str, files: int) -> IngestResult:
        names = ("boxes_clipped", "landmarks_outside", "unlabelled_landmarks_zeroed")
        return IngestResult(
            split=split,
            files=files,
            records=self.tally.records,
            rejected=len(self.rejects),
            kinds=dict(sorted(Counter(reject.kind for reject in self.rejects).items())),
            notes={name: self.notes[name] for name in names},
        )


def _names(folder: Path) -> list[str]:
    return [path.name for path in folder.iterdir() if not path.name.startswith(".")]


def list_inputs(folder: Path) -> list[Input]:
    """The inputs of a split's folder, by name.

    Raises DeepmarkError where image/ or annos/ is missing or there is nothing in them.
    """
    found: dict[str, dict[str, str]] = {}
    for kind, field, suffix in (("image", "picture", ".jpg"), ("annos", "annotation", ".json")):
        if not (folder / kind).is_dir():
            raise DeepmarkError(
                f"{folder / kind}: no such folder. docs/data.md says how to get DeepFashion2; "
                "`deepmark synth` draws a data set of the same format."
            )
        for name in _names(folder / kind):
            stem = name.removesuffix(suffix)
            key = stem if name.endswith(suffix) and stem.isdecimal() else f"{kind}/{name}"
            found.setdefault(key, {})[field] = f"{kind}/{name}"
    if not found:
        raise DeepmarkError(f"{folder}: image and annos are empty. docs/data.md says how to get DeepFashion2.")
    return [
        Input(name=name, picture=files.get("picture"), annotation=files.get("annotation"))
        for name, files in sorted(found.items())
    ]


def _write_rejects(path: Path, rejects: list[Reject]) -> None:
    with new_file(path) as draft:
        pq.write_table(pa.Table.from_pylist([asdict(reject) for reject in rejects], REJECTS), draft)


def ingest_split(
    raw: Path,
    *,
    split: str,
    out: Path,
    params: IngestParams,
    workers: int | None = None,
    progress: Callable[[int], None] = lambda count: None,
) -> IngestResult:
    """Check every input of `raw`/`split`; write records, rejects and statistics into `out`.

    The files are the same for any number of workers (None: one a core). `progress` hears how many further inputs are
    done. Memory stays under 2 GB for the whole of DeepFashion2.

    Raises DeepmarkError where folders are missing or empty, and where more than `params.max_rejected_share` of the
    inputs were set aside: then the rejects are written, and records and statistics stay as they were.
    """
    inputs = list_inputs(raw / split)
    chunks = [inputs[start : start + CHUNK] for start in range(0, len(inputs), CHUNK)]
    check = partial(check_inputs, folder=raw / split, max_megapixels=params.max_megapixels)
    ledger = _Ledger()
    rejects_file = out / f"{split}.rejected.parquet"

    def records() -> Iterator[ImageRecord]:
        for chunk, checked in zip(chunks, results, strict=True):
            ledger.enter(checked)
            yield from checked.records
            progress(len(chunk))
        # Before the file of records takes its place: raising here leaves the old one.
        _write_rejects(rejects_file, ledger.rejects)
        _refuse_too_many(ledger.result(split, len(inputs)), params.max_rejected_share, rejects_file)

    with closing(map_in_order(check, chunks, workers=worker_count(workers, len(chunks)))) as results:
        write_records(out / f"{split}.parquet", records())
    result = ledger.result(split, len(inputs))
    write_json(out / f"{split}.statistics.json", _statistics(result, ledger.tally))
    return result


def _refuse_too_many(result: IngestResult, most: float, rejects_file: Path) -> None:
    if result.rejected > most * result.files:
        raise DeepmarkError(
            f"{result}. That is more than ingest.max_rejected_share = {most:g} of them; see {rejects_file} for the "
            "reasons, mend the files or raise the share in params.yaml."
        )


def _statistics(result: IngestResult, tally: Tally) -> dict:
    return {
        "split": result.split,
        "inputs": result.files,
        "records": result.records,
        "rejected": result.rejected,
        "rejected_by_kind": result.kinds,
        **result.notes,
        **tally.as_dict(result.split),
    }
