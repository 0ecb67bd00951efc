"""Images that are in the data more than once."""

import os
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass

import numpy as np

from deepmark.audit.label_issue import LabelIssue
from deepmark.audit.perceptual_hash import correlation, near_pairs, perceptual_hashes
from deepmark.data.shards.reader import ShardReader
from deepmark.shapes import UInt8, UInt64

EVEN_ODDS = 0.06
"""1 - correlation of two thumbnails that are as likely of different images as of one. For drawn images it is .01 for
copies in another size and quality, .05 for mirrored copies, and .09 for the most similar pair of different images."""

_CHUNK = 64


@dataclass(frozen=True, kw_only=True, slots=True)
class ImageHashes:
    """The hashes of the images of a split, one row per image."""

    split: str
    image_ids: list[int]
    files: list[str]
    sha256: list[str]
    bits: UInt64[np.ndarray, "n 2"]
    """Perceptual hashes of the image and of its mirror image."""

    thumbnails: UInt8[np.ndarray, "n 16 16"]


def hash_split(reader: ShardReader, *, progress: Callable[[int], None] = lambda count: None) -> ImageHashes:
    """Hash all images of a split, in the order of its shards."""

    def hashes(start: int) -> list[tuple[int, str, str, np.ndarray, np.ndarray]]:
        made = []
        for position in range(start, min(start + _CHUNK, len(reader))):
            record, jpeg = reader[position]
            made.append((record.id, record.file, record.sha256, *perceptual_hashes(jpeg)))
        return made

    rows = []
    with ThreadPoolExecutor(os.cpu_count()) as pool:
        for part in pool.map(hashes, range(0, len(reader), _CHUNK)):
            rows += part
            progress(len(part))
    return ImageHashes(
        split=reader.split,
        image_ids=[row[0] for row in rows],
        files=[row[1] for row in rows],
        sha256=[row[2] for row in rows],
        bits=np.array([row[3] for row in rows], np.uint64).reshape(-1, 2),
        thumbnails=np.array([row[4] for row in rows], np.uint8).reshape(-1, 16, 16),
    )


def identical_files(hashes: ImageHashes) -> Iterator[LabelIssue]:
    """Images whose file, byte by byte, came earlier in the split."""
    first: dict[str, int] = {}
    for i in np.argsort(hashes.image_ids, kind="stable").tolist():
        earlier = first.setdefault(hashes.sha256[i], i)
        if earlier != i:
            yield _issue(hashes, i, "duplicate in a split", 1.0, hashes, earlier, "the same file, byte by byte")


def shared_images(
    validation: ImageHashes, others: Sequence[ImageHashes], *, radius: int, min_score: float
) -> Iterator[LabelIssue]:
    """Images of validation that other splits have too: the same file, or one that looks the same or mirrored.

    One issue per image, with the most similar other image. Hashes decide what is compared, thumbnails decide the score.
    """
    best: dict[int, tuple[float, ImageHashes, int, str]] = {}
    for other in others:
        for mirrored, words in enumerate(("looks the same as", "looks like the mirror image of")):
            pairs = near_pairs(validation.bits[:, mirrored], other.bits[:, 0], radius=radius)
            for i, j in zip(*(each.tolist() for each in pairs), strict=True):
                thumbnail = validation.thumbnails[i]
                difference = 1 - correlation(thumbnail[:, ::-1] if mirrored else thumbnail, other.thumbnails[j])
                score = 1 / (1 + (difference / EVEN_ODDS) ** 2)
                is_same = validation.sha256[i] == other.sha256[j]
                how, score = ("is the same file as", 1.0) if is_same else (words, score)
                if score >= min_score and (i not in best or score > best[i][0]):
                    reason = f"{how} {other.split}/{other.files[j]} (correlation {1 - difference:.3f})"
                    best[i] = score, other, j, reason
    for i, (score, other, j, reason) in sorted(best.items()):
        yield _issue(validation, i, "duplicate across splits", score, other, j, reason)


def _issue(hashes: ImageHashes, i: int, kind: str, score: float, other: ImageHashes, j: int, reason: str) -> LabelIssue:
    return LabelIssue(
        split=hashes.split,
        image_id=hashes.image_ids[i],
        item=None,
        category=None,
        kind=kind,
        score=score,
        reason=reason,
        other=f"{other.split}/{other.files[j]}",
    )
