"""All label issues of a data set, as one ranked list."""

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass

from deepmark.audit.box_issues import boxes_without_landmarks
from deepmark.audit.duplicates import hash_split, identical_files, shared_images
from deepmark.audit.label_issue import LabelIssue, rank_issues
from deepmark.audit.label_matching import match_labels
from deepmark.audit.labels import collect_labels
from deepmark.audit.model_disagreements import model_disagreements
from deepmark.audit.planted import FAULTS
from deepmark.audit.swapped_landmarks import swapped_landmarks
from deepmark.compute.engine import Engine
from deepmark.data.shards.reader import ShardReader
from deepmark.params import AuditParams
from deepmark.types import Detections, ImageRecord
from deepmark.vocabulary import Vocabulary

MEASURED_SPLIT = "validation"
"""The split of the metric, which must not hold images of another."""


WEAK = 0.75
"""Networks of a smaller power are told to be weak."""


@dataclass(frozen=True, kw_only=True, slots=True)
class FoundIssues:
    """What is suspicious in labels, and how far the networks that looked at them can be trusted."""

    issues: list[LabelIssue]
    """The most likely errors first."""

    power: dict[str, float]
    """By split, how well they tell faults (`Disagreements.power`)."""

    def trust(self) -> str:
        """The powers in words; empty where no model has looked."""
        shares = " and ".join(f"{share:.0%} of pairs in {split}" for split, share in self.power.items())
        weak = self.power and min(self.power.values()) < WEAK
        advice = ". It is weak, and finds few wrong labels: train longer, or on more images" if weak else ""
        return f"the model ranks a planted fault above another label in {shares}{advice}" if shares else ""


def find_label_issues(
    records: Mapping[str, Iterable[ImageRecord]],
    predictions: Mapping[str, Mapping[int, Detections]],
    params: AuditParams,
    *,
    vocabulary: Vocabulary,
) -> FoundIssues:
    """Labels that somebody should look at, the most likely errors first.

    Typical ranges are estimated from all splits together. `predictions` are, by split and image, detections of
    networks that have not learnt the image; labels of images without them are compared with each other alone.
    """
    labels = collect_labels(records, vocabulary)
    matches = match_labels(labels, predictions)
    # The model tells of every kind of fault; where it has looked, the rules are believed in their own kind alone.
    share = params.faulty_share / (len(FAULTS) + 1) if any(predictions.values()) else params.faulty_share
    limits = {"faulty_share": share, "min_score": params.min_score}
    against = {
        split: model_disagreements(labels, split, found, faulty_share=share, min_score=params.min_score)
        for split, found in predictions.items()
        if found and split in labels.splits
    }
    issues = rank_issues(
        [
            *swapped_landmarks(labels, matches, **limits),
            *boxes_without_landmarks(labels, **limits),
            *(issue for each in against.values() for issue in each.issues),
        ]
    )
    return FoundIssues(issues=issues, power={split: each.power for split, each in against.items()})


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
