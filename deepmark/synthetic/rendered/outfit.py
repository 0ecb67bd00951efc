"""Samples what a person wears."""

from numpy.random import Generator

from deepmark.synthetic.outfit import BOTTOMS, DRESSES, OUTWEAR, TOPS
from deepmark.synthetic.rendered.design import Design, sample_design, tucked
from deepmark.synthetic.rendered.figure import Figure
from deepmark.vocabulary import DEEPFASHION2

_ALL = range(len(DEEPFASHION2.categories))
_LEADS = (*_ALL, *_ALL, *DRESSES)
"""The leading categories of outfits, in turns. Dresses lead more often, because they come with no top and no trousers:
so all categories become about equally frequent."""

_TUCKED, _LAYERED = 0.4, 0.12
"""Probabilities: that the top is tucked in; that outwear is worn where something else leads."""

_OVER_DRESS = 0.3
"""Probability that outwear which leads is worn over a dress."""


def sample_outfit(rng: Generator, figure: Figure, number: int) -> list[Design]:
    """The garments of an image, the innermost first; its `number` gives one of the categories, so that none is rare."""
    lead = _LEADS[number % len(_LEADS)]
    chosen = {kind: lead if lead in kind else int(rng.choice(kind)) for kind in (BOTTOMS, TOPS, DRESSES, OUTWEAR)}
    in_dress = lead in DRESSES or (lead in OUTWEAR and rng.random() < _OVER_DRESS)
    if in_dress:
        outfit = [sample_design(rng, figure, chosen[DRESSES])]
    else:
        lower, top = (sample_design(rng, figure, chosen[kind]) for kind in (BOTTOMS, TOPS))
        outfit = [tucked(top, lower), lower] if rng.random() < _TUCKED else [lower, top]
    if lead in OUTWEAR or rng.random() < _LAYERED:
        outfit.append(sample_design(rng, figure, chosen[OUTWEAR]))
    return outfit
