"""The section of params.yaml about the network."""

from typing import Any, Literal

from pydantic import ValidationError, model_validator

from deepmark.errors import DeepmarkError
from deepmark.params.section import Count, Section, faults
from deepmark.schema import Backbone


class ModelParams(Section):
    backbone: Backbone
    """The network that computes features: dla34 and hourglass104 are the paper's, mobile is for processors."""

    input_size: tuple[Count, Count]
    """Height and width of the network's input, pixels; multiples of 32 (of 128 for the hourglass)."""

    deformable: bool = True
    """Whether the up path of dla34 has deformable convolutions; plain 3x3 ones otherwise."""

    landmark_maps: Literal["separate", "grouped"] = "separate"
    """separate: one map per landmark, 294; grouped: one map for all landmarks of the same meaning in all categories."""

    @property
    def size_divisor(self) -> int:
        """The sides of the network's input are multiples of this, pixels: the largest stride."""
        return 128 if self.backbone is Backbone.HOURGLASS104 else 32

    @model_validator(mode="after")
    def _whole_cells(self) -> "ModelParams":
        if any(side % self.size_divisor for side in self.input_size):
            sizes = f"input_size {list(self.input_size)} must be multiples of {self.size_divisor}"
            raise ValueError(f"{sizes} for backbone {self.backbone}")
        return self


def model_params(*, backbone: str, input_size: tuple[int, int], **others: Any) -> ModelParams:
    """The section `model` of a network that is described outside params.yaml.

    Raises DeepmarkError for values that params.yaml may not have either.
    """
    try:
        return ModelParams.model_validate({"backbone": backbone, "input_size": input_size, **others})
    except ValidationError as error:
        raise DeepmarkError("; ".join(faults(error)) + ".") from None
