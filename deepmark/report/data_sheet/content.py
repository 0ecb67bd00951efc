"""The content of the data sheet: the records and shards of a workspace, its last audit, and its version before."""

from collections import Counter
from pathlib import Path

from deepmark.audit.label_issue import LIKELY, read_issues
from deepmark.data.records import maker_of, read_records
from deepmark.data.shards.reader import ShardReader
from deepmark.errors import DeepmarkError
from deepmark.report.data_sheet.changes import Changes, changes_between
from deepmark.report.data_sheet.counts import SAMPLES, count_split
from deepmark.report.data_sheet.page import DataSheet
from deepmark.report.data_sheet.samples import sample_images
from deepmark.schema import SPLITS
from deepmark.tracking.provenance import data_version
from deepmark.vocabulary import check_same
from deepmark.workspace.earlier_records import earlier_records
from deepmark.workspace.inputs import open_shards, remote_shards
from deepmark.workspace.layout import Workspace


def data_sheet(workspace: Workspace) -> DataSheet:
    """What the page of the data shows: the splits that have records; images of those whose shards are here.

    Raises DeepmarkError where there are no records, or where those of two splits are of different vocabularies.
    """
    files = {split: workspace.records_file(split) for split in SPLITS if workspace.records_file(split).is_file()}
    if not files:
        missing = workspace.records_file(SPLITS[0])
        raise DeepmarkError(f"{missing}: no such file. `{maker_of(missing)}` makes it.")
    records = {split: read_records(file) for split, file in files.items()}
    first, *others = files
    for split in others:
        one, other = records[first].vocabulary, records[split].vocabulary
        check_same(one, files[first], other, files[split], "Run `dvc repro` for both splits.")
    counts = {split: count_split(rows, rows.vocabulary) for split, rows in records.items()}
    changes, since = _changes(workspace, files)
    return DataSheet(
        counts=counts,
        samples=sample_images(counts, _readers(workspace, list(files)), SAMPLES),
        suspected=_suspected(workspace),
        changes=changes,
        since=since,
        data_version=data_version(workspace.root),
    )


def _readers(workspace: Workspace, splits: list[str]) -> dict[str, ShardReader]:
    """Those of the splits whose shards are here: on other storage, an image costs the download of its shard."""
    here = [split for split in splits if workspace.shards(split).is_dir() and remote_shards(workspace, split) is None]
    return {split: open_shards(workspace, split) for split in here}


def _suspected(workspace: Workspace) -> dict[str, int] | None:
    """The duplicates that the last audit found, by kind."""
    if not workspace.issues_file.is_file():
        return None
    issues = read_issues(workspace.issues_file)
    kinds = zip(issues.column("kind").to_pylist(), issues.column("score").to_pylist(), strict=True)
    found = Counter(kind for kind, score in kinds if kind.startswith("duplicate") and score >= LIKELY)
    return {kind: found[kind] for kind in ("duplicate across splits", "duplicate in a split")}


def _changes(workspace: Workspace, files: dict[str, Path]) -> tuple[dict[str, Changes], str]:
    """The changes of each split since its version before, and a sentence about that."""
    changes, known, lost = {}, [], []
    for split, file in files.items():
        earlier = earlier_records(workspace, split)
        if earlier is None:
            continue
        where = f"{split} of {earlier.date} (commit {earlier.commit[:7]})"
        if earlier.file is None:
            lost.append(where)
            continue
        before, now = read_records(earlier.file), read_records(file)
        if before.vocabulary != now.vocabulary:
            lost.append(f"{where}, which is of the vocabulary {before.vocabulary.name}")
            continue
        changes[split] = changes_between(before, now, now.vocabulary)
        known.append(where)
    said = [f"Since the version before: {', '.join(known)}."] if known else []
    if lost:
        said.append(f"Not compared with {', '.join(lost)}: DVC's cache lacks it, or its categories are others.")
    return changes, " ".join(said) or "Git and DVC know of no earlier version of these records."
