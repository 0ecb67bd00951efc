"""The number format of the network's arithmetic; weights, losses and results are always float32."""

import torch
from torch import Tensor

_HAS_BF16 = (8, 0)
"""The least compute capability of an NVIDIA GPU that multiplies in bf16: Ampere's. torch imitates it on earlier ones.

Source: NVIDIA, CUDA C++ Programming Guide, arithmetic instructions by compute capability.
"""


def number_format(precision: str, device: torch.device) -> str:
    """What "auto" stands for on a device: bf16 where it computes in it, else fp16 on a GPU and fp32 on a CPU.

    Other names stay as they are.
    """
    if precision != "auto":
        return precision
    if device.type == "cuda":
        return "bf16" if torch.cuda.get_device_capability(device) >= _HAS_BF16 else "fp16"
    return "bf16" if _cpu_has_bf16() else "fp32"


def _cpu_has_bf16() -> bool:
    """Whether the processor multiplies in bf16 (AVX-512 BF16 or AMX); others imitate it, in three times the time."""
    able = torch.cpu.get_capabilities()
    return bool(able.get("avx512_bf16") or able.get("amx_bf16"))


def autocast_dtype(precision: str, device: torch.device) -> torch.dtype | None:
    """The dtype for torch.autocast; None stands for float32. On a CPU fp16 is slow, so it becomes bf16."""
    precision = number_format(precision, device)
    if precision == "fp32":
        return None
    return torch.float16 if precision == "fp16" and device.type == "cuda" else torch.bfloat16


def at_least_float32(values: Tensor) -> Tensor:
    """The values in float32, or in float64 if they are in that."""
    return values.to(torch.promote_types(values.dtype, torch.float32))
