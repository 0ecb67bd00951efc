"""Images that are in the data more than once."""

from collections.abc import Callable, Iterator, Sequence
from contextlib import closing
from dataclasses import dataclass
from functools import partial
from typing import Any

import numpy as np
import pyarrow as pa

from deepmark.audit.label_issue import LabelIssue
from deepmark.audit.perceptual_hash import THUMBNAIL, correlation, near_pairs, perceptual_hashes
from deepmark.compute.engine import Engine
from deepmark.data.shards.reader import ShardReader
from deepmark.shapes import Int64, UInt8, UInt64

EVEN_ODDS = 0.06
"""1 - correlation of two thumbnails that are as likely of different images as of one. For drawn images it is .01 for
copies in another size and quality, .05 for mirrored copies, and .09 for the most similar pair of different images."""

_PIECE = 2048
"""Images that are hashed as one piece of work: a second of a core."""


@dataclass(frozen=True, kw_only=True, slots=True)
class ImageHashes:
    """The hashes of the images of a split, one row per image: some 80 bytes."""

    split: str
    image_ids: Int64[np.ndarray, " n"]
    files: Any
    """Their names, an Arrow array of strings."""

    sha256: UInt64[np.ndarray, "n 4"]
    """Of their files."""

    bits: UInt64[np.ndarray, "n 2"]
    """Perceptual hashes of the image and of its mirror image."""

    thumbnails: Callable[[Int64[np.ndarray, " k"]], UInt8[np.ndarray, "k 16 16"]]
    """Those of the images at these rows, which are read again: only similar hashes are compared by thumbnails."""


def hash_split(
    reader: ShardReader, engine: Engine, *, progress: Callable[[int], None] = lambda count: None
) -> ImageHashes:
    """Hash all images of a split, in the order of its shards."""
    tables = []
    pieces = [range(start, min(start + _PIECE, len(reader))) for start in range(0, len(reader), _PIECE)]
    with closing(engine.map_in_order(partial(_hashes, reader), pieces)) as hashed:
        for table in hashed:
            tables.append(table)
            progress(len(table))
    table = pa.concat_tables([_SCHEMA.empty_table(), *tables]).combine_chunks()
    digests = np.frombuffer(b"".join(table.column("sha256").to_pylist()), np.uint64)
    return ImageHashes(
        split=reader.split,
        image_ids=table.column("id").to_numpy(),
        files=table.column("file"),
        sha256=digests.reshape(-1, 4),
        bits=np.stack([table.column(name).to_numpy() for name in ("hash", "mirror_hash")], axis=1),
        thumbnails=partial(_thumbnails, reader, engine),
    )


_SCHEMA = pa.schema(
    [
        ("id", pa.int64()),
        ("file", pa.string()),
        ("sha256", pa.binary(32)),
        ("hash", pa.uint64()),
        ("mirror_hash", pa.uint64()),
    ]
)


def _hashes(reader: ShardReader, positions: range) -> pa.Table:
    rows = []
    for position in positions:
        record, jpeg = reader[position]
        (upright, mirror), _ = perceptual_hashes(jpeg)
        rows.append((record.id, record.file, bytes.fromhex(record.sha256), upright, mirror))
    return pa.table([list(column) for column in zip(*rows, strict=True)], schema=_SCHEMA)


def _thumbnails(
    reader: ShardReader, engine: Engine, positions: Int64[np.ndarray, " k"]
) -> UInt8[np.ndarray, "k 16 16"]:
    pieces = [positions[start : start + _PIECE] for start in range(0, len(positions), _PIECE)]
    with closing(engine.map_in_order(partial(_read_thumbnails, reader), pieces)) as made:
        return np.concatenate([np.empty((0, THUMBNAIL, THUMBNAIL), np.uint8), *made])


def _read_thumbnails(reader: ShardReader, positions: Int64[np.ndarray, " k"]) -> UInt8[np.ndarray, "k 16 16"]:
    return np.stack([perceptual_hashes(reader[position][1])[1] for position in positions])


def identical_files(hashes: ImageHashes) -> Iterator[LabelIssue]:
    """Images whose file, byte by byte, came earlier in the split."""
    by_id = np.argsort(hashes.image_ids, kind="stable")
    digests = hashes.sha256[by_id]
    order = np.lexsort(digests.T)  # stable: equal sums stay in the order of the ids
    is_first = np.append(True, (digests[order][1:] != digests[order][:-1]).any(axis=1))[: len(order)]
    starts = np.maximum.accumulate(np.where(is_first, np.arange(len(order)), 0))
    for place in sorted(np.flatnonzero(~is_first).tolist(), key=lambda place: order[place]):
        i, earlier = int(by_id[order[place]]), int(by_id[order[starts[place]]])
        yield _issue(hashes, i, "duplicate in a split", 1.0, hashes, earlier, "the same file, byte by byte")


def shared_images(
    hashes: ImageHashes, others: Sequence[ImageHashes], *, radius: int, min_score: float
) -> Iterator[LabelIssue]:
    """Images of a split that other splits have too: the same file, or one that looks the same or mirrored.

    One issue per image, with the most similar other image. Hashes decide what is compared, thumbnails decide the score.
    A split that is among `others` itself is searched for images that came earlier in it.
    """
    best: dict[int, tuple[float, ImageHashes, int, str]] = {}
    for other in others:
        for mirrored, words in enumerate(("looks the same as", "looks like the mirror image of")):
            pairs = near_pairs(hashes.bits[:, mirrored], other.bits[:, 0], radius=radius)
            if other is hashes:
                earlier = pairs[1] < pairs[0]
                pairs = pairs[0][earlier], pairs[1][earlier]
            thumbnails, theirs = (_by_row(each, rows) for each, rows in zip((hashes, other), pairs, strict=True))
            for i, j in zip(*(each.tolist() for each in pairs), strict=True):
                thumbnail = thumbnails[i]
                difference = 1 - correlation(thumbnail[:, ::-1] if mirrored else thumbnail, theirs[j])
                score = 1 / (1 + (difference / EVEN_ODDS) ** 2)
                is_same = (hashes.sha256[i] == other.sha256[j]).all()
                how, score = ("is the same file as", 1.0) if is_same else (words, score)
                if score >= min_score and (i not in best or score > best[i][0]):
                    reason = f"{how} {other.split}/{other.files[j]} (correlation {1 - difference:.3f})"
                    best[i] = score, other, j, reason
    for i, (score, other, j, reason) in sorted(best.items()):
        yield _issue(hashes, i, "duplicate across splits", score, other, j, reason)


def _by_row(hashes: ImageHashes, rows: Int64[np.ndarray, " p"]) -> dict[int, UInt8[np.ndarray, "16 16"]]:
    """The thumbnails of the images at these rows, each read once."""
    different = np.unique(rows)
    return dict(zip(different.tolist(), hashes.thumbnails(different), strict=True))


def _issue(hashes: ImageHashes, i: int, kind: str, score: float, other: ImageHashes, j: int, reason: str) -> LabelIssue:
    return LabelIssue(
        split=hashes.split,
        image_id=int(hashes.image_ids[i]),
        item=None,
        category=None,
        kind=kind,
        score=score,
        reason=reason,
        other=f"{other.split}/{other.files[j]}",
    )
