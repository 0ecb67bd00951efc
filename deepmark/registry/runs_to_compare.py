"""The runs that a report compares its own with: the one before it, and that of the champion."""

import logging

from deepmark.errors import DeepmarkError, extras_named
from deepmark.registry.versions import CHAMPION, Registry, with_alias
from deepmark.tracking.earlier_runs import EarlierRun, figures_of_run, run_before
from deepmark.tracking.mlflow_store import has_store
from deepmark.workspace.layout import Workspace

_log = logging.getLogger(__name__)


def runs_to_compare(workspace: Workspace, run_id: str) -> list[EarlierRun]:
    """The run before this one, and the champion's where it is another; by the strategy that serves.

    A workspace without a store has none. Where the store cannot be used, a warning says so, and there are none: what is
    reported does not depend on it.
    """
    if not has_store(workspace.root):
        return []
    strategy = workspace.params.promote.strategy
    try:
        with extras_named():
            before = run_before(workspace.root, run_id, strategy=strategy)
            champion = _champion(workspace, run_id, strategy)
    except DeepmarkError as error:
        _log.warning("warning: the report compares with no earlier run: %s", error)
        return []
    if before is not None and champion is not None and before.run_id == champion.run_id:
        before = None
    return [one for one in (before, champion) if one is not None]


def _champion(workspace: Workspace, run_id: str, strategy: str) -> EarlierRun | None:
    version = with_alias(Registry(workspace.root).versions(), CHAMPION)
    if version is None or version.run_id in (None, run_id):
        return None
    name = f"champion, version {version.number}"
    return figures_of_run(workspace.root, str(version.run_id), name=name, strategy=strategy)
