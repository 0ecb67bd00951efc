"""Everything that is suspected of a data set, as one ranked list."""

from collections.abc import Callable, Iterable, Mapping

from deepmark.audit.assignment import pair
from deepmark.audit.box_issues import boxes_without_landmarks
from deepmark.audit.duplicates import fingerprint_split, same_files, shared_pictures
from deepmark.audit.label_issue import Suspicion, ranked
from deepmark.audit.labels import collect
from deepmark.audit.model_disagreements import items_elsewhere, misnamed_and_missing
from deepmark.audit.swapped_landmarks import exchanged_landmarks
from deepmark.data.shards.reader import ShardReader
from deepmark.params import AuditParams
from deepmark.types import Detections, ImageRecord

PREDICTED = "validation"
"""The split that the model has not learnt from: only its labels are held against the model."""


def suspected_labels(
    records: Mapping[str, Iterable[ImageRecord]],
    predictions: Iterable[tuple[int, Detections]],
    params: AuditParams,
) -> list[Suspicion]:
    """Labels that somebody should look at, the most suspect first.

    What is usual is learnt from all splits together. Items of the split "validation" are also held against
    `predictions`, its pictures' (image id, detections).
    """
    labels = collect(records)
    pairing = pair(labels, predictions, split=PREDICTED)
    limits = {"faulty_share": params.faulty_share, "min_score": params.min_score}
    return ranked(
        [
            *exchanged_landmarks(labels, pairing, **limits),
            *boxes_without_landmarks(labels, **limits),
            *items_elsewhere(labels, pairing, **limits),
            *misnamed_and_missing(labels, pairing, split=PREDICTED, min_score=params.min_score),
        ]
    )


def duplicates(
    readers: Mapping[str, ShardReader], params: AuditParams, *, progress: Callable[[int], None] = lambda count: None
) -> list[Suspicion]:
    """Pictures of validation that another split has too, and files that a split has twice.

    `progress` hears how many further pictures were looked at.
    """
    prints = {split: fingerprint_split(reader, progress=progress) for split, reader in readers.items()}
    others = [each for split, each in prints.items() if split != PREDICTED]
    shared = shared_pictures(prints[PREDICTED], others, radius=params.hash_bits, min_score=params.min_score)
    return ranked([*shared, *(one for each in prints.values() for one in same_files(each))])
