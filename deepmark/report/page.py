"""The report: one page of markdown with its pictures and its numbers beside it."""

import csv
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import simplejpeg
from jaxtyping import UInt8

from deepmark.files import new_folder
from deepmark.report.tables import (
    STRATEGY_WORDS,
    Table,
    category_table,
    strategy_table,
    subset_table,
    timing_table,
    to_markdown,
)
from deepmark.schema import STRATEGIES

if TYPE_CHECKING:
    import pandas as pd

JPEG_QUALITY = 92
"""Thin lines and small letters show artefacts below about 90."""

HOW_TO_READ = """\
- **AP** is the mean of the precisions at overlaps of .50, .55 … .95 and at 101 recalls, averaged over the categories \
that occur; AP50 and AP75 are at one overlap. 1 is perfect.
- For **boxes** the overlap is intersection over union. For **landmarks** it is the object keypoint similarity: the \
mean of exp(-d² / (2 area (2 sigma)²)) over the item's labelled landmarks, with DeepFashion2's 294 sigmas. A wrong \
category is worth nothing.
- **Visible** counts landmarks labelled v = 2 alone; **visible + occluded** counts v = 1 too. Papers give both.
- Each strategy includes the one before it: none, NMS, NMS + flip, NMS + flip + multi-scale.
- In **pictures** a filled dot is a landmark that is seen (truth: visible; detection: a peak of the heatmap), a hollow \
one is a landmark that is not (truth: occluded; detection: placed from the garment's centre alone).
- A dash stands where there is nothing to find or nothing was published.
"""


@dataclass(frozen=True, kw_only=True, slots=True)
class Picture:
    """A picture of the page."""

    name: str
    """File name without its ending: "000017"."""

    caption: str
    image: UInt8[np.ndarray, "h w 3"]
    """RGB, drawn upon (report/gallery.py)."""


def _section(table: Table) -> str:
    note = f"\n{table.note}\n" if table.note else ""
    return f"## {table.title}\n\n{to_markdown(table)}{note}"


def _escaped(text: str) -> str:
    return text.replace("|", "\\|").replace("\n", " ")


def _page(tables: Iterable[Table], pictures: Sequence[Picture], facts: Mapping[str, str]) -> str:
    known = "\n".join(f"| {_escaped(key)} | {_escaped(value)} |" for key, value in facts.items())
    shown = "\n\n".join(f"![{_escaped(p.caption)}](pictures/{p.name}.jpg)\n\n{_escaped(p.caption)}" for p in pictures)
    sections = [
        "# Clothes and their landmarks: report\n",
        *map(_section, tables),
        f"## Pictures\n\n{shown}\n" if shown else "",
        f"## How to read this\n\n{HOW_TO_READ}",
        f"## The run\n\n| | |\n|---|---|\n{known}\n" if known else "",
    ]
    return "\n".join(section for section in sections if section)


def _write_strategies(file: Path, metrics: Mapping[str, Mapping[str, Any]]) -> None:
    columns = [(part, key) for part in ("box", "landmarks_visible", "landmarks") for key in ("AP", "AP50", "AP75")]
    columns += [("ms", key) for key in ("read", "network", "decode", "total")]
    with file.open("w", encoding="utf-8", newline="") as stream:
        writer = csv.writer(stream, lineterminator="\n")
        writer.writerow(["strategy", *(f"{part}_{key}" for part, key in columns), "images"])
        for name in (name for name in STRATEGIES if name in metrics):
            one = metrics[name]
            writer.writerow([name, *(one.get(part, {}).get(key) for part, key in columns), one.get("images")])


def write_report(
    folder: Path,
    *,
    metrics: Mapping[str, Mapping[str, Any]],
    frames: Mapping[str, "pd.DataFrame"],
    pictures: Sequence[Picture],
    facts: Mapping[str, str],
    measured_on: str,
) -> Path:
    """Write report.md, pictures/*.jpg and strategies.csv into a folder that appears whole or not at all.

    `metrics` and `frames` are the contents of metrics/{strategy}.json and tables/{strategy}/ap.csv by strategy;
    categories and subsets are shown for the last strategy there is. `facts` are shown in their order. Returns the
    page's path.
    """
    last = [name for name in STRATEGIES if name in frames][-1]
    timing = timing_table(metrics)
    details = (category_table(frames[last]), subset_table(frames[last]))
    tables = [
        strategy_table(metrics, measured_on=measured_on),
        *(replace(table, title=f"{table.title} ({STRATEGY_WORDS[last]})") for table in details),
        *([timing] if timing.rows else []),
    ]
    with new_folder(folder) as draft:
        (draft / "pictures").mkdir()
        for picture in pictures:
            jpeg = simplejpeg.encode_jpeg(
                np.ascontiguousarray(picture.image), JPEG_QUALITY, colorspace="RGB", colorsubsampling="444"
            )
            (draft / "pictures" / f"{picture.name}.jpg").write_bytes(jpeg)
        _write_strategies(draft / "strategies.csv", metrics)
        (draft / "report.md").write_text(_page(tables, pictures, facts), "utf-8")
    return folder / "report.md"
