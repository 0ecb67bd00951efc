"""What in the counts of a data set somebody should look at before training, in sentences."""

from collections.abc import Iterator, Mapping

from deepmark.report.data_sheet.counts import SplitCounts

FEW = 20
"""Items of a category below which a split says little of it."""


def findings(counts: Mapping[str, SplitCounts]) -> Iterator[str]:
    """Sentences: categories without items or with few, landmarks that nobody labels, files that are there twice."""
    for split, one in counts.items():
        names = list(one.vocabulary.by_name)
        items = one.items.category.value_counts().to_dict()
        missing = [name for name in names if not items[name]]
        few = [f"{name} ({items[name]})" for name in names if 0 < items[name] < FEW]
        if missing:
            yield f"{split} has no item of {_listed(missing)}"
        if few:
            yield f"{split} has fewer than {FEW} items of {_listed(few)}"
        never = [
            f"{category.name} {number} ({part})"
            for category in one.vocabulary.categories
            for number, part in enumerate(category.parts, 1)
            if items[category.name] and not one.visibility[category.index, number - 1, 1:].any()
        ]
        if never:
            yield f"{split} never labels {_listed(never)}"
        twice = sum(count - 1 for count in one.files.values())
        if twice:
            yield f"{split} has {twice:,} files that are the same as another of its files"
    splits = list(counts)
    for i, a in enumerate(splits):
        for b in splits[i + 1 :]:
            shared = len(counts[a].files.keys() & counts[b].files.keys())
            if shared:
                yield f"{shared:,} files are in {a} and in {b}: figures of {b} would measure memory"


def _listed(names: list[str], most: int = 8) -> str:
    rest = len(names) - most
    return ", ".join(names[:most]) + (f" and {rest} more" if rest > 0 else "")
