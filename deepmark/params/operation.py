"""Sections of params.yaml about operation: schedules, freshness, and the gate of a promotion."""

from typing import Annotated, Literal
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

from pydantic import Field, field_validator, model_validator

from deepmark.eval.metric.names import HeadlineMetric
from deepmark.params.section import Positive, Section, Share
from deepmark.schema import EXPORTED_STRATEGIES, Strategy

Days = Annotated[float, Field(ge=0.001, le=10_000)]
"""Dagster takes ages of a minute or more, and Python some million days at most."""


class AutomationParams(Section):
    schedule: Annotated[str, Field(pattern=r"^\S+( \S+){4}$")]
    """When the retraining runs, once the schedule is switched on: minute, hour, day, month and weekday, as in cron."""

    timezone: str
    """Time zone of the schedule, such as "Europe/Berlin"."""

    look_every_minutes: Positive
    """Interval at which the sensor looks for changed raw files."""

    settled_minutes: Annotated[float, Field(ge=0)]
    """A retraining starts when raw files have changed and then stayed unchanged for this long."""

    report_days: Days
    """An older report is shown as out of date."""

    champion_days: Days
    """A champion that no retraining has replaced or confirmed for this long is shown as out of date, too."""

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
    """The strategy whose figures are compared, and that the served model uses."""

    serve: Literal["checkpoint", "float32", "float16", "int8"]
    """The file that serves, and that the gate compares: the checkpoint, run by torch, or one of those in export/."""

    primary_metric: HeadlineMetric
    tolerance: Share
    """The 95% interval of the primary metric's difference, challenger - champion, must lie above minus this."""

    max_category_drop: Share
    """Largest loss of the primary metric that is allowed in any category or subset."""

    max_latency_ratio: Positive
    """Largest allowed time of a forward pass of the challenger, relative to the champion's."""

    max_size_ratio: Positive
    """Largest allowed size of the challenger's file, relative to the champion's."""

    @model_validator(mode="after")
    def _is_served(self) -> "PromoteParams":
        if self.serve != "checkpoint" and self.strategy not in EXPORTED_STRATEGIES:
            raise ValueError(
                f"an exported file serves the strategies {' and '.join(EXPORTED_STRATEGIES)}, not {self.strategy}: "
                "set strategy to one of them, or serve to checkpoint"
            )
        return self
