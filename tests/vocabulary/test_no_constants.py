"""What the categories are is known by deepmark/vocabulary alone: everything else is told the vocabulary."""

import ast
from collections.abc import Iterator
from pathlib import Path

from workspaces import REPOSITORY

from deepmark.vocabulary import DEEPFASHION2

NUMBERS = {DEEPFASHION2.landmarks, 2 * DEEPFASHION2.landmarks, 3 * DEEPFASHION2.landmarks, DEEPFASHION2.most_landmarks}
"""Landmarks, their vectors, the numbers of an annotation in a COCO file, and those of the longest category."""

NAMES = {"CATEGORIES", "CATEGORY_BY_NAME", "LANDMARKS", "MOST_LANDMARKS", "MIRROR", "PARTS", "SIGMAS"}
"""What deepmark/schema.py offered when there was one vocabulary."""

FOR_ITS_OWN_SAKE = {
    "deepmark/__init__.py": "offers it to people",
    "deepmark/data/coco/guess_vocabulary.py": "its median sigma is the default, and a file of it needs no vocabulary",
    "deepmark/data/ingest/left_right_check.py": "one rule is about how its figure numbers a collar",
    "deepmark/model/centernet_import.py": "published weights become a model of it",
    "deepmark/synthetic": "draws it on wearers",
}
"""Modules that are about DeepFashion2, or hold what is of it alone."""


def modules() -> Iterator[tuple[str, ast.Module]]:
    for package in ("deepmark", "assets", "pipelines"):
        for path in sorted((REPOSITORY / package).rglob("*.py")):
            name = str(path.relative_to(REPOSITORY))
            if Path("deepmark/vocabulary") not in Path(name).parents:
                yield name, ast.parse(path.read_text("utf-8"))


def test_no_module_has_the_numbers_of_deepfashion2():
    found = [
        (name, node.lineno, node.value)
        for name, tree in modules()
        for node in ast.walk(tree)
        if isinstance(node, ast.Constant) and type(node.value) is int and node.value in NUMBERS
    ]

    assert {294, 588, 882, 39} == NUMBERS
    assert found == []


def test_no_module_of_ours_offers_categories_without_a_vocabulary():
    imported = [
        (name, alias.name)
        for name, tree in modules()
        for node in ast.walk(tree)
        if isinstance(node, ast.ImportFrom) and (node.module or "").startswith("deepmark")
        for alias in node.names
        if alias.name in NAMES
    ]

    assert imported == []


def test_the_built_in_vocabulary_is_a_default_or_a_comparison_wherever_else_it_is_named():
    """Nobody else takes categories or numbers from it: `DEEPFASHION2.x` stands in modules that are about it."""
    found = [
        (name, node.lineno)
        for name, tree in modules()
        if not any(name == one or name.startswith(f"{one}/") for one in FOR_ITS_OWN_SAKE)
        for node in ast.walk(tree)
        if isinstance(node, ast.Attribute) and isinstance(node.value, ast.Name) and node.value.id == "DEEPFASHION2"
    ]

    assert found == []
