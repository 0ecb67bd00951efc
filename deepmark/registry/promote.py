"""Which model serves: promote a version past the gate, go back, list them.

The alias `champion` in MLflow's registry is what serves. Every step may be repeated, and may be killed at any moment:
the next one finds what it had done.
"""

import json
from dataclasses import asdict, dataclass, replace
from typing import Any

from deepmark.errors import DeepmarkError
from deepmark.registry.cached_evaluation import FIGURES, NETWORK, evaluation_of
from deepmark.registry.comparison import Comparison, examine
from deepmark.registry.history import (
    active_history,
    reconcile,
    record_promotion,
    record_rollback,
    tenures,
    utc_now,
)
from deepmark.registry.versions import CHALLENGER, CHAMPION, Registry, Version, with_alias
from deepmark.workspace.layout import Workspace

PROMOTION = "promotion"
"""The tag with what the gate said last of a version."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Promotion:
    """How `promote` ended."""

    champion: int | None
    """The version that serves now."""

    before: int | None
    """The version that served before; the same where nothing changed."""

    challenger: int | None
    """The version that wanted to; None where there was none."""

    comparison: Comparison | None
    """None where there was no champion, or it could not be compared."""

    failed: tuple[str, ...]
    """Why the challenger is refused, or was promoted by force only."""

    said: str


class RefusedError(DeepmarkError):
    """The gate does not hold."""

    def __init__(self, promotion: Promotion) -> None:
        super().__init__(promotion.said)
        self.promotion = promotion


def promote(workspace: Workspace, *, force: str | None = None, dry_run: bool = False) -> Promotion:
    """Give the challenger the champion's place if the gate holds, or for the reason in `force`.

    With `dry_run` only the verdict is noted on the challenger. Raises RefusedError where the gate does not hold;
    DeepmarkError where nothing is registered, the two cannot be compared, or somebody changed the aliases meanwhile.
    """
    registry = Registry(workspace.root)
    versions = registry.versions()
    champion, challenger = with_alias(versions, CHAMPION), with_alias(versions, CHALLENGER)
    if challenger is None or challenger is champion:
        return _nothing_to_promote(registry, champion, challenger)
    comparison, failed = examine(registry, workspace, champion, challenger, forced=force is not None)
    note = {"at": utc_now(), "against": champion and champion.number, "failed": failed, "forced": force}
    registry.note(challenger.number, {PROMOTION: json.dumps(note)})
    ended = Promotion(
        champion=champion.number if champion else None,
        before=champion.number if champion else None,
        challenger=challenger.number,
        comparison=comparison,
        failed=tuple(failed),
        said=f"version {challenger.number} would become the champion; nothing was changed",
    )
    if failed and force is None:
        raise RefusedError(replace(ended, said=_refusal(ended)))
    if dry_run:
        return ended
    _set_champion(registry, champion, challenger)
    place = f" in place of version {champion.number}" if champion else ""
    forced = f"; forced: {force}" if failed else ""
    said = f"version {challenger.number} is the champion{place}{forced}"
    return replace(ended, champion=challenger.number, said=said)


def rollback(workspace: Workspace) -> dict[str, int]:
    """Put back the champion before this one; returns both versions.

    Raises DeepmarkError where there was none.
    """
    registry = Registry(workspace.root)
    with registry.exclusive():
        reconcile(registry)
        history = active_history(registry.versions())
        if len(history) < 2:
            serves = f"version {history[-1][0].number} is the first champion" if history else "there is no champion"
            raise DeepmarkError(f"{serves}, and nothing to go back to. `deepmark models` lists the versions.")
        (before, _), (champion, tenure) = history[-2:]
        record_rollback(registry, champion.number, tenure)
        registry.point(CHAMPION, before.number)
    return {"champion": before.number, "rolled_back": champion.number}


def list_models(workspace: Workspace) -> list[dict[str, Any]]:
    """What is known of every version, newest first; None for what is not."""
    rows = []
    for version in Registry(workspace.root).versions():
        kept, network, last = evaluation_of(version), version.noted(NETWORK), version.noted(PROMOTION)
        rows.append(
            {
                "version": version.number,
                "aliases": list(version.aliases),
                "created": version.created.isoformat(timespec="seconds"),
                **{name: kept.figures[name] if kept else None for name in FIGURES},
                "strategy": kept.strategy if kept else None,
                "data_version": kept.data_version if kept else None,
                "megabytes": network["bytes"] / 1e6 if network else None,
                "milliseconds": kept.milliseconds if kept else None,
                "commit": version.tags.get("workspace.commit"),
                "mlflow_run": version.run_id,
                "reigns": [asdict(tenure) for tenure in tenures(version)],
                "promotion": last,
            }
        )
    return rows


def _nothing_to_promote(registry: Registry, champion: Version | None, challenger: Version | None) -> Promotion:
    if champion is None:
        raise DeepmarkError("nothing is registered that could be promoted. Register a version: `deepmark register`.")
    if challenger is not None:  # a promotion was cut off before its last step
        with registry.exclusive():
            reconcile(registry)
            registry.unpoint(CHALLENGER)
    return Promotion(
        champion=champion.number,
        before=champion.number,
        challenger=None,
        comparison=None,
        failed=(),
        said=f"version {champion.number} is the champion, and there is no challenger; nothing was changed",
    )


def _set_champion(registry: Registry, champion: Version | None, challenger: Version) -> None:
    """Move the alias, unless somebody moved one since the two were compared."""
    with registry.exclusive():
        reconcile(registry)
        versions = registry.versions()
        serves, wants = with_alias(versions, CHAMPION), with_alias(versions, CHALLENGER)
        if (serves and serves.number) != (champion and champion.number) or wants is None:
            raise DeepmarkError(
                f"{f'version {serves.number}' if serves else 'no version'} is the champion now: it was changed while "
                f"version {challenger.number} was compared. Nothing was changed here; promote again."
            )
        if wants.number != challenger.number:
            raise DeepmarkError(
                f"version {wants.number} is the challenger now: it was registered while version {challenger.number} "
                "was compared. Nothing was changed; promote again."
            )
        registry.point(CHAMPION, challenger.number)
        record_promotion(registry, challenger.number)
        registry.unpoint(CHALLENGER)
        serves = with_alias(registry.versions(), CHAMPION)
        if serves is None or serves.number != challenger.number:
            raise DeepmarkError(
                f"the alias {CHAMPION} was moved outside DeepMark at the same moment: see `deepmark models`."
            )


def _refusal(ended: Promotion) -> str:
    rules = "\n".join(f"  {reason}" for reason in ended.failed)
    return (
        f"version {ended.challenger} is refused, and version {ended.champion} stays the champion:\n{rules}\n"
        "Train a better one, change the limits in params.yaml (promote), or `deepmark promote --force REASON`."
    )
