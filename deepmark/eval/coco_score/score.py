"""The official metric for COCO files from any source: ground truth and results in, 12 or 10 figures out."""

from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager
from dataclasses import dataclass, replace
from itertools import zip_longest
from os import PathLike
from pathlib import Path
from typing import Any, Literal, get_args

import numpy as np

from deepmark.data.coco.dataset import CocoDataset, check_keypoints, is_number, is_whole, read_coco
from deepmark.data.coco.results import read_results
from deepmark.data.ingest.strict_json import short_repr
from deepmark.errors import DeepmarkError, as_path, nearest
from deepmark.eval.coco_score.engines import hotcoco_curves, pycocotools_curves
from deepmark.eval.coco_score.figures import FIGURES, Curves, figures
from deepmark.schema import Kind
from deepmark.vocabulary import DEEPFASHION2, Vocabulary

_VISIBILITIES = (0, 1, 2)

Engine = Literal["hotcoco", "pycocotools"]

Watch = Callable[[str, int], AbstractContextManager[Callable[[int], None]]]
"""Opens a progress display for a description and a total, and gives the function that advances it; see progress.py."""


@contextmanager
def _unwatched(description: str, total: int) -> Iterator[Callable[[int], None]]:
    yield lambda count: None


@dataclass(frozen=True, kw_only=True, slots=True)
class Score:
    """The figures of a results file against a data set."""

    kind: Kind
    visible_only: bool
    engine: Engine
    pictures: int
    items: int
    results: int
    negative_boxes: int
    """Results whose box has a negative width or height, as an untrained network may give; see docs/evaluation.md."""

    categories: tuple[str, ...]
    """Names, in the order of the curves: by category id."""

    curves: Curves

    def as_dict(self) -> dict[str, Any]:
        """Everything but the curves, unrounded; None where nothing is labelled, and -1 in "official"."""
        official = [figure.of(self.curves) for figure in FIGURES[self.kind]]
        facts = ("kind", "visible_only", "engine", "pictures", "items", "results")
        return {
            **{name: getattr(self, name) for name in facts},
            "stats": {**figures(self.curves, self.kind), "official": official},
            "per_category": {
                name: figures(self.curves, self.kind, slice(place, place + 1))
                for place, name in enumerate(self.categories)
            },
        }


def _check_images(dataset: CocoDataset) -> None:
    """Check that no two images have one id; pycocotools would keep the last of them without a word."""
    seen: set[int] = set()
    for number, image in enumerate(dataset.images):
        if image["id"] in seen:
            raise DeepmarkError(
                f"{dataset.path}: images[{number}] (id {image['id']}): another image has the same id. "
                "Give each image an id of its own; was the file put together from two?"
            )
        seen.add(image["id"])


def _check_categories(dataset: CocoDataset) -> None:
    """Check that the file's categories are the vocabulary's, in the same order: their sigmas are told by that."""
    names = [str(category.get("name")) for category in sorted(dataset.categories, key=lambda one: one["id"])]
    known = dataset.vocabulary.categories
    for name, category in zip_longest(names, known):
        if category is None or name not in (category.name, category.coco_name):
            wanted = "no more category" if category is None else f'the category "{category.name}"'
            raise DeepmarkError(
                f"{dataset.path}: categories: expected {wanted} of the vocabulary {dataset.vocabulary.name}, found "
                f"{'none' if name is None else repr(name)}. Give the vocabulary that the file was written for."
            )


