"""The base class of the sections of params.yaml, and number types with ranges."""

from typing import Annotated

from pydantic import BaseModel, ConfigDict, Field, ValidationError

Share = Annotated[float, Field(ge=0, le=1)]
Positive = Annotated[float, Field(gt=0)]
Count = Annotated[int, Field(ge=1)]


class Section(BaseModel):
    """A part of params.yaml. Unknown keys are refused, and values do not change."""

    model_config = ConfigDict(extra="forbid", frozen=True, allow_inf_nan=False)


def faults(error: ValidationError) -> list[str]:
    """What was wrong, without the "Value error, " that Pydantic writes before the words of our own checks."""
    return [item["msg"].removeprefix("Value error, ") for item in error.errors()]
