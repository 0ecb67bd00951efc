"""The base class of the sections of params.yaml, and number types with ranges."""

from typing import Annotated, Any

from pydantic import BaseModel, ConfigDict, Field, ValidationError, field_validator

Share = Annotated[float, Field(ge=0, le=1)]
Positive = Annotated[float, Field(gt=0)]
Count = Annotated[int, Field(ge=1)]
Seed = Annotated[int, Field(ge=0, lt=2**63)]
"""What NumPy and torch take."""


class Section(BaseModel):
    """A part of params.yaml. Unknown keys are refused, and values do not change."""

    model_config = ConfigDict(extra="forbid", frozen=True, allow_inf_nan=False)

    @field_validator("*", mode="before")
    @classmethod
    def _no_truth_for_a_number(cls, value: Any, info: Any) -> Any:
        """Pydantic takes true for 1, so that `max_rejected_share: true` would reject nothing."""
        if isinstance(value, bool) and cls.model_fields[info.field_name].annotation is not bool:
            raise ValueError("true and false are no values for it")
        return value

    def stored(self) -> dict[str, Any]:
        """Its values as JSON has them, without the parameters that have a default and are at it.

        Parameters that were added with a default change no digest, run id or file of those who do not use them.
        """
        return self.model_dump(mode="json", exclude_defaults=True)

    def stored_json(self) -> str:
        """The same as a text of JSON."""
        return self.model_dump_json(exclude_defaults=True)


def faults(error: ValidationError) -> list[str]:
    """What was wrong, without the "Value error, " that Pydantic writes before the words of our own checks."""
    return [item["msg"].removeprefix("Value error, ") for item in error.errors()]
