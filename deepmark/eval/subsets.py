"""Which items the tables by subset are about.

Scale, occlusion, zoom and viewpoint belong to items, not to pictures. The rule for all of them (eval/coco.Matching):
items outside the subset are ignored the way COCO ignores by area, a result matched to an ignored item is ignored, and
an unmatched result counts against the pictures that hold an item of the subset.
"""

from deepmark.eval.coco import Dataset
from deepmark.schema import SOURCES, SUBSETS

SCOPES: tuple[str, ...] = (
    *(f"{field}:{word}" for field, words in SUBSETS.items() for word in words.values()),
    *(f"source:{source}" for source in SOURCES),
)
"""The 14 subsets as reports name them: "scale:small" … "source:user"."""


def subset_items(truth: Dataset) -> dict[str, frozenset[int]]:
    """The annotation ids of every scope of `SCOPES`; an item is in one scope of each field."""
    items: dict[str, set[int]] = {scope: set() for scope in SCOPES}
    source = {image["id"]: image["source"] for image in truth["images"]}
    for annotation in truth["annotations"]:
        for field, words in SUBSETS.items():
            items[f"{field}:{words[annotation[field]]}"].add(annotation["id"])
        items[f"source:{source[annotation['image_id']]}"].add(annotation["id"])
    return {scope: frozenset(ids) for scope, ids in items.items()}
