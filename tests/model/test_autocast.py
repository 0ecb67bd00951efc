"""The number format "auto" is one that the device computes in."""

import pytest
import torch

from deepmark.model.autocast import autocast_dtype, number_format

CPU = torch.device("cpu")


@pytest.mark.parametrize(
    ("capability", "format_", "dtype"),
    [((7, 5), "fp16", torch.float16), ((8, 0), "bf16", torch.bfloat16), ((9, 0), "bf16", torch.bfloat16)],
)
def test_auto_is_bf16_where_a_gpu_computes_in_it_and_fp16_elsewhere(monkeypatch, capability, format_, dtype):
    monkeypatch.setattr("torch.cuda.get_device_capability", lambda device: capability)
    gpu = torch.device("cuda", 0)

    assert number_format("auto", gpu) == format_
    assert autocast_dtype("auto", gpu) == dtype


@pytest.mark.parametrize(
    ("avx512", "amx", "format_"), [(False, False, "fp32"), (True, False, "bf16"), (False, True, "bf16")]
)
def test_auto_is_bf16_where_a_cpu_computes_in_it_and_fp32_elsewhere(monkeypatch, avx512, amx, format_):
    monkeypatch.setattr("torch.cpu.get_capabilities", lambda: {"avx512_bf16": avx512, "amx_bf16": amx})

    assert number_format("auto", CPU) == format_
    assert autocast_dtype("auto", CPU) is (torch.bfloat16 if format_ == "bf16" else None)


def test_a_named_format_stays():
    assert [number_format(name, CPU) for name in ("fp32", "bf16", "fp16")] == ["fp32", "bf16", "fp16"]


def test_torch_says_what_the_processor_computes_in():
    able = torch.cpu.get_capabilities()
    if able["architecture"] == "x86_64":
        assert {"avx512_bf16", "amx_bf16"} <= able.keys()
