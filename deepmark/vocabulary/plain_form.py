"""A vocabulary as plain lists, mappings, texts and numbers: what its YAML and JSON hold, and the check of all of it."""

import math
from collections.abc import Callable, Iterable, Sequence
from typing import Any

from deepmark.errors import DeepmarkError, nearest
from deepmark.vocabulary.category import Category, Shape
from deepmark.vocabulary.vocabulary import Vocabulary

Place = tuple[str | int, ...]
"""The keys and indices that lead to a value."""

Point = tuple[float, float]

CONTOURS = ("panels", "lines", "straps")
"""The keys of a category that hold lists of contours."""

_VOCABULARY = ("name", "categories")
_DRAWING = ("outline", "aspect", *CONTOURS)
_CATEGORY = ("name", "landmarks", *_DRAWING)
_LANDMARK = ("name", "sigma", "mirror", "at")
_NOT_IN_NAMES = frozenset('/\\,:;"<>|*?')
_RESERVED = {
    "all": "all categories together",
    "background": "what is no garment",
    "missed": "garments that were not detected",
}
"""Words that cannot be names of categories, in lower case."""

_LONGEST_NAME = 60
_MOST_CATEGORIES = 127  # files of records and predictions have 8 bits for the index
_CLOSED = 3  # points that enclose an area
_LINE = 2


def plain_form(vocabulary: Vocabulary) -> dict[str, Any]:
    """What `checked_vocabulary` makes an equal vocabulary of, drawings included."""
    return {"name": vocabulary.name, "categories": [_plain_category(one) for one in vocabulary.categories]}


def _plain_category(category: Category) -> dict[str, Any]:
    landmarks: list[dict[str, Any]] = [
        {"name": part, "sigma": sigma} | ({} if mirror == i else {"mirror": category.parts[mirror]})
        for i, (part, sigma, mirror) in enumerate(zip(category.parts, category.sigmas, category.mirror, strict=True))
    ]
    if category.drawing is None:
        return {"name": category.name, "landmarks": landmarks}
    shape, points = category.drawing, [list(point) for point in category.drawing.points]
    named = [*category.parts, *points[category.landmarks :]]
    contours = {"panels": shape.panels, "lines": shape.inner_lines, "straps": shape.straps}
    return {
        "name": category.name,
        "landmarks": [landmark | {"at": at} for landmark, at in zip(landmarks, points, strict=False)],
        "aspect": shape.aspect,
        "outline": [named[i] for i in shape.outline],
        **{key: [[named[i] for i in line] for line in lines] for key, lines in contours.items() if lines},
    }


def checked_vocabulary(content: Any, where: Callable[[Place], str]) -> Vocabulary:
    """The vocabulary in what a file holds; `where` names the file, and where it can the line, of a value.

    Raises:
        DeepmarkError: anything is missing, unknown, of another type or out of its range; the message says what and
            where.
    """
    return _Reader(where).vocabulary(content)


