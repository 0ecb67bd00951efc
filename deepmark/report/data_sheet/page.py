"""The data sheet as one self-contained HTML page."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from deepmark.report.data_sheet.changes import Changes
from deepmark.report.data_sheet.counts import SplitCounts
from deepmark.report.data_sheet.findings import findings
from deepmark.report.data_sheet.plots import VISIBLE, size_drawing, together_drawing, visibility_drawings
from deepmark.report.data_sheet.samples import SampleImage
from deepmark.report.data_sheet.tables import (
    category_table,
    change_table,
    changed_categories_table,
    copies_table,
    landmark_table,
    size_table,
    split_table,
    subset_table,
)
from deepmark.report.images import data_uris
from deepmark.report.plots.landmark_plots import step_words
from deepmark.report.render import page_template

MOST_BYTES = 5_000_000
"""Of all images of the page together; a hundred and fifty take a million."""


@dataclass(frozen=True, kw_only=True, slots=True)
class DataSheet:
    """The content of the page."""

    counts: Mapping[str, SplitCounts]
    """By split."""

    samples: Sequence[Sequence[SampleImage]]
    """By category."""

    suspected: Mapping[str, int] | None
    """Duplicates that the last audit found, by kind; None where there was none."""

    changes: Mapping[str, Changes]
    """By split, since the version before; splits of which no earlier version is at hand are left out."""

    since: str
    """What is said of that version: which commit it is of, or why there is none."""

    data_version: str | None


def render_sheet(sheet: DataSheet) -> str:
    """The page as text; the same content gives the same text."""
    return page_template("data.html").render(_context(sheet)).strip() + "\n"


def _context(sheet: DataSheet) -> dict[str, Any]:
    counts = sheet.counts
    vocabulary = next(iter(counts.values())).vocabulary
    names = list(vocabulary.by_name)
    images = [image for own in sheet.samples for image in own]
    uris = iter(data_uris([one.image for one in images], most_bytes=MOST_BYTES))
    changed = {split: one for split, one in sheet.changes.items() if one}
    return {
        "sheet": sheet,
        "vocabulary": vocabulary,
        "images": sum(one.images for one in counts.values()),
        "items": sum(len(one.items) for one in counts.values()),
        "findings": list(findings(counts)),
        "splits": split_table(counts),
        "categories": category_table(counts),
        "subsets": subset_table(counts),
        "size_figure": size_drawing({split: one.items for split, one in counts.items()}, names),
        "sizes": size_table(_joined(counts), names),
        "visibility": visibility_drawings(counts),
        "steps": step_words(VISIBLE),
        "landmarks": landmark_table(counts),
        "together": together_drawing(
            np.sum([one.together for one in counts.values()], axis=0),
            np.sum([one.of_category for one in counts.values()], axis=0),
            names,
        ),
        "copies": copies_table(counts, sheet.suspected),
        "changes": change_table(sheet.changes) if changed else None,
        "changed_categories": changed_categories_table(changed),
        "gallery": [
            (name, [(one, next(uris)) for one in own]) for name, own in zip(names, sheet.samples, strict=True) if own
        ],
    }


def _joined(counts: Mapping[str, SplitCounts]) -> Any:
    import pandas as pd

    return pd.concat([one.items for one in counts.values()], ignore_index=True)
