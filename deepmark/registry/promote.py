"""Which version serves: promote the challenger past the gate, roll back, list the versions.

The version with the alias `champion` in MLflow's registry serves. Every step can be repeated, and can be killed at any
moment: the next call finds what was done and finishes it.
"""

import json
from dataclasses import asdict, dataclass, replace
from typing import Any

from deepmark.errors import DeepmarkError
from deepmark.eval.metric.names import HEADLINE
from deepmark.registry.cached_evaluation import NETWORK_TAG, stored_evaluation
from deepmark.registry.comparison import Comparison, compare_versions
from deepmark.registry.exported import EXPORTED_TAG
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

PROMOTION_TAG = "promotion"
"""The tag with the gate's latest result for a version."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Promotion:
    """The result of `promote`."""

    champion: int | None
    """The version that serves now."""

    previous: int | None
    """The version that served before; the same where nothing changed."""

    challenger: int | None
    """The version that was to be promoted; None where there was none."""

    comparison: Comparison | None
    """None where there was no champion, or it could not be compared."""

    reasons: tuple[str, ...]
    """The reasons against the promotion; it was refused, or forced, where there are any."""

    message: str

    def facts(self) -> dict[str, Any]:
        """The facts that `deepmark promote --json` prints."""
        return {
            "champion": self.champion,
            "before": self.previous,
            "challenger": self.challenger,
            "failed": list(self.reasons),
            "rules": [asdict(rule) for rule in self.comparison.gate.rules] if self.comparison else [],
            "said": self.message,
        }


class RefusedError(DeepmarkError):
    """The challenger is not promoted, for the reasons in `promotion`."""

    def __init__(self, promotion: Promotion) -> None:
        super().__init__(promotion.message)
        self.promotion = promotion


def promote(workspace: Workspace, *, force: str | None = None, dry_run: bool = False) -> Promotion:
    """Make the challenger the champion where the gate holds, or for the reason in `force`.

    A `dry_run` only stores the gate's result with the challenger. Raises RefusedError where the gate does not hold;
    DeepmarkError where nothing is registered, the two cannot be compared, or an alias was moved meanwhile.
    """
    registry = Registry(workspace.root)
    versions = registry.versions()
    champion, challenger = with_alias(versions, CHAMPION), with_alias(versions, CHALLENGER)
    if challenger is None or challenger is champion:
        return _nothing_to_promote(registry, champion, challenger)
    comparison, reasons = compare_versions(registry, workspace, champion, challenger, forced=force is not None)
    result = {"at": utc_now(), "against": champion and champion.number, "failed": reasons, "forced": force}
    registry.set_tags(challenger.number, {PROMOTION_TAG: json.dumps(result)})
    promotion = Promotion(
        champion=champion.number if champion else None,
        previous=champion.number if champion else None,
        challenger=challenger.number,
        comparison=comparison,
        reasons=tuple(reasons),
        message=f"version {challenger.number} would become the champion; nothing was changed",
    )
    if reasons and force is None:
        raise RefusedError(replace(promotion, message=_refusal(promotion)))
    if dry_run:
        return promotion
    _set_champion(registry, champion, challenger)
    place = f" in place of version {champion.number}" if champion else ""
    forced = f"; forced: {force}" if reasons else ""
    message = f"version {challenger.number} is the champion{place}{forced}"
    return replace(promotion, champion=challenger.number, message=message)


def rollback(workspace: Workspace) -> dict[str, int]:
    """Make the champion before this one the champion again; returns the numbers of both.

    Raises DeepmarkError where there was none.
    """
    registry = Registry(workspace.root)
    with registry.exclusive():
        reconcile(registry)
        history = active_history(registry.versions())
        if len(history) < 2:
            serves = f"version {history[-1][0].number} is the first champion" if history else "there is no champion"
            raise DeepmarkError(f"{serves}, and nothing to go back to. `deepmark models` lists the versions.")
        (previous, _), (champion, tenure) = history[-2:]
        record_rollback(registry, champion.number, tenure)
        registry.set_alias(CHAMPION, previous.number)
    return {"champion": previous.number, "rolled_back": champion.number}


def list_models(workspace: Workspace) -> list[dict[str, Any]]:
    """The facts of every version, newest first; None for what is not known."""
    rows = []
    for version in Registry(workspace.root).versions():
        evaluation, network = stored_evaluation(version), version.json_tag(NETWORK_TAG)
        rows.append(
            {
                "version": version.number,
                "aliases": list(version.aliases),
                "created": version.created.isoformat(timespec="seconds"),
                **{name: evaluation.figures[name] if evaluation else None for name in HEADLINE},
                "strategy": evaluation.strategy if evaluation else None,
                "serves": version.serves,
                "exported": version.json_tag(EXPORTED_TAG) or {},
                "data_version": evaluation.data_version if evaluation else None,
                "megabytes": network["bytes"] / 1e6 if network else None,
                "milliseconds": evaluation.milliseconds if evaluation else None,
                "commit": version.tags.get("workspace.commit"),
                "mlflow_run": version.run_id,
                "reigns": [asdict(tenure) for tenure in tenures(version)],
                "promotion": version.json_tag(PROMOTION_TAG),
            }
        )
    return rows


def _nothing_to_promote(registry: Registry, champion: Version | None, challenger: Version | None) -> Promotion:
    if champion is None:
        raise DeepmarkError("nothing is registered that could be promoted. Register a version: `deepmark register`.")
    if challenger is not None:  # a promotion was cut off before its last step
        with registry.exclusive():
            reconcile(registry)
            registry.delete_alias(CHALLENGER)
    return Promotion(
        champion=champion.number,
        previous=champion.number,
        challenger=None,
        comparison=None,
        reasons=(),
        message=f"version {champion.number} is the champion, and there is no challenger; nothing was changed",
    )


def _set_champion(registry: Registry, champion: Version | None, challenger: Version) -> None:
    """Move the alias, unless somebody moved one since `champion` and `challenger` were compared."""
    with registry.exclusive():
        reconcile(registry)
        versions = registry.versions()
        current, candidate = with_alias(versions, CHAMPION), with_alias(versions, CHALLENGER)
        if (current and current.number) != (champion and champion.number) or candidate is None:
            raise DeepmarkError(
                f"{f'version {current.number}' if current else 'no version'} is the champion now: it was changed while "
                f"version {challenger.number} was compared. Nothing was changed here; promote again."
            )
        if candidate.number != challenger.number:
            raise DeepmarkError(
                f"version {candidate.number} is the challenger now: it was registered while version "
                f"{challenger.number} was compared. Nothing was changed; promote again."
            )
        registry.set_alias(CHAMPION, challenger.number)
        record_promotion(registry, challenger.number)
        registry.delete_alias(CHALLENGER)
        current = with_alias(registry.versions(), CHAMPION)
        if current is None or current.number != challenger.number:
            raise DeepmarkError(
                f"the alias {CHAMPION} was moved outside DeepMark at the same moment: see `deepmark models`."
            )


def _refusal(promotion: Promotion) -> str:
    reasons = "\n".join(f"  {reason}" for reason in promotion.reasons)
    return (
        f"version {promotion.challenger} is refused, and version {promotion.champion} stays the champion:\n{reasons}\n"
        "Train a better one, change the limits in params.yaml (promote), or `deepmark promote --force REASON`."
    )
