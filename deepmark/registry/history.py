"""The history of champions: which version was champion when, and which rollbacks there were.

History is kept in the tags of the versions. Every time a version becomes champion it gets a tag `champion.0007`, whose
number rises over all versions; a rollback marks the newest tag and goes back to the version before it. The alias
"champion" is the truth about what serves, and history follows it.
"""

import json
from dataclasses import asdict, dataclass, replace
from datetime import UTC, datetime

from deepmark.registry.versions import CHAMPION, Registry, Version, with_alias

_TAG = "champion."


@dataclass(frozen=True, kw_only=True, slots=True)
class ChampionTenure:
    """One time that a version was champion; a tag holds it as JSON, by the names of these fields."""

    number: int
    """Rising over all versions."""

    since: str
    """UTC, ISO 8601."""

    rolled_back: str | None = None
    """When a rollback ended it, UTC; None where none did."""


def tenures(version: Version) -> list[ChampionTenure]:
    """Every time that the version was champion, oldest first."""
    return [ChampionTenure(**json.loads(version.tags[tag])) for tag in sorted(version.tags) if _is_tenure(tag)]


def active_history(versions: list[Version]) -> list[tuple[Version, ChampionTenure]]:
    """The champions up to today, oldest first, without those that were rolled back."""
    active = [(version, tenure) for version in versions for tenure in tenures(version) if tenure.rolled_back is None]
    return sorted(active, key=lambda each: each[1].number)


def record_promotion(registry: Registry, number: int) -> None:
    """Write into history that a version has become champion. Call it after its alias was moved."""
    last = max((tenure.number for version in registry.versions() for tenure in tenures(version)), default=0)
    _write(registry, number, ChampionTenure(number=last + 1, since=utc_now()))


def record_rollback(registry: Registry, number: int, tenure: ChampionTenure) -> None:
    """Write into history that a champion is rolled back. Call it before its alias is moved."""
    _write(registry, number, replace(tenure, rolled_back=utc_now()))


def reconcile(registry: Registry) -> None:
    """Make history end with today's champion.

    It does not where a promotion was cut off after it moved the alias, or where somebody moved the alias in MLflow.
    """
    versions = registry.versions()
    champion, history = with_alias(versions, CHAMPION), active_history(versions)
    if champion is not None and (not history or history[-1][0].number != champion.number):
        record_promotion(registry, champion.number)


def utc_now() -> str:
    """The time in UTC, ISO 8601, to the second."""
    return datetime.now(UTC).isoformat(timespec="seconds")


def _is_tenure(tag: str) -> bool:
    return tag.startswith(_TAG) and tag.removeprefix(_TAG).isdigit()


def _write(registry: Registry, number: int, tenure: ChampionTenure) -> None:
    registry.set_tags(number, {f"{_TAG}{tenure.number:04}": json.dumps(asdict(tenure))})
