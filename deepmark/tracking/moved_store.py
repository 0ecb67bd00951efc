"""A workspace that was moved or copied: the absolute paths that MLflow keeps in its database become those of its place.

Without this a copy would write into its original, and the models of a moved workspace would not load.
"""

import sqlite3
from contextlib import closing
from pathlib import Path
from urllib.parse import unquote, urlsplit

EXPERIMENT = "deepmark"
"""The MLflow experiment that holds all runs."""

ARTIFACTS = "mlartifacts"
"""The folder of a workspace for the artifacts of its runs."""

_PATHS = {
    "experiments": ("artifact_location",),
    "runs": ("artifact_uri",),
    "logged_models": ("artifact_location",),
    "model_versions": ("source", "storage_location"),
}
"""Where the database has absolute paths: tables and columns of MLflow 3.17, the same since 3.0."""

_TIMEOUT_SECONDS = 20.0
"""MLflow's own patience with a database that another process writes."""


def follow_workspace(database: Path) -> None:
    """Make the paths in a workspace's database those of the folder that it lies in; one query where they are already.

    Any number of processes may do it at once. Paths outside the workspace stay.
    """
    if not database.is_file():
        return
    with closing(sqlite3.connect(database, timeout=_TIMEOUT_SECONDS, isolation_level=None)) as connection:
        if _root_before(connection) in (None, database.parent):
            return
        connection.execute("BEGIN IMMEDIATE")
        before = _root_before(connection)  # another process may have done it while this one waited
        if before is not None:
            _replace_root(connection, before, database.parent)
        connection.execute("COMMIT")


def _root_before(connection: sqlite3.Connection) -> Path | None:
    """The workspace's folder when its experiment was made; None where the artifacts lie anywhere else, or nowhere."""
    if not connection.execute("SELECT 1 FROM sqlite_master WHERE name = 'experiments'").fetchone():
        return None
    query = "SELECT artifact_location FROM experiments WHERE name = ?"
    location = urlsplit((connection.execute(query, [EXPERIMENT]).fetchone() or ("",))[0] or "")
    artifacts = Path(unquote(location.path))
    return artifacts.parent if location.scheme == "file" and artifacts.name == ARTIFACTS else None


def _replace_root(connection: sqlite3.Connection, before: Path, after: Path) -> None:
    for old, new in ((f"{before.as_uri()}/", f"{after.as_uri()}/"), (f"{before}/", f"{after}/")):
        for table, columns in _PATHS.items():
            for column in columns:
                connection.execute(
                    f"UPDATE {table} SET {column} = ? || substr({column}, ?) WHERE substr({column}, 1, ?) = ?",
                    (new, len(old) + 1, len(old), old),
                )
