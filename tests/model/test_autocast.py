"""The number format "auto" is one that the device computes in."""

import pytest
import torch

from deepmark.model.autocast import autocast_dtype, number_format


@pytest.mark.parametrize(
    ("capability", "format_", "dtype"),
    [((7, 5), "fp16", torch.float16), ((8, 0), "bf16", torch.bfloat16), ((9, 0), "bf16", torch.bfloat16)],
)
def test_auto_is_bf16_where_a_gpu_computes_in_it_and_fp16_elsewhere(monkeypatch, capability, format_, dtype):
    monkeypatch.setattr("torch.cuda.get_device_capability", lambda device: capability)
    gpu = torch.device("cuda", 0)

    assert number_format("auto", gpu) == format_
    assert autocast_dtype("auto", gpu) == dtype


def test_auto_is_bf16_on_a_cpu_and_a_named_format_stays():
    cpu = torch.device("cpu")

    assert autocast_dtype("auto", cpu) is torch.bfloat16
    assert [number_format(name, cpu) for name in ("fp32", "bf16", "fp16")] == ["fp32", "bf16", "fp16"]
