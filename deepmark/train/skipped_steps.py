"""What happens at a step whose loss or gradient is not finite: a warning, or the error that ends the training."""

import logging
import math
from collections.abc import Sequence

from deepmark.errors import DeepmarkError
from deepmark.train.step import Stepper, StepResult

MAX_SKIPPED_IN_A_ROW = 20
"""After so many skipped steps in a row a training stops in any case: then the weights are at fault, not the batch."""

MIN_LOSS_SCALE = 1e-4
"""Below this loss scale it stops too: gradients under 6e-4 are then 0 in fp16. Source: fairseq's --min-loss-scale."""

_MAX_NAMED = 40
"""At most so many images of a bad batch are named."""

_log = logging.getLogger(__name__)


def handle_skipped_step(
    stepper: Stepper, result: StepResult, *, place: str, images: Sequence[str], in_a_row: int
) -> None:
    """Tell which loss or gradient is not finite: in a warning, or in the error that ends the training.

    Under fp16 a gradient overflows now and then, which is how the largest loss scale is found: such a step is left out
    whatever `not_finite` says. `images` are the keys of the batch, `in_a_row` counts this step too.

    Raises DeepmarkError where `not_finite` is "stop", after too many skipped steps in a row, and where the loss scale
    has fallen so low that fp16 holds no gradient.
    """
    bad = [
        name for name, loss in zip(stepper.loss_names[1:], result.losses[1:], strict=True) if not math.isfinite(loss)
    ]
    what = "loss" if bad else "gradient"
    fault = f"{place}: the {what} is not a number ({', '.join(bad or result.bad_gradients) or 'its norm'})."
    named = f"Images: {', '.join(images[:_MAX_NAMED])}{' …' if len(images) > _MAX_NAMED else ''}."
    scale = stepper.scaler.get_scale() if stepper.scaler.is_enabled() and not bad else None
    if stepper.params.not_finite == "stop" and scale is None:
        raise DeepmarkError(
            f"{fault} {named} Lower train.learning_rate, set train.clip_norm, or take train.precision bf16 or fp32; "
            "train.not_finite skip leaves such steps out."
        )
    if in_a_row >= MAX_SKIPPED_IN_A_ROW:
        raise DeepmarkError(
            f"{fault} {named} {MAX_SKIPPED_IN_A_ROW} steps in a row were left out, so the weights are at fault. "
            f"{advice(stepper)}"
        )
    if scale is not None and scale < MIN_LOSS_SCALE:
        raise DeepmarkError(
            f"{fault} {named} Such steps have lowered the loss scale to {scale:.1e}, where fp16 holds no gradient. "
            f"{advice(stepper)}"
        )
    if stepper.group.is_first:
        note = named if scale is None else f"The loss scale is now {scale:g}."
        _log.warning("%s %s The step is left out.", fault, note)


def advice(stepper: Stepper) -> str:
    """What to do where steps cannot be applied."""
    if stepper.scaler.is_enabled():
        return "Take train.precision bf16 or fp32, or a lower train.learning_rate: `deepmark train --fresh`."
    return "Go back with a lower train.learning_rate: `deepmark train --fresh`."