class _Reader:
    def __init__(self, where: Callable[[Place], str]) -> None:
        self._where = where

    def error(self, place: Place, text: str) -> DeepmarkError:
        path = "".join(f"{part + 1 if isinstance(part, int) else part}: " for part in place)
        return DeepmarkError(f"{self._where(place)}: {path}{text}")

    def vocabulary(self, content: Any) -> Vocabulary:
        values = self.mapping(content, (), known=_VOCABULARY, needed=_VOCABULARY)
        categories: list[Category] = []
        for i, entry in enumerate(self.sequence(values["categories"], ("categories",), "categories", at_least=1)):
            start = categories[-1].span.stop if categories else 0
            categories.append(self.category(entry, ("categories", i), start))
        if len(categories) > _MOST_CATEGORIES:
            raise self.error(("categories",), f"at most {_MOST_CATEGORIES}, found {len(categories)}. Leave some out.")
        self.names_differ((one.name for one in categories), ("categories",), "category")
        if not any(one.landmarks for one in categories):
            raise self.error(
                ("categories",),
                "no category has landmarks. Give at least one of them some: without any, this is no task for a "
                "detector of landmarks.",
            )
        return Vocabulary(name=self.name(values["name"], ("name",)), categories=tuple(categories))

    def category(self, entry: Any, place: Place, start: int) -> Category:
        values = self.mapping(entry, place, known=_CATEGORY, needed=("name", "landmarks"))
        landmarks = [
            self.mapping(landmark, (*place, "landmarks", i), known=_LANDMARK, needed=("name", "sigma"))
            for i, landmark in enumerate(self.sequence(values["landmarks"], (*place, "landmarks"), "landmarks"))
        ]
        places = [(*place, "landmarks", i) for i in range(len(landmarks))]
        parts = [self.name(one["name"], (*at, "name")) for one, at in zip(landmarks, places, strict=True)]
        self.names_differ(parts, (*place, "landmarks"), "landmark")
        return Category(
            index=int(place[1]),
            name=self.category_name(values["name"], (*place, "name")),
            landmarks=len(parts),
            start=start,
            mirror=self.mirror(landmarks, places, parts),
            parts=tuple(parts),
            sigmas=tuple(
                self.positive(one["sigma"], (*at, "sigma")) for one, at in zip(landmarks, places, strict=True)
            ),
            drawing=self.drawing(values, place, landmarks, parts),
        )

    def mirror(self, landmarks: list[dict[str, Any]], places: list[Place], parts: list[str]) -> tuple[int, ...]:
        found = []
        for i, (one, place) in enumerate(zip(landmarks, places, strict=True)):
            name = one.get("mirror", parts[i])
            if not isinstance(name, str) or name not in parts:
                raise self.error((*place, "mirror"), f"{_shown(name)} is no landmark here. {_choices(name, parts)}")
            found.append(parts.index(name))
        for i, partner in enumerate(found):
            if found[partner] != i:
                raise self.error(
                    (*places[i], "mirror"),
                    f"'{parts[i]}' mirrors '{parts[partner]}', but '{parts[partner]}' mirrors "
                    f"'{parts[found[partner]]}'. Give both landmarks of a pair each other as `mirror`.",
                )
        return tuple(found)

    def drawing(
        self, values: dict[str, Any], place: Place, landmarks: list[dict[str, Any]], parts: list[str]
    ) -> Shape | None:
        if "outline" not in values:
            if extra := next((key for key in _DRAWING if key in values), None):
                raise self.error((*place, extra), "a drawing needs an `outline` too. Add it, or remove this.")
            for i, landmark in enumerate(landmarks):
                if "at" in landmark:
                    raise self.error(
                        (*place, "landmarks", i, "at"),
                        "a drawing needs an `outline` of its category too. Add it, or remove every `at`.",
                    )
            return None
        points: dict[Point | str, Point] = {}
        for i, (landmark, part) in enumerate(zip(landmarks, parts, strict=True)):
            at = (*place, "landmarks", i)
            if "at" not in landmark:
                raise self.error(at, f"'{part}' has no `at`, but the category has an `outline`. Say where it lies.")
            points[part] = self.point(landmark["at"], (*at, "at"))
        outline = self.contour(values["outline"], (*place, "outline"), points, parts, _CLOSED)
        panels, lines, straps = (
            tuple(
                self.contour(line, (*place, key, i), points, parts, _CLOSED if key == "panels" else _LINE)
                for i, line in enumerate(self.sequence(values.get(key, []), (*place, key), "contours"))
            )
            for key in CONTOURS
        )
        aspect = self.positive(values.get("aspect", 1.0), (*place, "aspect"))
        return Shape(
            aspect=aspect,
            points=tuple(points.values()),
            outline=outline,
            panels=panels or (outline,),
            inner_lines=lines,
            straps=straps,
        )

    def contour(
        self, entry: Any, place: Place, points: dict[Point | str, Point], parts: Sequence[str], at_least: int
    ) -> tuple[int, ...]:
        """The indices in `points` of a contour's names and coordinates; new coordinates are added to them."""
        keys: list[Point | str] = []
        for i, one in enumerate(self.sequence(entry, place, "landmarks or [x, y]", at_least=at_least)):
            if isinstance(one, str) and one in parts:
                keys.append(one)
            elif isinstance(one, list):
                point = self.point(one, (*place, i))
                points.setdefault(point, point)
                keys.append(point)
            else:
                raise self.error((*place, i), f"{_shown(one)} is no landmark here. {_choices(one, parts)}")
        order = {key: i for i, key in enumerate(points)}
        return tuple(order[key] for key in keys)

    def mapping(self, value: Any, place: Place, *, known: Sequence[str], needed: Sequence[str]) -> dict[str, Any]:
        if not isinstance(value, dict):
            raise self.error(place, f"expected the keys {', '.join(known)}, found {_shown(value)}.")
        for key in value:
            if key not in known:
                raise self.error((*place, str(key)), f"this is not a key here. {nearest(str(key), known)}")
        for key in needed:
            if key not in value:
                raise self.error(place, f"'{key}' is missing. Add it.")
        return value

    def sequence(self, value: Any, place: Place, what: str, *, at_least: int = 0) -> list[Any]:
        if not isinstance(value, list) or len(value) < at_least:
            least = f" of at least {at_least}" if at_least else ""
            raise self.error(place, f"expected a list{least} ({what}), found {_shown(value)}.")
        return value

    def name(self, value: Any, place: Place) -> str:
        if not isinstance(value, str):
            raise self.error(place, f"expected a text, found {_shown(value)}. Put it in quotes.")
        name = str(value)
        if not name.isprintable() or name != " ".join(name.split(" ")).strip() or not 0 < len(name) <= _LONGEST_NAME:
            raise self.error(
                place,
                f"a name has 1 to {_LONGEST_NAME} printable characters and no space at its ends, found {name!r}."
                f"{_advice(name)}",
            )
        if wrong := sorted(_NOT_IN_NAMES & set(name)):
            raise self.error(
                place, f"{name!r} has a {wrong[0]!r}, which names of files and columns cannot have.{_advice(name)}"
            )
        if name.startswith("."):
            raise self.error(
                place, f"{name!r} begins with a dot, as hidden files do, and folders above.{_advice(name)}"
            )
        return name

    def category_name(self, value: Any, place: Place) -> str:
        name = self.name(value, place)
        if name.casefold() in _RESERVED:
            what = _RESERVED[name.casefold()]
            raise self.error(place, f"{name!r} stands for {what} in tables.{_advice(f'{name} garment')}")
        return name

    def names_differ(self, names: Iterable[str], place: Place, what: str) -> None:
        seen: dict[str, int] = {}
        for i, name in enumerate(names):
            first = seen.setdefault(name.casefold().replace(" ", "-"), i)
            if first != i:
                raise self.error(
                    (*place, i, "name"),
                    f"'{name}' is the name of {what} {first + 1} already; case and hyphens make no other name. "
                    "Rename one.",
                )

    def positive(self, value: Any, place: Place) -> float:
        number = self.number(value, place)
        if number <= 0:
            raise self.error(place, f"expected a number above 0, found {_shown(value)}.")
        return number

    def number(self, value: Any, place: Place) -> float:
        try:
            if isinstance(value, int | float) and not isinstance(value, bool) and math.isfinite(value):
                return float(value)
        except OverflowError:
            pass
        raise self.error(place, f"expected a finite number, found {_shown(value)}.")

    def point(self, value: Any, place: Place) -> Point:
        if not isinstance(value, list) or len(value) != 2:
            raise self.error(place, f"expected [x, y] in the unit square, found {_shown(value)}.")
        x, y = (self.number(one, (*place, i)) for i, one in enumerate(value))
        if not (0 <= x <= 1 and 0 <= y <= 1):
            raise self.error(place, f"expected [x, y] in the unit square, from 0 to 1, found [{x:g}, {y:g}].")
        return x, y


def _choices(name: Any, parts: Sequence[str]) -> str:
    return nearest(str(name), parts) if parts else "The category has none: give its contours points, [x, y]."


def _advice(name: str) -> str:
    """Advice to take the nearest name that is allowed; nothing where none is left."""
    allowed = "".join(letter if letter.isprintable() and letter not in _NOT_IN_NAMES else " " for letter in name)
    found = " ".join(allowed.split()).lstrip(". ")[:_LONGEST_NAME].strip()
    return f" Call it {found!r}." if found else " Give it another one."


def _shown(value: Any) -> str:
    """A value in a message: a text or number cut to 40 characters, anything else by its kind."""
    if isinstance(value, dict):
        return f"a mapping of {len(value)}"
    if isinstance(value, list):
        return f"a list of {len(value)}"
    if value is None:
        return "nothing"
    try:
        text = repr(value)
    except ValueError:  # an integer of more digits than Python prints
        return f"a very large {type(value).__name__}"
    return text if len(text) <= 40 else f"{text[:37]}..."