def _check_items(dataset: CocoDataset, kind: Kind) -> None:
    """Check the fields of every annotation that the metric needs beyond those of every COCO file.

    Also refused is what pycocotools computes with although it cannot be: negative lengths, and unknown visibilities.
    """
    for number, fields in enumerate(dataset.annotations):
        if not fields["id"]:  # by which pycocotools marks results without a match: its metrics would be wrong
            dataset.fail(number, "'id' is 0", "Number annotations from 1.")
        if min(fields["bbox"][2:]) < 0:
            dataset.fail(
                number,
                f"'bbox' is {short_repr(fields['bbox'])}, of negative width or height",
                "Write x, y of the upper left corner, then width and height, 0 or more.",
            )
        if fields.get("iscrowd") not in (0, 1):
            dataset.fail(number, "'iscrowd' is missing, or neither 0 nor 1", "In DeepFashion2 it is 0 everywhere.")
        if not is_number(fields.get("area")) or fields["area"] < 0:
            dataset.fail(
                number,
                "'area' is missing, not a number, or negative",
                "The official converter writes the box's width * height; `deepmark convert --to coco` does, too.",
            )
        if kind == "keypoints":
            check_keypoints(dataset, number)
            strange = fields["keypoints"][2::3][~np.isin(fields["keypoints"][2::3], _VISIBILITIES)]
            if len(strange):
                dataset.fail(
                    number,
                    f"a visibility in 'keypoints' is {strange[0]:g}",
                    "Write 0 (not labelled), 1 (occluded) or 2 (visible) as the third number of each landmark.",
                )
            if not is_whole(fields.get("num_keypoints")):
                dataset.fail(
                    number,
                    "'num_keypoints' is missing, or not a whole number",
                    "The official converter writes the number of landmarks with v > 0; `deepmark convert --to coco` "
                    "does, too.",
                )


def only_visible(dataset: CocoDataset) -> CocoDataset:
    """The data set with occluded landmarks not labelled: v = 1 becomes 0, and num_keypoints is counted again."""
    annotations = []
    for fields in dataset.annotations:
        keypoints = fields["keypoints"].reshape(-1, 3).copy()
        keypoints[keypoints[:, 2] == 1, 2] = 0
        count = int((keypoints[:, 2] > 0).sum())
        annotations.append(fields | {"keypoints": keypoints.ravel(), "num_keypoints": count})
    return replace(dataset, annotations=annotations)


def score_files(
    truth: str | PathLike[str],
    results: str | PathLike[str],
    *,
    kind: str,
    vocabulary: Vocabulary | None = None,
    visible_only: bool = False,
    engine: Engine = "hotcoco",
    scratch: Path | None = None,
    watch: Watch = _unwatched,
) -> Score:
    """The official figures of a file of results against a COCO data set in the official converter's layout.

    Each annotation and result has the keypoints of all categories of `vocabulary`, by default DeepFashion2's 294. One
    that is given has to have the categories of the file, by their names.

    hotcoco keeps a file with the results of one category at a time in `scratch` (None: where temporary files go).

    Raises DeepmarkError where a file is not what it should be, or the two do not belong together.
    """
    if kind not in set(Kind):
        raise DeepmarkError(f"kind {kind!r}: {nearest(str(kind), Kind)}")
    if engine not in get_args(Engine):
        raise DeepmarkError(f"engine {engine!r}: {nearest(str(engine), get_args(Engine))}")
    kind, truth, results = Kind(kind), as_path(truth, "score_files: truth"), as_path(results, "score_files: results")
    dataset = read_coco(truth, vocabulary or DEEPFASHION2)
    if vocabulary is not None:
        _check_categories(dataset)
    _check_images(dataset)
    _check_items(dataset, kind)
    if visible_only and kind is Kind.KEYPOINTS:
        dataset = only_visible(dataset)
    numbers = dataset.category_ids
    with watch("read results, bytes", results.stat().st_size if results.is_file() else 0) as advance:
        index = read_results(
            results,
            image_ids=dataset.image_ids,
            category_ids=frozenset(numbers),
            keypoints=kind is Kind.KEYPOINTS,
            vocabulary=dataset.vocabulary,
            progress=advance,
        )
    if engine == "pycocotools":
        curves = pycocotools_curves(dataset, results, kind)
    else:
        with watch("score categories", len(numbers)) as advance:
            curves = hotcoco_curves(dataset, index, kind, scratch=scratch, progress=advance)
    names = {category["id"]: str(category.get("name", category["id"])) for category in dataset.categories}
    return Score(
        kind=kind,
        visible_only=visible_only,
        engine=engine,
        pictures=len(dataset.image_ids),
        items=len(dataset.annotations),
        results=len(index),
        negative_boxes=int((np.array(index.boxes).reshape(-1, 4)[:, 2:] < 0).any(axis=1).sum()),
        categories=tuple(names[number] for number in numbers),
        curves=curves,
    )
