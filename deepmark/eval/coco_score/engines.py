"""Two engines that evaluate COCO files: hotcoco, which is fast and small, and pycocotools, the official code.

Both are given the vocabulary's sigmas, in DeepFashion2 294, in place of COCO's 17, and nothing else.
"""

import io
import json
import warnings
from collections.abc import Callable
from contextlib import redirect_stdout
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import numpy as np

from deepmark.data.coco.dataset import CocoDataset
from deepmark.data.coco.results import CocoResults, results_text
from deepmark.errors import DeepmarkError
from deepmark.eval.coco_score.figures import RESULT_LIMITS, Curves
from deepmark.schema import Kind
from deepmark.shapes import Int64


def hotcoco_curves(
    dataset: CocoDataset,
    results: CocoResults,
    kind: Kind,
    *,
    scratch: Path | None = None,
    progress: Callable[[int], None] = lambda count: None,
) -> Curves:
    """The curves by hotcoco, one category at a time, which needs the memory of the largest one only.

    A file with the results of one category at a time is written to `scratch` (None: where temporary files go). A
    fourth of the results' size will do for DeepFashion2. `progress` hears of finished categories.
    """
    counted = _counted(results, most=RESULT_LIMITS[kind][-1])
    category_ids = np.array(results.category_ids)[counted]
    items: dict[int, list[dict[str, Any]]] = {category: [] for category in dataset.category_ids}
    for fields in dataset.annotations:
        items[fields["category_id"]].append(fields)
    parts = []
    try:
        with TemporaryDirectory(prefix="deepmark-score-", dir=scratch) as folder:
            file = Path(folder) / "results.json"
            for category in dataset.category_ids:
                with file.open("wb") as out:
                    out.writelines(results_text(results, counted[category_ids == category].tolist()))
                parts.append(_one_category(dataset, category, items[category], file, results.path, kind))
                progress(1)
    except OSError as error:
        raise DeepmarkError(
            f"{error.filename}: cannot be written ({error.strerror}). Set TMPDIR to a folder with room for the results "
            "of one category."
        ) from None
    return Curves(
        precision=np.concatenate([part.precision for part in parts], axis=2),
        recall=np.concatenate([part.recall for part in parts], axis=1),
    )


def _counted(results: CocoResults, *, most: int) -> Int64[np.ndarray, " n"]:
    """The results that can count, in the order of the file: the best `most` of every image and category."""
    columns = (np.array(results.category_ids), np.array(results.image_ids), -np.array(results.scores))
    order = np.lexsort(columns[::-1])  # stable, as the metric's own sorting is
    cells = np.stack([column[order] for column in columns[:2]])
    begins = np.append(True, (cells[:, 1:] != cells[:, :-1]).any(axis=0))[: len(order)]
    places = np.arange(len(order))
    ranks = places - np.maximum.accumulate(np.where(begins, places, 0))
    return np.sort(order[ranks < most])


def _one_category(
    dataset: CocoDataset, category: int, items: list[dict[str, Any]], file: Path, results: Path, kind: Kind
) -> Curves:
    from hotcoco import COCO, COCOeval

    needed = ["image_id", "category_id", "bbox", "area"] + ["num_keypoints", "keypoints"] * (kind is Kind.KEYPOINTS)
    # Numbered anew, because hotcoco goes by the numbers where pycocotools goes by the order of the file.
    annotations = [
        {"id": number, "iscrowd": int(fields["iscrowd"]), **{name: fields[name] for name in needed}}
        for number, fields in enumerate(items, 1)
    ]
    images = [{"id": image} for image in sorted(dataset.image_ids)]
    truth = COCO(
        {"images": images, "categories": [{"id": category, "name": str(category)}], "annotations": annotations}
    )
    try:
        found = truth.load_res(str(file))
    except ValueError as error:  # such as 1.2.3
        raise DeepmarkError(
            f"{results}: a result of category_id {category} holds what is not JSON ({error}). Write the file again."
        ) from None
    evaluation = COCOeval(truth, found, kind)
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", message=".*kpt_oks_sigmas")  # that they are not COCO's own, and so they are
        if kind is Kind.KEYPOINTS:
            evaluation.params.kpt_oks_sigmas = list(dataset.vocabulary.sigmas)
        evaluation.evaluate()
        evaluation.accumulate()
    curves: Any = evaluation.eval
    return Curves(precision=curves["precision"], recall=curves["recall"])


def pycocotools_curves(dataset: CocoDataset, results: Path, kind: Kind) -> Curves:
    """The curves by pycocotools, which reads all results at once and makes every number a Python object."""
    from pycocotools.coco import COCO
    from pycocotools.cocoeval import COCOeval

    with redirect_stdout(io.StringIO()):
        truth = COCO()
        truth.dataset = {
            "images": dataset.images,
            "categories": dataset.categories,
            "annotations": [dict(fields) for fields in dataset.annotations],  # it writes into them
        }
        truth.createIndex()
        try:
            found = truth.loadRes(json.loads(results.read_text("utf-8-sig")))
        except ValueError as error:  # such as 1.2.3 in keypoints
            raise DeepmarkError(f"{results}: not JSON ({error}). Write the file again.") from None
        except IndexError:  # it wants to look at the first result of an empty list
            found = COCO()
            found.dataset = truth.dataset | {"annotations": []}
            found.createIndex()
        evaluation = COCOeval(truth, found, kind)
        if kind is Kind.KEYPOINTS:
            evaluation.params.kpt_oks_sigmas = np.array(dataset.vocabulary.sigmas)
        evaluation.evaluate()
        evaluation.accumulate()
    return Curves(precision=evaluation.eval["precision"], recall=evaluation.eval["recall"])
