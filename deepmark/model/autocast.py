"""The number format of the network's arithmetic; weights, losses and results are float32 in any case."""

import torch


def autocast_dtype(precision: str, device: torch.device) -> torch.dtype | None:
    """The format of the network's arithmetic; None is float32. A CPU has no quick fp16 and takes bf16."""
    if precision == "fp32":
        return None
    return torch.float16 if precision == "fp16" and device.type == "cuda" else torch.bfloat16
