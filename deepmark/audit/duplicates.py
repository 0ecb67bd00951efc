"""Pictures that are in the data more than once."""

import os
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass

import numpy as np
from jaxtyping import UInt8, UInt64

from deepmark.audit.label_issue import Suspicion
from deepmark.audit.perceptual_hash import fingerprints, likeness, near_pairs
from deepmark.data.shards.reader import ShardReader

UNLIKE = 0.06
"""What the correlation of two thumbnails lacks to 1 where they are as likely two pictures as one. Of drawn pictures,
copies in another size and quality lack .01, mirrored ones .05, the nearest pair of different ones .09."""

_CHUNK = 64


@dataclass(frozen=True, kw_only=True, slots=True)
class Prints:
    """What is known of the pictures of a split, a row a picture."""

    split: str
    image_ids: list[int]
    files: list[str]
    sha256: list[str]
    bits: UInt64[np.ndarray, "n 2"]
    """Fingerprints, of the picture and of its mirror image."""

    thumbnails: UInt8[np.ndarray, "n 16 16"]


def fingerprint_split(reader: ShardReader, *, progress: Callable[[int], None] = lambda count: None) -> Prints:
    """The fingerprints of all pictures of a split, in the order of its shards."""

    def prints(start: int) -> list[tuple[int, str, str, np.ndarray, np.ndarray]]:
        made = []
        for position in range(start, min(start + _CHUNK, len(reader))):
            record, jpeg = reader[position]
            made.append((record.id, record.file, record.sha256, *fingerprints(jpeg)))
        return made

    rows = []
    with ThreadPoolExecutor(os.cpu_count()) as pool:
        for part in pool.map(prints, range(0, len(reader), _CHUNK)):
            rows += part
            progress(len(part))
    return Prints(
        split=reader.split,
        image_ids=[row[0] for row in rows],
        files=[row[1] for row in rows],
        sha256=[row[2] for row in rows],
        bits=np.array([row[3] for row in rows], np.uint64).reshape(-1, 2),
        thumbnails=np.array([row[4] for row in rows], np.uint8).reshape(-1, 16, 16),
    )


def same_files(prints: Prints) -> Iterator[Suspicion]:
    """Pictures whose file, byte by byte, came earlier in the split."""
    first: dict[str, int] = {}
    for i in np.argsort(prints.image_ids, kind="stable").tolist():
        earlier = first.setdefault(prints.sha256[i], i)
        if earlier != i:
            yield _suspicion(prints, i, "duplicate in a split", 1.0, prints, earlier, "the same file, byte by byte")


def shared_pictures(
    validation: Prints, others: Sequence[Prints], *, radius: int, min_score: float
) -> Iterator[Suspicion]:
    """Pictures of validation that other splits have too: the same file, or one that looks the same or mirrored.

    One entry a picture, with the likest other. The fingerprints decide who is compared, their thumbnails what is said.
    """
    best: dict[int, tuple[float, Prints, int, str]] = {}
    for other in others:
        for side, words in enumerate(("looks the same as", "looks like the mirror image of")):
            pairs = near_pairs(validation.bits[:, side], other.bits[:, 0], radius=radius)
            for i, j in zip(*(each.tolist() for each in pairs), strict=True):
                mine = validation.thumbnails[i]
                unlike = 1 - likeness(mine[:, ::-1] if side else mine, other.thumbnails[j])
                found = 1 / (1 + (unlike / UNLIKE) ** 2)
                is_same = validation.sha256[i] == other.sha256[j]
                how, found = ("is the same file as", 1.0) if is_same else (words, found)
                if found >= min_score and (i not in best or found > best[i][0]):
                    best[i] = found, other, j, f"{how} {other.split}/{other.files[j]} (correlation {1 - unlike:.3f})"
    for i, (found, other, j, reason) in sorted(best.items()):
        yield _suspicion(validation, i, "duplicate across splits", found, other, j, reason)


def _suspicion(prints: Prints, i: int, kind: str, score: float, other: Prints, j: int, reason: str) -> Suspicion:
    return Suspicion(
        split=prints.split,
        image_id=prints.image_ids[i],
        item=None,
        category=None,
        kind=kind,
        score=score,
        reason=reason,
        other=f"{other.split}/{other.files[j]}",
    )
