"""The tables of the data sheet."""

from collections.abc import Mapping
from typing import TYPE_CHECKING

from deepmark.report.data_sheet.changes import CORRECTIONS, Changes
from deepmark.report.data_sheet.counts import SplitCounts, labelled_shares
from deepmark.report.tables.table import UNKNOWN, Row, Table, number
from deepmark.schema import SOURCES, SUBSETS

if TYPE_CHECKING:
    import pandas as pd

AREAS: dict[str, tuple[float, float]] = {
    "small": (0, 32**2),
    "medium": (32**2, 96**2),
    "large": (96**2, float("inf")),
}
"""COCO's ranges of areas, square pixels."""

_SIZES = (0.05, 0.5, 0.95)


def _count(value: int) -> str:
    return f"{value:,}"


def _percent(part: int, whole: int) -> str:
    return f"{100 * part / whole:.1f}%" if whole else UNKNOWN


def split_table(counts: Mapping[str, SplitCounts]) -> Table:
    """Images, items and landmarks of each split."""
    rows = []
    for split, one in counts.items():
        occluded, visible = (int(one.visibility[:, :, v].sum()) for v in (1, 2))
        cells = (
            _count(one.images),
            _count(one.images_without_items),
            _count(len(one.items)),
            number(len(one.items) / one.images if one.images else None, 2),
            _count(visible + occluded),
            _percent(visible, visible + occluded),
            _count(_without_landmarks(one)),
        )
        rows.append(Row(cells=(split, *cells)))
    return Table(
        title="Splits",
        columns=(
            *("split", "images", "images without items", "items", "items an image", "labelled landmarks"),
            *("of them visible", "items without landmarks"),
        ),
        rows=tuple(rows),
        note="Items without landmarks: of categories that have some, and of which none is labelled.",
    )


def _without_landmarks(counts: SplitCounts) -> int:
    with_some = [category.name for category in counts.vocabulary.categories if category.landmarks]
    return int((counts.items.category.isin(with_some) & (counts.items.landmarks == 0)).sum())


def category_table(counts: Mapping[str, SplitCounts]) -> Table:
    """Items of each category by split, and images with them."""
    names = list(next(iter(counts.values())).vocabulary.by_name)
    rows = []
    for index, name in enumerate([*names, "all"]):
        cells = [name]
        for one in counts.values():
            of_all = index == len(names)
            items = len(one.items) if of_all else int((one.items.category == name).sum())
            images = one.images - one.images_without_items if of_all else int(one.of_category[index])
            cells += [_count(items), _percent(items, len(one.items)), _count(images)]
        rows.append(Row(cells=tuple(cells)))
    columns = [f"{split}: {words}" for split in counts for words in ("items", "share", "images")]
    return Table(title="Items by category", columns=("category", *columns), rows=tuple(rows))


def subset_table(counts: Mapping[str, SplitCounts]) -> Table:
    """Items of each subset by split."""
    fields = {**{field: list(words.values()) for field, words in SUBSETS.items()}, "source": list(SOURCES)}
    rows = []
    for field, words in fields.items():
        for word in words:
            cells = [f"{field.replace('_in', '')}: {word}"]
            for one in counts.values():
                items = int((one.items[field] == word).sum())
                cells += [_count(items), _percent(items, len(one.items))]
            rows.append(Row(cells=tuple(cells)))
    columns = [f"{split}: {words}" for split in counts for words in ("items", "share")]
    return Table(title="Items by subset", columns=("subset", *columns), rows=tuple(rows))


def size_table(items: "pd.DataFrame", names: list[str]) -> Table:
    """Sizes of the boxes of each category, over all splits."""
    area = items.width * items.height
    rows = []
    for name in [*names, "all"]:
        chosen = slice(None) if name == "all" else (items.category == name)
        own, areas = items[chosen], area[chosen]
        width, height, *sides = (
            float(own.width.median()),
            float(own.height.median()),
            *(float(own.side.quantile(share)) if len(own) else None for share in _SIZES),
        )
        parts = [_percent(int(((areas >= low) & (areas < high)).sum()), len(own)) for low, high in AREAS.values()]
        cells = (number(width, 0), number(height, 0), *(number(side, 2) for side in sides), *parts)
        rows.append(Row(cells=(name, *cells)))
    return Table(
        title="Sizes of boxes",
        columns=(
            *("category", "median width, pixels", "median height, pixels"),
            *(f"side, {words}" for words in ("5%", "median", "95%")),
            *AREAS,
        ),
        rows=tuple(rows),
        note="The side is the root of the box’s area over the image’s. Small boxes are of less than 32², large ones of "
        "96² pixels or more, as COCO divides them.",
    )


def landmark_table(counts: Mapping[str, SplitCounts]) -> Table:
    """Of each landmark the items that label it visible or occluded, by split."""
    rows = []
    for category in next(iter(counts.values())).vocabulary.categories:
        shares = [labelled_shares(one, category.index) for one in counts.values()]
        for i, part in enumerate(category.parts):
            figures = [f"{100 * value:.1f}%" if value == value else UNKNOWN for each in shares for value in each[i]]
            rows.append(Row(cells=(f"{category.name} {i + 1}", part, *figures)))
    columns = [f"{split}: {words}" for split in counts for words in ("visible", "occluded")]
    return Table(
        title="Every landmark",
        columns=("landmark", "part", *columns),
        rows=tuple(rows),
        note="Shares of the items of its category; the rest does not label it.",
    )


def copies_table(counts: Mapping[str, SplitCounts], suspected: Mapping[str, int] | None) -> Table:
    """Files that are there more than once; and, from the last audit, images that look the same."""
    rows = [
        Row(cells=(f"the same file more than once in {split}", _count(sum(n - 1 for n in one.files.values() if n > 1))))
        for split, one in counts.items()
    ]
    splits = list(counts)
    for i, a in enumerate(splits):
        for b in splits[i + 1 :]:
            shared = counts[a].files.keys() & counts[b].files.keys()
            rows.append(Row(cells=(f"the same file in {a} and in {b}", _count(len(shared)))))
    rows += [Row(cells=(f"{kind}, by the last audit", _count(count))) for kind, count in (suspected or {}).items()]
    note = "Byte by byte." if suspected is None else "Byte by byte; the audit also finds images that look the same."
    return Table(title="Duplicates and leaks", columns=("what", "images"), rows=tuple(rows), note=note)


def change_table(changes: Mapping[str, Changes]) -> Table:
    """What came, went and was corrected in each split."""
    rows = (
        Row(
            cells=(
                split,
                *map(_count, (one.images_came, one.images_went, one.files_replaced)),
                *map(_count, (one.items_came, one.items_went, one.items_corrected)),
                *(_count(one.corrected[name]) for name in CORRECTIONS),
            )
        )
        for split, one in changes.items()
    )
    columns = (
        *("split", "images that came", "images that went", "files replaced"),
        *("items that came", "items that went", "items corrected"),
        *(f"of them: {name}" for name in CORRECTIONS),
    )
    return Table(title="Changes by split", columns=columns, rows=tuple(rows))


def changed_categories_table(changes: Mapping[str, Changes]) -> Table:
    """The same of items by category; categories without changes are left out."""
    names = dict.fromkeys(name for one in changes.values() for name, parts in one.by_category.items() if any(parts))
    rows = (
        Row(cells=(name, *(_count(part) for one in changes.values() for part in one.by_category[name])))
        for name in names
    )
    columns = [f"{split}: {words}" for split in changes for words in ("came", "went", "corrected")]
    return Table(title="Changed items by category", columns=("category", *columns), rows=tuple(rows))
