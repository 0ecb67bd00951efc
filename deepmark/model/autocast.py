"""The number format of the network's arithmetic; weights, losses and results are always float32."""

import torch


def autocast_dtype(precision: str, device: torch.device) -> torch.dtype | None:
    """The dtype for torch.autocast; None stands for float32. On a CPU fp16 is slow, so it becomes bf16."""
    if precision == "fp32":
        return None
    return torch.float16 if precision == "fp16" and device.type == "cuda" else torch.bfloat16
