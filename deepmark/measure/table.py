"""The table of measurements in YAML: for each category, the landmarks that a length or a width runs along."""

from collections.abc import Mapping
from dataclasses import dataclass
from itertools import pairwise
from pathlib import Path
from typing import Any

from deepmark.errors import DeepmarkError, nearest
from deepmark.vocabulary import DEEPFASHION2, Category, Vocabulary

OWN_TABLE = Path(__file__).with_name("measurements.yaml")
"""The table that is used where no other is given."""

_PATHS = {"straight": "two landmarks", "along": "three landmarks or more"}


@dataclass(frozen=True, kw_only=True, slots=True)
class Measurement:
    """One length or width of a category."""

    name: str
    """Such as "chest width"."""

    landmarks: tuple[int, ...]
    """Two or more, in order, each by its index 0.. in the category."""


Table = Mapping[str, tuple[Measurement, ...]]
"""The measurements of each category, by its name; a category that the file does not name has none."""


def read_table(path: Path | None, vocabulary: Vocabulary) -> Table:
    """The measurements of a YAML file; without one, those that come with DeepMark, of DeepFashion2's categories.

    Raises DeepmarkError, naming file and line, for what is no YAML, and for categories, landmarks and keys that the
    vocabulary does not have; and where there is no file, for any other vocabulary than DeepFashion2's.
    """
    if path is None and vocabulary != DEEPFASHION2:
        raise DeepmarkError(
            f"the measurements that come with DeepMark are of DeepFashion2's garments, and this model is of "
            f"the vocabulary {vocabulary.name}. Write down what to measure, and give it: --table FILE.yaml."
        )
    from ruamel.yaml import YAML
    from ruamel.yaml.error import MarkedYAMLError, YAMLError

    path = path or OWN_TABLE
    try:
        content = YAML().load(path.read_text("utf-8"))
    except MarkedYAMLError as error:
        line = f", line {error.problem_mark.line + 1}" if error.problem_mark else ""
        raise DeepmarkError(f"{path}{line}: not YAML: {error.problem or 'cannot be read'}.") from None
    except (UnicodeDecodeError, YAMLError) as error:
        raise DeepmarkError(f"{path}: not YAML: {' '.join(str(error).split())}") from None
    return _Reader(path, vocabulary).table(content)


class _Reader:
    """Reads the values that ruamel.yaml made of a file, which know their lines."""

    def __init__(self, path: Path, vocabulary: Vocabulary) -> None:
        self.path, self.vocabulary = path, vocabulary

    def error(self, line: int, text: str) -> DeepmarkError:
        return DeepmarkError(f"{self.path}, line {line + 1}: {text}")

    def mapping(self, value: Any, line: int, what: str) -> list[tuple[str, Any, int]]:
        """The keys, values and lines of a mapping."""
        if not isinstance(value, dict) or not value:
            raise self.error(line, f"{what}, found {value!r}.")
        return [(str(key), entry, value.lc.key(key)[0]) for key, entry in value.items()]  # type: ignore[attr-defined]

    def table(self, content: Any) -> Table:
        found: dict[str, dict[str, Measurement]] = {category.name: {} for category in self.vocabulary.categories}
        for key, entries, line in self.mapping(content, 0, "expected categories with their measurements"):
            for category in self.categories(key, line):
                for one, at in self.measurements(category, entries, line):
                    if one.name in found[category.name]:
                        raise self.error(at, f"'{one.name}' of {category.name} stands above already. Remove one.")
                    found[category.name][one.name] = one
        return {name: tuple(entries.values()) for name, entries in found.items()}

    def categories(self, key: str, line: int) -> list[Category]:
        names = [name.strip() for name in key.split(",")]
        for name in names:
            if name not in self.vocabulary.by_name:
                raise self.error(line, f"'{name}' is not a category. {nearest(name, self.vocabulary.by_name)}")
        return [self.vocabulary.by_name[name] for name in names]

    def measurements(self, category: Category, entries: Any, line: int) -> list[tuple[Measurement, int]]:
        expected = "expected measurements, such as `chest width: {straight: [left armpit, right armpit]}`"
        return [
            (Measurement(name=name, landmarks=self.path_of(category, name, entry, at)), at)
            for name, entry, at in self.mapping(entries, line, expected)
        ]

    def path_of(self, category: Category, name: str, entry: Any, line: int) -> tuple[int, ...]:
        expected = f"'{name}': expected {{straight: [A, B]}} or {{along: [A, B, C]}}"
        (kind, landmarks, at), *more = self.mapping(entry, line, expected)
        if kind not in _PATHS or more:
            raise self.error(at, f"{expected}, found {', '.join(map(repr, entry))}.")
        count = len(landmarks) if isinstance(landmarks, list) else 0
        if not (count == 2 if kind == "straight" else count > 2):
            raise self.error(at, f"'{name}': {kind} takes a list of {_PATHS[kind]}, found {landmarks!r}.")
        indices = tuple(
            self.landmark(category, landmark, landmarks.lc.item(number)[0]) for number, landmark in enumerate(landmarks)
        )
        if any(a == b for a, b in pairwise(indices)):
            raise self.error(at, f"'{name}': the same landmark twice in a row. Remove one.")
        return indices

    def landmark(self, category: Category, landmark: Any, line: int) -> int:
        if isinstance(landmark, str) and landmark in category.parts:
            return category.parts.index(landmark)
        if type(landmark) is int and 1 <= landmark <= category.landmarks:
            return landmark - 1
        hint = (
            nearest(landmark, category.parts) if isinstance(landmark, str) else f"Its landmarks are: {_all(category)}."
        )
        raise self.error(line, f"{landmark!r} is not a landmark of {category.name} (1 to {category.landmarks}). {hint}")


def _all(category: Category) -> str:
    return ", ".join(f"{number} {part}" for number, part in enumerate(category.parts, 1))
