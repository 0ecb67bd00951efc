"""Samples what a person wears."""

from numpy.random import Generator

from deepmark.synthetic.outfit import BOTTOMS, DRESSES, OUTWEAR, TOPS
from deepmark.synthetic.rendered.design import Design, sample_design, tucked
from deepmark.synthetic.rendered.figure import Figure
from deepmark.synthetic.rendered.styles import Styles
from deepmark.vocabulary import DEEPFASHION2

_ALL = range(len(DEEPFASHION2.categories))
_LEADS = (*_ALL, *_ALL, *DRESSES)
"""The leading categories of outfits, in turns. Dresses lead more often, because they come with no top and no trousers:
so all categories become about equally frequent."""


def lead_of(number: int) -> int:
    """The category that the image of this number is built around."""
    return _LEADS[number % len(_LEADS)]


def sample_outfit(rng: Generator, figure: Figure, styles: Styles, number: int) -> list[Design]:
    """The garments of an image, the innermost first; its `number` gives one of the categories, so that none is rare."""
    lead = lead_of(number)
    chosen = {kind: lead if lead in kind else int(rng.choice(kind)) for kind in (BOTTOMS, TOPS, DRESSES, OUTWEAR)}
    over_top, over_dress, _ = styles.under_outwear
    draw = rng.random() if lead in OUTWEAR else None
    if lead in DRESSES or (draw is not None and draw < over_dress):
        outfit = [sample_design(rng, figure, chosen[DRESSES])]
    else:
        lower, top = (sample_design(rng, figure, chosen[kind]) for kind in (BOTTOMS, TOPS))
        outfit = [tucked(top, lower), lower] if rng.random() < styles.tucked else [lower, top]
        if draw is not None and draw >= over_dress + over_top:
            outfit = [lower]
    if lead in OUTWEAR or rng.random() < styles.layered:
        outfit.append(sample_design(rng, figure, chosen[OUTWEAR]))
    return outfit
