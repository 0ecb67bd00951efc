"""All label issues of a data set, as one ranked list."""

from collections.abc import Callable, Iterable, Mapping

from deepmark.audit.box_issues import boxes_without_landmarks
from deepmark.audit.duplicates import hash_split, identical_files, shared_images
from deepmark.audit.label_issue import LabelIssue, rank_issues
from deepmark.audit.label_matching import match_labels
from deepmark.audit.labels import collect_labels
from deepmark.audit.model_disagreements import misplaced_items, wrong_categories_and_missing_labels
from deepmark.audit.swapped_landmarks import swapped_landmarks
from deepmark.compute.engine import Engine
from deepmark.data.shards.reader import ShardReader
from deepmark.params import AuditParams
from deepmark.types import Detections, ImageRecord
from deepmark.vocabulary import Vocabulary

MEASURED_SPLIT = "validation"
"""The split of the metric, which must not hold images of another."""


def find_label_issues(
    records: Mapping[str, Iterable[ImageRecord]],
    predictions: Mapping[str, Mapping[int, Detections]],
    params: AuditParams,
    *,
    vocabulary: Vocabulary,
) -> list[LabelIssue]:
    """Labels that somebody should look at, the most likely errors first.

    Typical ranges are estimated from all splits together. `predictions` are, by split and image, detections of
    networks that have not learnt the image; labels of images without them are compared with each other alone.
    """
    labels = collect_labels(records, vocabulary)
    matches = match_labels(labels, predictions)
    limits = {"faulty_share": params.faulty_share, "min_score": params.min_score}
    return rank_issues(
        [
            *swapped_landmarks(labels, matches, **limits),
            *boxes_without_landmarks(labels, **limits),
            *misplaced_items(labels, matches, **limits),
            *wrong_categories_and_missing_labels(labels, matches, min_score=params.min_score),
        ]
    )


def find_duplicates(
    readers: Mapping[str, ShardReader],
    params: AuditParams,
    engine: Engine,
    *,
    progress: Callable[[int], None] = lambda count: None,
) -> list[LabelIssue]:
    """Validation images that are in another split too, and files that are in a split twice.

    `progress` is called with the number of further images that were hashed.
    """
    hashes = {split: hash_split(reader, engine, progress=progress) for split, reader in readers.items()}
    others = [each for split, each in hashes.items() if split != MEASURED_SPLIT]
    shared = shared_images(hashes[MEASURED_SPLIT], others, radius=params.hash_bits, min_score=params.min_score)
    return rank_issues([*shared, *(one for each in hashes.values() for one in identical_files(each))])
