"""What is right in a vocabulary and yet looks like an oversight."""

from deepmark.vocabulary.category import Category
from deepmark.vocabulary.vocabulary import Vocabulary

_USUAL_SIGMAS = (0.005, 0.15)
"""DeepFashion2's are .012 to .1, COCO's .025 to .107."""

_SIDES = {"left": "right", "right": "left"}


def oversights(vocabulary: Vocabulary) -> list[str]:
    """A sentence for each: two sides that are no pair, sigmas out of the usual, a pair of two sigmas, no drawing."""
    return [line for category in vocabulary.categories for line in _of(category)]


def _of(category: Category) -> list[str]:
    lines, parts = [], category.parts
    for i, part in enumerate(parts):
        other = " ".join(_SIDES.get(word.lower(), word) for word in part.replace("_", " ").split())
        for j, name in enumerate(parts):
            if i < j and name.replace("_", " ") == other and category.mirror[i] == i:
                lines.append(f"{category.name}: '{part}' and '{name}' are no mirror pair. Give both `mirror`?")
    for part, sigma, mirror in zip(parts, category.sigmas, category.mirror, strict=True):
        if not _USUAL_SIGMAS[0] <= sigma <= _USUAL_SIGMAS[1]:
            low, high = _USUAL_SIGMAS
            lines.append(f"{category.name}: the sigma of '{part}' is {sigma:g}; usual are {low:g} to {high:g}.")
        if sigma < category.sigmas[mirror]:
            lines.append(f"{category.name}: '{part}' and its mirror '{parts[mirror]}' have two sigmas.")
    if category.drawing is None:
        lines.append(f"{category.name}: without an outline it cannot be drawn, and synth refuses the vocabulary.")
    return lines
