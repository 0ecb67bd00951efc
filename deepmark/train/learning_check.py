"""Signs that a training learns nothing, or has lost what it had learnt, read from its history.

They are for people to look at and stop nothing: a training that starts from a model of the same data may have little
left to learn.
"""

import math
from collections.abc import Mapping, Sequence
from typing import Any

from deepmark.eval.metric.names import MAIN, METRICS

MOVED = 0.01
"""The training loss has fallen when it is lower by this share. Of twelve images and weights that do not change, the
demo's augmentation alone lets the mean over an epoch vary by .004; of more images, by less."""

WARM = 3
"""Epochs before AP is judged; after one or two it may well be 0."""

LOST_LOSS, LOST_AP, LEAST_AP = 1.5, 0.5, 0.05
"""Learning has collapsed when the loss is this many times its lowest, or AP is below this share of its highest, which
was at least LEAST_AP, twice in a row."""

MANY_SKIPPED = 0.05
"""A share of an epoch's steps. Under fp16 a few overflow while the loss scale is found, and one in 2,000 after that,
since the scale is doubled so often; a small first epoch may lose more, and is not judged."""


def learning_warnings(history: Sequence[Mapping[str, Any]], *, epochs: int) -> list[str]:
    """What a person should look at in a training so far, a sentence each; `epochs` is how many it will have.

    `history` is that of training.json, an `EpochReport` for each finished epoch. The loss is judged after a tenth of
    the training, but not before the second epoch, which is the first that can be compared.
    """
    done = len(history)
    losses = [epoch["train"]["total"] for epoch in history]
    warnings = _collapsed("the training loss", losses, lower_is_better=True)
    if done >= max(2, epochs / 10) and min(losses[1:]) > (1 - MOVED) * losses[0]:
        best = f"{losses[0]:.4g} in the first, {min(losses[1:]):.4g} at best since"
        warnings.append(f"the training loss has not fallen in {done} epochs: {best}")
    for name in MAIN:
        values = [value for epoch in history if (value := epoch["measured"].get(name)) is not None]
        warnings += _collapsed(METRICS[name].short_words, values)
        stays = len(values) > 1 or (values and done == epochs)
        if done >= max(WARM, epochs / 10) and stays and not any(values):
            warnings.append(f"{METRICS[name].short_words} is still 0 after {done} epochs")
    if done > 1 and history[-1].get("skipped", 0) > MANY_SKIPPED * history[-1].get("steps", math.inf):
        warnings.append(f"{history[-1]['skipped']} of the {history[-1]['steps']} steps of epoch {done} were left out")
    norms = [epoch.get("weight_norm") for epoch in history[-2:]]
    if done > 1 and norms[0] is not None and norms[0] == norms[1]:
        warnings.append(f"no weight changed in epoch {done}")
    return warnings


def _collapsed(name: str, values: Sequence[float], *, lower_is_better: bool = False) -> list[str]:
    """A warning where the last two values are far behind the best one before them."""
    if len(values) < 3:
        return []
    *before, one, other = values
    if lower_is_better:
        best, last = min(before), min(one, other)
        lost = last > LOST_LOSS * best
    else:
        best, last = max(before), max(one, other)
        lost = best >= LEAST_AP and last < LOST_AP * best
    return [f"{name} has collapsed: {best:.4g} at best, {values[-1]:.4g} now"] if lost else []
