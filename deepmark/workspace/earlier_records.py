"""The records of the data version before this one: git knows their md5, DVC's cache has the file."""

from configparser import ConfigParser
from dataclasses import dataclass
from pathlib import Path

from deepmark.workspace.dvc_lock import locked_outs, outs_in
from deepmark.workspace.git import run_git
from deepmark.workspace.layout import Workspace

_COMMITS = 200
"""Of dvc.lock that are looked at, the latest first."""


@dataclass(frozen=True, kw_only=True, slots=True)
class EarlierRecords:
    """The file of records of a split as a commit had it, before they became what they are now."""

    commit: str
    date: str
    """Of the commit: "2026-11-30"."""

    file: Path | None
    """In DVC's cache; None where that does not have it."""


def earlier_records(workspace: Workspace, split: str) -> EarlierRecords | None:
    """The last version of a split's records that another commit had; None where none is known.

    A workspace without git, and records that DVC did not make, have no versions.
    """
    path = workspace.records_file(split).relative_to(workspace.root).as_posix()
    now = _md5([out for outs in locked_outs(workspace.root).values() for out in outs], path)
    if now is None:
        return None
    try:
        log = run_git(workspace.root, "log", f"-{_COMMITS}", "--format=%H %cs", "--", "dvc.lock")
    except FileNotFoundError:  # git is not installed
        return None
    for line in log.stdout.splitlines() if log.returncode == 0 else []:
        commit, _, date = line.partition(" ")
        text = run_git(workspace.root, "show", f"{commit}:./dvc.lock").stdout
        if now in text:
            continue
        md5 = _md5([out for outs in outs_in(text).values() for out in outs], path)
        if md5 is not None:
            cached = _cache(workspace.root) / "files/md5" / md5[:2] / md5[2:]
            return EarlierRecords(commit=commit, date=date, file=cached if cached.is_file() else None)
    return None


def _md5(outs: list[dict[str, str]], path: str) -> str | None:
    return next((out["md5"] for out in outs if out["path"] == path), None)


def _cache(root: Path) -> Path:
    """The folder of DVC's cache, as DVC's own configuration of the workspace says."""
    folder = root / ".dvc/cache"
    for name in ("config", "config.local"):
        config, file = ConfigParser(interpolation=None), root / ".dvc" / name
        config.read(file, "utf-8")
        if config.has_option("cache", "dir"):
            folder = file.parent / config.get("cache", "dir").strip('"')
    return folder
