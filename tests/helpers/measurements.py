"""What evaluation leaves, made by hand in exactly its form, for the tests of the report."""

from itertools import product
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from deepmark.eval.metric.subsets import SCOPES
from deepmark.files import write_json
from deepmark.params.recipe import Change
from deepmark.report.choose_images import Reason
from deepmark.report.images import ReportImage
from deepmark.report.page import Content
from deepmark.report.read_results import Measured
from deepmark.schema import STRATEGIES, SUBSETS
from deepmark.vocabulary import DEEPFASHION2

KINDS = ("box", "landmark_visible", "landmark")


def metrics(ap: float | None = 0.5, *, total: float = 12.34, interval: bool = True) -> dict[str, Any]:
    part = {"AP": ap, "AP50": 0.9, "AP75": None}
    around = None if ap is None else {"low": ap - 0.02, "high": ap + 0.03}
    bounds = {"AP": around, "AP50": {"low": 0.85, "high": 0.95}, "AP75": None}
    return {
        **dict.fromkeys(KINDS, part),
        "ms": {"read": 1.0, "network": 9.0, "decode": total - 10, "total": total},
        "images": 300,
        **({"interval": dict.fromkeys(KINDS, bounds)} if interval else {}),
    }


def write_earlier_metrics(file: Path) -> None:
    """The file as earlier releases wrote it, where two parts had other names."""
    now = metrics(interval=False)
    parts = {"box": now["box"], "landmarks_visible": now["landmark_visible"], "landmarks": now["landmark"]}
    write_json(file, parts | {"ms": now["ms"], "images": now["images"]})


def ap(value: float = 0.5) -> pd.DataFrame:
    scopes = ("all", *(f"category:{category.name}" for category in DEEPFASHION2.categories), *SCOPES)
    names = [f"{kind}_{figure}" for kind, figure in product(KINDS, ("ap", "ap50", "ap75"))]
    rows = [(metric, scope, value, value - 0.05, value + 0.04) for metric, scope in product(names, scopes)]
    return pd.DataFrame(rows, columns=["metric", "scope", "value", "low", "high"])


def landmarks() -> pd.DataFrame:
    """The further down the list of its category, the more precise; a category's first one was never labelled."""
    rows = [
        (category.name, i + 1, part, 9 if i else 0, *([0.03, 0.02, i / 40, 0.99] if i else [np.nan] * 4))
        for category in DEEPFASHION2.categories
        for i, part in enumerate(category.parts)
    ]
    columns = ["category", "landmark", "part", "labelled", "error_mean", "error_median", "pck05", "pck10"]
    return pd.DataFrame(rows, columns=columns)


def errors(duplicates: int = 3) -> pd.DataFrame:
    rows = [
        ("wrong category", 310, 31, 0.041),
        ("badly placed", 440, 44, 0.052),
        ("both", 70, 7, 0.003),
        ("duplicate", 10 * duplicates, duplicates, duplicates / 1000),
        ("background", 250, 25, 0.017),
        ("missed", 1040, 1040, 0.061),
    ]
    return pd.DataFrame(rows, columns=["kind", "count", "shown", "ap_cost"])


def confusion() -> pd.DataFrame:
    rows = [("vest", "vest", 30), ("vest", "sling", 10), ("skirt", "missed", 4), ("background", "vest", 5)]
    return pd.DataFrame(rows, columns=["truth", "predicted", "count"])


def curves() -> pd.DataFrame:
    """Perfect up to recall .8 for vests, and up to .4 for slings; half of it at overlap .75."""
    recall = np.linspace(0, 1, 101)
    reached = {"vest": 0.8, "sling": 0.4}
    parts = [
        pd.DataFrame(
            {
                "kind": kind,
                "category": name,
                "overlap": overlap,
                "recall": recall,
                "precision": (recall <= reached[name] * share + 1e-9).astype(float),
            }
        )
        for kind, name, (overlap, share) in product(KINDS, reached, ((0.5, 1.0), (0.75, 0.5)))
    ]
    return pd.concat(parts, ignore_index=True)


def calibration() -> pd.DataFrame:
    """Surer than it says; no detection has the highest scores."""
    rows = [(0.0, 0.5, 200, 0.2, 0.1), (0.5, 0.9, 40, 0.7, 0.95), (0.9, 1.0, 0, np.nan, np.nan)]
    return pd.DataFrame(rows, columns=["score_low", "score_high", "detections", "score_mean", "right"])


def item(image_id: int, category: str = "vest", *, found: str | None = "vest", **values: Any) -> dict[str, Any]:
    words = {field: next(iter(names.values())) for field, names in SUBSETS.items()}
    there = {"score": 0.9, "iou": 0.8, "oks": 0.7, "oks_visible": 0.75} if found else {}
    known = {"item": "item1", "source": "shop", "score": np.nan, "iou": np.nan, "oks": np.nan, "oks_visible": np.nan}
    return {"image_id": image_id, "category": category, "found_category": found, **known, **words, **there, **values}


def items(*rows: dict[str, Any]) -> pd.DataFrame:
    return pd.DataFrame(rows or [item(1), item(2, found=None)])


def measured(value: float = 0.5, *, duplicates: int = 3) -> Measured:
    return Measured(
        metrics=metrics(value),
        ap=ap(value),
        landmarks=landmarks(),
        errors=errors(duplicates),
        confusion=confusion(),
        curves=curves(),
        calibration=calibration(),
        items=items(),
    )


def picture(number: int, *reasons: tuple[str, str], image: np.ndarray | None = None) -> ReportImage:
    shade = np.full((120, 100, 3), 20 * number % 256, np.uint8)
    return ReportImage(
        name=f"{number:06d}",
        labelled=shade if image is None else image,
        found=shade if image is None else image,
        reasons=tuple(Reason(*reason) for reason in reasons or (("worst", "vest"),)),
        description="Labelled: vest. Found: vest 0.90.",
        items=("vest: found, score 0.90, IoU 0.80, OKS 0.70",),
    )


def history(epochs: int = 3) -> list[dict[str, Any]]:
    return [{"epoch": i, "train": {"total": 8 / (i + 1)}, "validation": {"total": 9 / (i + 1)}} for i in range(epochs)]


def content(**changes: Any) -> Content:
    values = {
        "vocabulary": DEEPFASHION2,
        "serving": "nms",
        "measured": {name: measured(0.1 + i / 4, duplicates=9 - i) for i, name in enumerate(STRATEGIES)},
        "history": history(),
        "warnings": [],
        "images": [
            picture(1, ("worst", "vest"), ("best", "scale: small")),
            picture(2, ("best", "vest")),
            picture(3, ("typical", "sling")),
        ],
        "facts": {"Run": {"seed": "317", "data version": "md5 00ff"}, "Model": {"parameters": "4.10 million"}},
        "params": "train:\n  seed: 317  # <the seed>\n",
        "backbone": "dla34",
        "measured_on": "300 drawn images",
        "min_score": 0.3,
        "nms": "hard",
        "nms_words": "hard: a box that overlaps a better one of its category by more than 0.5 is removed",
        "recipe": [Change(name="train.ema", value=0.9998, other=None, words="Decay a step of the average.")],
    }
    return Content(**(values | changes))


def exported_figures() -> dict[str, Any]:
    """The content of metrics/export.json: one file of 8 bits."""
    figure = {"torch": 0.5, "value": 0.49, "difference": -0.01, "low": -0.03, "high": 0.01}
    file = {"file": "model_int8.onnx", "bytes": 2_500_000, "ms": 9.5, "box_ap": figure, "landmark_ap": figure}
    return {"torch_ms": 20.0, "files": {"int8": file}}
