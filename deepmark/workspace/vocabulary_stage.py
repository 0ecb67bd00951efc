"""vocabulary.yaml in a workspace: the stage ingest depends on it, and no other stage reads it."""

from pathlib import Path
from typing import Any

from deepmark.errors import DeepmarkError
from deepmark.vocabulary.vocabulary_file import FILE
from deepmark.workspace.yaml_lines import append_items, load_yaml


def with_vocabulary(text: str, file: Path) -> str:
    """The text of a dvc.yaml whose stage ingest depends on vocabulary.yaml, at the end of its list.

    Raises DeepmarkError, naming `file`, where the stage is written in another way than that of a new workspace.
    """
    if _deps(load_yaml(text)).count(FILE):
        return text
    lines, expected = text.splitlines(), load_yaml(text)
    for place in ("stages.ingest.do.deps", "stages.ingest.deps"):
        append_items(lines, place, [f"- {FILE}"])
    _deps(expected).append(FILE)
    after = "\n".join(lines) + "\n"
    if load_yaml(after) != expected:
        raise DeepmarkError(f"{file}: a new line has no clear place in it. Name {FILE} under the deps of ingest.")
    return after


def check_dependency(root: Path) -> None:
    """Refuse a workspace of whose vocabulary.yaml DVC does not know, or that lacks the one that DVC knows of.

    Otherwise records of one vocabulary would pass for those of another. Raises DeepmarkError.
    """
    graph, exists = root / "dvc.yaml", (root / FILE).is_file()
    if not graph.is_file():
        return
    text = graph.read_text("utf-8")
    if exists and FILE not in _deps(load_yaml(text)):
        raise DeepmarkError(
            f"{root / FILE}: the stage ingest of {graph} does not depend on it. `deepmark upgrade` writes that into "
            "dvc.yaml; without it DVC would not notice a change of the vocabulary."
        )
    if not exists and FILE in text and FILE in _deps(load_yaml(text)):
        raise DeepmarkError(
            f"{root / FILE}: no such file, and the stage ingest of {graph} depends on it. Put it back "
            "(`git checkout vocabulary.yaml`), or take it out of dvc.yaml for the vocabulary of DeepFashion2."
        )


def _deps(graph: Any) -> list[Any]:
    """The list of dependencies of the stage ingest; an empty one where there is no such stage."""
    stage = ((graph or {}).get("stages") or {}).get("ingest") if isinstance(graph, dict) else None
    stage = (stage or {}).get("do", stage) if isinstance(stage, dict) else None
    deps = stage.setdefault("deps", []) if isinstance(stage, dict) else None
    return deps if isinstance(deps, list) else []
