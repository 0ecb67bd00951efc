"""Files of a workspace that the stage ingest reads where they are there; dvc.yaml names them then, and only then.

vocabulary.yaml, of a team's own labels, and the corrections of labels. No other stage reads them.
"""

from pathlib import Path
from typing import Any

from deepmark.errors import DeepmarkError
from deepmark.vocabulary.vocabulary_file import FILE as VOCABULARY
from deepmark.workspace.yaml_lines import append_items, load_yaml

CORRECTIONS = "data/corrections.parquet"

_WITHOUT = {
    VOCABULARY: "for the vocabulary of DeepFashion2",
    CORRECTIONS: "where labels are to stay as they are in the raw files",
}
"""What it means to take the file out of dvc.yaml."""


def with_dependency(text: str, name: str, file: Path, *, stage: str = "ingest") -> str:
    """The text of a dvc.yaml whose stage depends on the file of this name, at the end of its list.

    Raises DeepmarkError, naming `file`, where the stage is written in another way than that of a new workspace.
    """
    if _deps(load_yaml(text), stage).count(name):
        return text
    lines, expected = text.splitlines(), load_yaml(text)
    for place in (f"stages.{stage}.do.deps", f"stages.{stage}.deps"):
        append_items(lines, place, [f"- {name}"])
    _deps(expected, stage).append(name)
    after = "\n".join(lines) + "\n"
    if load_yaml(after) != expected:
        raise DeepmarkError(f"{file}: a new line has no clear place in it. Name {name} under the deps of {stage}.")
    return after


def with_dependencies(text: str, root: Path) -> str:
    """The text of the workspace's dvc.yaml with the files that are there; raises as `with_dependency` does."""
    for name in _WITHOUT:
        if (root / name).is_file():
            text = with_dependency(text, name, root / "dvc.yaml")
    return text


def check_dependencies(root: Path) -> None:
    """Refuse a workspace with such a file of which DVC does not know, or without one that DVC knows of.

    Otherwise records of other labels would pass for those of today's. Raises DeepmarkError.
    """
    graph = root / "dvc.yaml"
    if not graph.is_file():
        return
    text = graph.read_text("utf-8")
    for name, without in _WITHOUT.items():
        exists = (root / name).is_file()
        if not exists and name not in text:
            continue
        named = name in _deps(load_yaml(text))
        if exists and not named:
            raise DeepmarkError(
                f"{root / name}: the stage ingest of {graph} does not depend on it. `deepmark upgrade` writes that "
                "into dvc.yaml; without it DVC would not notice a change of the file."
            )
        if named and not exists:
            raise DeepmarkError(
                f"{root / name}: no such file, and the stage ingest of {graph} depends on it. Put it back (`git "
                f"checkout` or `dvc checkout`), or take it out of dvc.yaml {without}."
            )


def _deps(graph: Any, name: str = "ingest") -> list[Any]:
    """The list of dependencies of a stage; an empty one where there is no such stage."""
    stage = ((graph or {}).get("stages") or {}).get(name) if isinstance(graph, dict) else None
    stage = (stage or {}).get("do", stage) if isinstance(stage, dict) else None
    deps = stage.setdefault("deps", []) if isinstance(stage, dict) else None
    return deps if isinstance(deps, list) else []
