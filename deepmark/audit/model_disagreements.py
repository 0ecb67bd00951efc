"""Labels that a model contradicts, each with its probability of being wrong, learnt from faults planted into labels."""

from collections.abc import Iterator, Mapping

import numpy as np

from deepmark.audit.evidence import Sightings, collect_sightings, features_of, norms_of, overlaps, pair_up
from deepmark.audit.label_issue import LabelIssue
from deepmark.audit.label_matching import with_min_score
from deepmark.audit.labels import Labels
from deepmark.audit.odds import fit_odds
from deepmark.audit.planted import plant, take
from deepmark.audit.unlabelled import find_unlabelled
from deepmark.shapes import Float
from deepmark.types import Detections

_MOST = 4000
"""Labels of a split into which faults of a kind are planted, and that they are told from: a few seconds' work."""

_ROUNDS = 3
"""Times that right labels are told from faults, the second time with the probabilities of the first."""

_KIND = {"moved box": "elsewhere", "scaled box": "elsewhere"}
"""The kind of issue that a planted fault is, where it has another name."""


def model_disagreements(
    labels: Labels, predictions: Mapping[str, Mapping[int, Detections]], *, faulty_share: float, min_score: float
) -> Iterator[LabelIssue]:
    """Labels that detections of networks that have not learnt them speak against, split by split.

    Of every kind of fault, `faulty_share` of the labels are believed to have one.
    """
    for split, found in predictions.items():
        own = take(labels, np.flatnonzero(np.array(labels.splits) == split))
        if len(own):
            strong = {image: with_min_score(each) for image, each in found.items()}
            yield from _of_split(own, split, collect_sightings(strong), faulty_share, min_score)


def _of_split(labels: Labels, split: str, sightings: Sightings, share: float, min_score: float) -> Iterator[LabelIssue]:
    norms = norms_of(labels, sightings)
    features = features_of(labels, sightings, norms)
    planted = {
        kind: features_of(faulty, sightings, norms) for kind, faulty in plant(labels, most=_MOST, seed=2).items()
    }
    kinds, table = list(planted), _chances(list(planted.values()), features, share)
    total = table.sum(axis=0)
    reasons = _Reasons(labels, sightings)
    for row in np.flatnonzero(total >= min_score).tolist():
        kind = kinds[int(table[:, row].argmax())]
        yield reasons.issue(row, _KIND.get(kind, kind), float(total[row]))
    unlabelled = find_unlabelled(labels, sightings, norms, missing_share=share)
    for image, sighting, chance in unlabelled.likely(min_score):
        yield _missing(labels, split, image, sightings, sighting, chance)


def _chances(
    planted: list[Float[np.ndarray, "_ f"]], features: Float[np.ndarray, "n f"], share: float
) -> Float[np.ndarray, "k n"]:
    """The probability of each kind of fault for each label, where each is this frequent.

    Labels as they are hold faults, too: those that look faulty count less when it is learnt what right ones look like.
    """
    sample = np.random.default_rng(1).permutation(len(features))[:_MOST]
    right, chances = np.ones(len(features)), np.zeros((len(planted), len(features)))
    for _ in range(_ROUNDS):
        odds = np.array([fit_odds(each, features[sample], right[sample]).ratio(features) for each in planted]) * share
        chances = odds / (1 - share * len(planted) + odds.sum(axis=0))
        right = 1 - chances.sum(axis=0)
    return chances


def _missing(labels: Labels, split: str, image: int, sightings: Sightings, sighting: int, chance: float) -> LabelIssue:
    name = labels.vocabulary.categories[sightings.categories[sighting]].name
    return LabelIssue(
        split=split,
        image_id=image,
        item=None,
        category=None,
        kind="missing label",
        score=chance,
        reason=f"the model sees a {name} (score {sightings.scores[sighting]:.2f}) where nothing is labelled",
        box=sightings.boxes[sighting],
    )


class _Reasons:
    """Says in words and numbers what the model sees where a label is."""

    def __init__(self, labels: Labels, sightings: Sightings) -> None:
        self.labels, self.sightings = labels, sightings
        pairs = pair_up(labels, sightings)
        same = labels.category[pairs.label] == sightings.categories[pairs.sighting]
        self.own, self.own_at = pairs.best(same, pairs.strength)
        self.other, self.other_at = pairs.best(~same, pairs.strength)

    def issue(self, row: int, kind: str, score: float) -> LabelIssue:
        own, other = int(self.own_at[row]), int(self.other_at[row])
        seen = other if kind == "wrong category" or own < 0 else own
        box = self.sightings.boxes[seen] if seen >= 0 and kind != "nothing there" else None
        landmarks = self._landmarks(row, kind)
        return self.labels.issue(row, kind, score, self._words(row, kind, seen), box=box, landmarks=landmarks)

    def _name(self, category: np.integer) -> str:
        return self.labels.vocabulary.categories[int(category)].name

    def _words(self, row: int, kind: str, seen: int) -> str:
        if kind == "mirrored landmarks":
            return "left and right landmarks lie where each other's usually do, all of them"
        if seen < 0:
            return "the model sees nothing here"
        found = f"{self._name(self.sightings.categories[seen])} (score {self.sightings.scores[seen]:.2f}"
        label, box = self.labels.boxes[[row]], self.sightings.boxes[[seen]]
        overlap = f"{overlaps(label, box)[0]:.2f}"
        if kind == "wrong category":
            labelled = self._name(self.labels.category[row])
            return f"the model sees a {found}, overlap {overlap}) here, not a {labelled} ({self.own[row]:.2f})"
        if kind == "nothing there":
            return f"the model sees no garment here: the nearest is a {found}), which overlaps the box by {overlap}"
        if kind == "misplaced landmarks":
            return f"landmarks lie elsewhere than those of the model's {found}) and than usual"
        far = np.abs(label - box).max()
        return f"the model's {found}) overlaps the box by {overlap} only; a side differs by {far:.0f} px"

    def _landmarks(self, row: int, kind: str) -> tuple[int, ...]:
        if kind != "mirrored landmarks":
            return ()
        mirror = self.labels.vocabulary.categories[self.labels.category[row]].mirror
        return tuple(place + 1 for place, other in enumerate(mirror) if place != other)
