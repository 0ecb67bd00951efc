"""Checks and indexes a COCO results file without keeping its keypoints in memory.

Results of the whole validation split are 2 GB of text, nine tenths of it keypoints that are zero. One pass over the
bytes reads everything else, checks the number and the characters of the keypoints, and remembers their positions.
"""

import json
from array import array
from collections.abc import Callable, Collection, Iterable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, NoReturn

from deepmark.data.coco.dataset import are_numbers, is_number
from deepmark.data.coco.results_reader import RESULTS_FORM, ResultsReader
from deepmark.data.ingest.strict_json import short_repr
from deepmark.errors import DeepmarkError
from deepmark.vocabulary import Vocabulary

_NUMERIC = b"0123456789+-.eE, \t\r\n"


@dataclass(frozen=True, kw_only=True, slots=True)
class CocoResults:
    """The results of a file as columns, in the file's order; keypoints are the bytes [start, stop) of the file."""

    path: Path
    image_ids: array = field(default_factory=lambda: array("q"))
    category_ids: array = field(default_factory=lambda: array("q"))
    scores: array = field(default_factory=lambda: array("d"))
    boxes: array = field(default_factory=lambda: array("d"))
    """x, y, width, height of each result; empty if the results have no boxes. Either all have one or none."""

    starts: array = field(default_factory=lambda: array("q"))
    stops: array = field(default_factory=lambda: array("q"))
    """Empty if keypoints were not requested."""

    def __len__(self) -> int:
        return len(self.scores)


@dataclass(frozen=True, kw_only=True, slots=True)
class _ResultChecker:
    """Checks results against the data set and collects them in columns."""

    results: CocoResults
    image_ids: Collection[int]
    category_ids: Collection[int]
    keypoints: bool
    landmarks: int
    """In the flat list."""

    def fail(self, fault: str, remedy: str) -> NoReturn:
        raise DeepmarkError(f"{self.results.path}: result {len(self.results) + 1:,}: {fault}. {remedy}")

    def add(self, fields: dict[str, Any], start: int, points: bytes | None) -> None:
        """Check one result and append it to the columns."""
        image = self._known(fields, "image_id", self.image_ids)
        category = self._known(fields, "category_id", self.category_ids)
        score = fields.get("score")
        if not is_number(score):
            self.fail(
                f"'score' should be a finite number, found {short_repr(score)}", "Scores order the results: mend it."
            )
        with_box = self._box(fields)
        if self.keypoints or not with_box:
            self._points(fields, points)
            self.results.starts.append(start)
            self.results.stops.append(start + len(points or b""))
        self.results.image_ids.append(image)
        self.results.category_ids.append(category)
        self.results.scores.append(score)

    def _known(self, fields: dict[str, Any], name: str, known: Collection[int]) -> int:
        value = fields.get(name)
        if not is_number(value) or value not in known:
            kind = {"image_id": "images", "category_id": "categories"}[name]
            self.fail(
                f"'{name}' is {short_repr(value)}, which is not among the {len(known):,} {kind} of the data set",
                "Results and data set should be of the same split and numbering.",
            )
        return int(value)  # type: ignore[arg-type]

    def _box(self, fields: dict[str, Any]) -> bool:
        box = fields.get("bbox") or None
        if len(self.results) and bool(self.results.boxes) != (box is not None):
            self.fail(
                f"has {'no' if box is None else 'a'} 'bbox', unlike the first result",
                "Areas would be of two kinds: write boxes in all results or in none.",
            )
        if box is None:
            return False
        if not are_numbers(box, 4):
            self.fail(f"'bbox' should be x, y, width, height, found {short_repr(box)}", "Write four finite numbers.")
        self.results.boxes.extend(box)
        return True

    def _points(self, fields: dict[str, Any], points: bytes | None) -> None:
        if "keypoints" not in fields and not self.keypoints:
            self.fail("has no 'bbox', and no 'keypoints' to make one of", "Write boxes in all results.")
        if "keypoints" not in fields:
            self.fail("has no 'keypoints'", "Results of boxes alone are scored with --kind bbox.")
        if points is None:
            self.fail(
                f"'keypoints' should be a flat list, found {short_repr(fields['keypoints'])}",
                "Write x, y, v, x, y, v …",
            )
        found = str(points.count(b",") + 1 if points.strip() else 0)
        if points.translate(None, _NUMERIC):
            strange = next(text.strip() for text in points.split(b",") if text.translate(None, _NUMERIC))
            found = short_repr(strange.decode("utf-8", "replace"))
        if found != str(3 * self.landmarks):
            self.fail(
                f"'keypoints' should be {self.landmarks} * 3 = {3 * self.landmarks} finite numbers, found {found}",
                "Landmarks of a category stand at its place in the list of all, zeros elsewhere.",
            )


def read_results(
    path: Path,
    *,
    image_ids: Collection[int],
    category_ids: Collection[int],
    keypoints: bool,
    vocabulary: Vocabulary,
    progress: Callable[[int], None] = lambda count: None,
) -> CocoResults:
    """The index of a results file; `progress` is called with the number of further bytes read.

    Images and categories of the results must be among the given ones. Keypoints are required if requested, and if there
    are no boxes, because COCO then computes boxes from them.

    Raises DeepmarkError where the file is missing, is not a list of results, or a result is invalid.
    """
    results = CocoResults(path=path)
    checker = _ResultChecker(
        results=results,
        image_ids=image_ids,
        category_ids=category_ids,
        keypoints=keypoints,
        landmarks=vocabulary.landmarks,
    )
    try:
        with path.open("rb") as file:
            for fields, start, points in ResultsReader(path, file, progress).results():
                checker.add(fields, start, points)
    except OSError as error:
        raise DeepmarkError(
            f"{path}: cannot be read ({error.strerror}). Give a file of results. {RESULTS_FORM}"
        ) from None
    return results


def results_text(results: CocoResults, chosen: Iterable[int]) -> Iterator[bytes]:
    """A results file of the chosen results only, in parts; the text of their keypoints is unchanged."""
    with results.path.open("rb") as file:
        yield b"["
        for number, i in enumerate(chosen):
            fields: dict[str, Any] = {"image_id": results.image_ids[i], "category_id": results.category_ids[i]}
            if results.boxes:
                fields["bbox"] = results.boxes[4 * i : 4 * i + 4].tolist()
            text = json.dumps(fields | {"score": results.scores[i]}).encode()
            if results.starts:
                file.seek(results.starts[i])
                points = file.read(results.stops[i] - results.starts[i])
                text = text[:-1] + b', "keypoints": [' + points + b"]}"
            yield b", " + text if number else text
        yield b"]"
