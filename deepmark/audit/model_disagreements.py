"""Labels that a model contradicts, each with its probability of being wrong, learnt from faults planted into labels."""

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np

from deepmark.audit.evidence import (
    MARGINS,
    SIDES,
    Sightings,
    collect_sightings,
    features_of,
    norms_of,
    overlaps,
    pair_up,
)
from deepmark.audit.label_issue import LabelIssue
from deepmark.audit.label_matching import with_min_score
from deepmark.audit.labels import Labels
from deepmark.audit.odds import Odds, fit_odds
from deepmark.audit.planted import BY_MODEL_ALONE, plant, take
from deepmark.audit.unlabelled import find_unlabelled
from deepmark.shapes import Float
from deepmark.types import Detections

_MOST = 4000
"""Labels of a split into which faults of a kind are planted, and that they are told from: a few seconds' work."""

_ROUNDS = 3
"""Times that right labels are told from faults, the second time with the probabilities of the first."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Disagreements:
    """What the networks that have not learnt the labels of a split say against them."""

    issues: list[LabelIssue]
    power: float
    """How well they tell faults: how often one of `BY_MODEL_ALONE` that was planted has a higher score than a label as
    it is, .5 where by chance."""


def model_disagreements(
    labels: Labels, split: str, predictions: Mapping[int, Detections], *, faulty_share: float, min_score: float
) -> Disagreements:
    """What detections in the images of a split say against its labels.

    Of every kind of fault, `faulty_share` of the labels are believed to have one.
    """
    own = take(labels, np.flatnonzero(np.array(labels.splits) == split))
    sightings = collect_sightings({image: with_min_score(each) for image, each in predictions.items()})
    norms = norms_of(own, sightings)
    features = features_of(own, sightings, norms)
    planted = {kind: features_of(faulty, sightings, norms) for kind, faulty in plant(own, most=_MOST, seed=2).items()}
    fitted = _fit(list(planted.values()), features, faulty_share)
    kinds, chances = list(planted), _chances(fitted, features, faulty_share)
    total, reasons = chances.sum(axis=0), _Reasons(own, sightings)
    issues = [
        reasons.issue(row, _name(kinds[int(chances[:, row].argmax())], features[row]), float(total[row]))
        for row in np.flatnonzero(total >= min_score).tolist()
    ]
    unlabelled = find_unlabelled(own, sightings, norms, missing_share=faulty_share)
    issues += [
        _missing(own, split, image, sightings, sighting, chance)
        for image, sighting, chance in unlabelled.likely(min_score)
    ]
    alone = [planted[kind] for kind in BY_MODEL_ALONE if len(planted[kind])]
    told = [_above(_chances(fitted, each, faulty_share).sum(axis=0), total) for each in alone]
    return Disagreements(issues=issues, power=float(np.mean(told)) if told else 0.5)


def _fit(planted: list[Float[np.ndarray, "_ f"]], features: Float[np.ndarray, "n f"], share: float) -> list[Odds]:
    """The odds of each kind of fault, which is this frequent, against labels that are right.

    Labels as they are hold faults, too: those that look faulty count less when it is learnt what right ones look like.
    """
    sample, fitted = np.random.default_rng(1).permutation(len(features))[:_MOST], list[Odds]()
    for _ in range(_ROUNDS):
        wrong = _chances(fitted, features[sample], share).sum(axis=0)
        fitted = [fit_odds(each, features[sample], 1 - wrong) for each in planted]
    return fitted


def _chances(fitted: list[Odds], features: Float[np.ndarray, "n f"], share: float) -> Float[np.ndarray, "k n"]:
    """The probability of each kind of fault for each label; before anything is fitted, of none."""
    odds = np.array([each.ratio(features) for each in fitted]).reshape(len(fitted), len(features)) * share
    return odds / (1 - share * len(fitted) + odds.sum(axis=0))


def _above(ones: Float[np.ndarray, " n"], others: Float[np.ndarray, " m"]) -> float:
    """The share of all pairs in which the one is above the other; ties count half."""
    ranked = np.sort(others)
    places = np.searchsorted(ranked, ones, "left") + np.searchsorted(ranked, ones, "right")
    return float(places.mean() / 2 / len(others))


def _name(kind: str, features: Float[np.ndarray, " f"]) -> str:
    """The kind of issue that a fault of a planted kind is."""
    if kind not in ("moved box", "scaled box"):
        return kind
    return "elsewhere" if features[SIDES] >= features[MARGINS] else "box without its landmarks"


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
        self.own, self.own_at = pairs.best(pairs.same, pairs.strength)
        self.other, self.other_at = pairs.best(~pairs.same, pairs.strength)

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
