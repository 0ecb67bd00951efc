"""dvc.lock: the md5 sums of what the stages made."""

import hashlib
from collections.abc import Iterable
from pathlib import Path
from typing import Any

from deepmark.errors import check_merged


def locked_outs(workspace: Path) -> dict[str, list[dict[str, Any]]]:
    """The outs of every stage, each with its `path` and `md5`, by the stage's address ("shard@train").

    Empty before any stage has run. Raises DeepmarkError where the file holds a conflict of a merge.
    """
    file = workspace / "dvc.lock"
    if not file.is_file():
        return {}
    text = file.read_text("utf-8")
    check_merged(file, text)
    return outs_in(text)


def outs_in(text: str) -> dict[str, list[dict[str, Any]]]:
    """The same in the text of a dvc.lock."""
    from ruamel.yaml import YAML

    stages = (YAML(typ="safe", pure=True).load(text) or {}).get("stages", {})
    return {address: stage.get("outs", []) for address, stage in stages.items()}


def joined_md5(lines: Iterable[str]) -> str:
    """One md5 for several lines, such as the md5 sums of several files."""
    return hashlib.md5("\n".join(lines).encode(), usedforsecurity=False).hexdigest()
