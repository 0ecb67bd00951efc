"""Sections of params.yaml about operation: schedules, freshness, and the gate of a promotion."""

from typing import Annotated
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

from pydantic import Field, field_validator

from deepmark.eval.metric.names import HeadlineMetric
from deepmark.params.section import Positive, Section, Share
from deepmark.schema import Strategy

Days = Annotated[float, Field(ge=0.001, le=10_000)]
"""Dagster takes no less than a minute for an age, and Python no more than some million days."""


class AutomationParams(Section):
    schedule: Annotated[str, Field(pattern=r"^\S+( \S+){4}$")]
    """When all is made again, once the schedule is switched on: minute, hour, day, month, weekday, as in cron."""

    timezone: str
    """Of the schedule: "Europe/Berlin"."""

    look_every_minutes: Positive
    """Between two looks at the raw files."""

    settled_minutes: Annotated[float, Field(ge=0)]
    """Changed raw files are retrained on once they have been left alone for this long."""

    report_days: Days
    """An older report is shown as out of date."""

    champion_days: Days
    """So is a champion that no retraining has replaced or confirmed for this long."""

    @field_validator("timezone")
    @classmethod
    def _is_a_place(cls, name: str) -> str:
        try:
            ZoneInfo(name)
        except (ZoneInfoNotFoundError, ValueError, OSError):
            raise ValueError("not a time zone; they are called Europe/Berlin, America/New_York, UTC") from None
        return name


class PromoteParams(Section):
    strategy: Strategy
    """Whose figures decide, and which is served."""

    primary_metric: HeadlineMetric
    tolerance: Share
    """The primary metric's 95% interval, challenger - champion, must lie above minus this."""

    max_category_drop: Share
    """The most that the primary metric of a category, or of a subset, may lose."""

    max_latency_ratio: Positive
    """The most that a pass of the challenger's network may take, in passes of the champion's."""

    max_size_ratio: Positive
    """The most bytes that the challenger may have, in those of the champion."""
