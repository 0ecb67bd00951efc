"""Tables of the official figures of a results file (`deepmark score`)."""

from collections.abc import Mapping
from typing import Any

from deepmark.eval.coco_score.figures import FIGURES
from deepmark.report.tables.table import Row, Table, number


def figures_table(score: Mapping[str, Any]) -> Table:
    """All figures with their meanings; `score` is what `Score.as_dict` gives."""
    what = {"bbox": "boxes", "keypoints": "landmarks"}[score["kind"]] + ", visible only" * score["visible_only"]
    return Table(
        title=f"Official figures, {what}",
        columns=("", "value"),
        rows=tuple(
            Row(cells=(f"{figure.name:11}{figure.meaning}", number(score["stats"][figure.name], 4)))
            for figure in FIGURES[score["kind"]]
        ),
        note=f"{score['results']:,} results, {score['items']:,} items, {score['pictures']:,} images; by "
        f"{score['engine']}.",
    )


def categories_table(score: Mapping[str, Any]) -> Table:
    """AP and AR of every category, whatever its name is."""
    from rich.markup import escape

    recall = "AR_at_100" if score["kind"] == "bbox" else "AR"
    names = ("AP", "AP50", "AP75", recall)
    return Table(
        title="By category",
        columns=("", "AP", "AP50", "AP75", "AR"),
        rows=tuple(
            Row(cells=(escape(category), *(number(figures[name], 4) for name in names)))
            for category, figures in score["per_category"].items()
        ),
    )
