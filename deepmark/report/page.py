"""The report: one self-contained HTML page."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import simplejpeg

from deepmark.eval.metric.names import HEADLINE, METRICS, STRATEGY_WORDS
from deepmark.files import new_folder
from deepmark.params.recipe import Change
from deepmark.report.choose_images import EVERYTHING, KINDS, Reason, groups
from deepmark.report.images import ReportImage, data_uris, overview
from deepmark.report.plots.landmark_plots import garment_drawings, step_words
from deepmark.report.plots.plots import (
    calibration_drawing,
    category_curve_drawings,
    category_drawing,
    confusion_drawing,
    curve_drawings,
    error_drawing,
    loss_drawing,
)
from deepmark.report.read_results import Measured
from deepmark.report.render import page_template
from deepmark.report.tables.analysis_tables import confusion_table, error_table, hardest_landmarks, landmark_table
from deepmark.report.tables.comparison_tables import (
    earlier_comparison,
    is_published_set,
    published_comparison,
    recipe_table,
)
from deepmark.report.tables.metric_tables import (
    category_table,
    headline_table,
    nms_table,
    published_subset_table,
    published_table,
    strategy_table,
    subset_table,
    timing_table,
)
from deepmark.report.tables.table import Table
from deepmark.tracking.earlier_runs import EarlierRun
from deepmark.vocabulary import DEEPFASHION2, Vocabulary

PAGE, DATA_PAGE, OVERVIEW = "index.html", "data.html", "overview.jpg"
_OVERVIEW_IMAGES = 4


@dataclass(frozen=True, kw_only=True, slots=True)
class Content:
    """The content of the page."""

    vocabulary: Vocabulary

    measured: Mapping[str, Measured]
    """By strategy."""

    serving: str
    """The strategy of promote.strategy; parts of the page that are about one strategy show it."""

    history: Sequence[Mapping[str, Any]]
    """The epochs in training.json."""

    warnings: Sequence[str]
    """Signs in training.json that the training learnt nothing, or lost what it had learnt."""

    images: Sequence[ReportImage]
    facts: Mapping[str, Mapping[str, str]]
    """Names and values under headings, in order."""

    params: str
    """The text of params.yaml."""

    backbone: str
    measured_on: str
    """The data that the figures are measured on, such as "300 validation images"."""

    min_score: float
    """Detections below it are not drawn."""

    nms: str
    """The kind of NMS of the strategies that have one, as predict.nms, and in words."""

    nms_words: str

    recipe: Sequence[Change]
    """In what params.yaml differs from the profile `paper`."""

    data_version: str | None = None
    """Of the shards, as `EarlierRun.data_version`."""

    earlier: Sequence[EarlierRun] = ()
    """Runs to compare with: the one before, and the champion's."""

    data_page: str = ""
    """The data sheet, as the text of a page of its own; "" for none."""


def _context(content: Content) -> dict[str, Any]:
    metrics = {name: one.metrics for name, one in content.measured.items()}
    serving = content.serving
    own = content.measured[serving]
    headline = headline_table(metrics[serving])
    names = list(content.vocabulary.by_name)
    is_deepfashion2 = content.vocabulary == DEEPFASHION2
    is_published = is_deepfashion2 and is_published_set(own.metrics["images"], len(own.items))
    # The page opens with an image that is typical of all.
    images = sorted(content.images, key=lambda one: Reason("typical", EVERYTHING) not in one.reasons)
    uris = iter(data_uris([side for one in images for side in (one.labelled, one.found)]))
    return {
        "content": content,
        "data_page": DATA_PAGE if content.data_page else "",
        "serving": STRATEGY_WORDS[serving],
        "total": metrics[serving].get("ms", {}).get("total"),
        "tiles": [(METRICS[name].words, row) for name, row in zip(HEADLINE, headline.rows, strict=True)],
        "headline": headline,
        "strategies": strategy_table(metrics, measured_on=content.measured_on, serving=serving),
        "nms_kinds": nms_table(metrics.get("none", {}).get("nms_kinds", {}), used=content.nms),
        "timing": timing_table(metrics),
        "curves": [*curve_drawings(own.curves), calibration_drawing(own.calibration)],
        "category_curves": category_curve_drawings(own.curves, names),
        "category_figure": category_drawing(own.ap),
        "categories": category_table(own.ap),
        "subsets": subset_table(own.ap),
        "error_figure": error_drawing(own.errors),
        "errors": error_table({name: one.errors for name, one in content.measured.items()}, counted=serving),
        "confusion_figure": confusion_drawing(own.confusion, names),
        "confusion": confusion_table(own.confusion, names),
        "garments": garment_drawings(own.landmarks, content.vocabulary),
        "steps": step_words(),
        "hardest": hardest_landmarks(own.landmarks),
        "landmarks": landmark_table(own.landmarks),
        "losses": loss_drawing(content.history),
        "gallery": [(one, next(uris), next(uris)) for one in images],
        "kinds": KINDS,
        "groups": [
            name for name in groups(names) if any(name == why.group for one in content.images for why in one.reasons)
        ],
        "compared": [
            *([published_comparison(own.metrics, backbone=content.backbone, strategy=serving)] * is_published),
            *_beside_earlier(content),
        ],
        "recipe": recipe_table(content.recipe),
        "published": (published_table(), published_subset_table()) if is_deepfashion2 else (),
    }


def _beside_earlier(content: Content) -> list[Table]:
    if not content.earlier:
        return []
    earlier = [(one.name, one.figures) for one in content.earlier]
    metrics = content.measured[content.serving].metrics
    return [earlier_comparison(metrics, earlier, strategy=STRATEGY_WORDS[content.serving])]


def render_page(content: Content) -> str:
    """The page as text; the same content gives the same text."""
    return page_template("report.html").render(_context(content)).strip() + "\n"


def write_report(folder: Path, content: Content) -> Path:
    """Write index.html, data.html and overview.jpg into a folder that appears whole or not at all.

    Returns the path of index.html. data.html is the data sheet, overview.jpg a row of the first images, for lists of
    results; without a sheet, or without images, they are left out.
    """
    with new_folder(folder) as draft:
        (draft / PAGE).write_text(render_page(content), "utf-8")
        if content.data_page:
            (draft / DATA_PAGE).write_text(content.data_page, "utf-8")
        row = overview(content.images[:_OVERVIEW_IMAGES])
        if row is not None:
            jpeg = simplejpeg.encode_jpeg(np.ascontiguousarray(row), 82, colorspace="RGB", colorsubsampling="444")
            (draft / OVERVIEW).write_bytes(jpeg)
    return folder / PAGE
