"""benchmarks/gpu.sh runs to its end without a GPU too, at toy size, and tells what is not as it should be."""

import os
import sys
import time
from dataclasses import replace
from types import ModuleType

import pytest
import torch
from torch import nn
from workspaces import REPOSITORY, SCALAR_KERNELS, run

from deepmark.export.equality import Equality

SCRIPT = REPOSITORY / "benchmarks/gpu.sh"
WITHOUT_GPU = {"CUDA_VISIBLE_DEVICES": "", "PYTHON": sys.executable}


@pytest.fixture
def gpu(monkeypatch) -> ModuleType:
    monkeypatch.syspath_prepend(str(REPOSITORY / "benchmarks"))
    import gpu

    return gpu


@pytest.fixture
def gpu_rows(gpu) -> ModuleType:
    return sys.modules["gpu_rows"]


@pytest.mark.slow
@pytest.mark.system
@pytest.mark.timeout(3000)
def test_every_row_of_the_page_is_measured_at_toy_size(gpu, gpu_rows, tmp_path):
    page_file = tmp_path / "gpu.md"

    words = ["--toy", "--network", "mobile", "--minutes", "45", "--out", page_file]  # all take five times as long
    done = run(SCRIPT, *words, cwd=tmp_path, **WITHOUT_GPU, **SCALAR_KERNELS)

    page = page_file.read_text("utf-8")
    assert done.code == 0, done.err
    assert "not as it should be" not in page
    for part in gpu.plan(gpu_rows.TOY, at_once=1, backbones=["mobile"]):
        table = page.split(f"## {part.title}\n")[1].split("\n## ")[0]
        rows = [line.split("|")[1].strip() for line in table.splitlines() if line.startswith("|")][2:]
        assert rows == [task.name for task in part.tasks]


def test_without_a_gpu_it_says_how_to_try_it_on_a_cpu(tmp_path):
    done = run(SCRIPT, "--out", tmp_path / "gpu.md", cwd=tmp_path, **WITHOUT_GPU)

    assert done.code == 1
    assert "`benchmarks/gpu.sh --toy` runs on a CPU." in done.err
    assert not (tmp_path / "gpu.md").exists()


@pytest.mark.parametrize("at_once", [1, 3])
def test_its_parts_take_ten_minutes_together(gpu, gpu_rows, at_once):
    assert sum(part.seconds for part in gpu.plan(gpu_rows.GPU, at_once=at_once)) == 600


def test_a_gpu_is_measured_in_every_precision_with_and_without_compile(gpu, gpu_rows):
    tasks = [
        task.options for part in gpu.plan(gpu_rows.GPU, at_once=3) for task in part.tasks if "precision" in task.options
    ]

    measured = {(each["backbone"], each["precision"], each["compiled"]) for each in tasks}

    assert len(tasks) == len(measured) == 3 * 3 * 2


def test_a_row_that_fails_is_named_with_its_reason_and_a_row_without_time_too(gpu, tmp_path):
    fails = gpu.Task(name="mobile, torch", function="inference", options={"backbone": "mobile", "runs_in": "eager"})
    part = gpu.Part(title="Inference", note="Of canvases.", seconds=1, tasks=[fails])

    failed = gpu.run(fails, tmp_path, "toy", time.monotonic() + 300)
    late = gpu.run(replace(fails, name="dla34, torch"), tmp_path, "toy", time.monotonic() - 1)
    page = gpu.page([(part, [failed, late])], {"GPU": "none"})

    assert "- Inference, mobile, torch: FileNotFoundError" in page
    assert "- Inference, dla34, torch: no time was left" in page
    assert "| mobile, torch |" in page


def test_a_row_beyond_its_time_is_stopped_with_all_its_processes(gpu, monkeypatch, tmp_path):
    waits = tmp_path / "waits.py"
    waits.write_text(
        "import subprocess, sys, time\n"
        "child = subprocess.Popen(['sleep', '600'])\n"
        "open(sys.argv[2] + '/child', 'w').write(str(child.pid))\n"
        "time.sleep(600)\n"
    )
    monkeypatch.setattr(gpu, "ROWS_FILE", waits)

    outcome = gpu.run(gpu.Task(name="slow", function="training"), tmp_path, "toy", time.monotonic() + 3)

    assert "its time was over" in outcome.fault
    with pytest.raises(ProcessLookupError):
        for _ in range(100):  # until the system has cleared it away
            os.kill(int((tmp_path / "child").read_text()), 0)
            time.sleep(0.1)


def test_devices_that_disagree_are_a_fault(gpu_rows):
    same, other = Equality(garments=100), Equality(garments=100, box=3.0)

    assert gpu_rows.disagreement(maps=1e-5, loss=1e-6, gradient=1e-5, detections=same) == {}
    assert "gradient" in gpu_rows.disagreement(maps=1e-5, loss=1e-6, gradient=0.1, detections=same)["fault"]
    assert "maps" in gpu_rows.disagreement(maps=float("nan"), loss=1e-6, gradient=1e-5, detections=same)["fault"]
    assert "garments" in gpu_rows.disagreement(maps=1e-5, loss=1e-6, gradient=1e-5, detections=other)["fault"]


@pytest.mark.parametrize(
    ("losses", "finite", "fault"),
    [
        ([2.0] * 40, [False] * 5 + [True] * 35, None),
        ([2.0, float("nan")], [True, False], "1 losses are not finite"),
        ([2.0] * 40, [False] * 40, "the gradient of no step was finite: nothing was learnt"),
        ([2.0] * 40, [True] * 20 + [False, True] * 10, "10 of 20 steps were left out after the first 20"),
    ],
)
def test_fp16_that_loses_its_steps_is_a_fault(gpu_rows, losses, finite, fault):
    assert gpu_rows.fp16_fault(losses, finite, nn.Linear(2, 2)).get("fault") == fault


def test_fp16_that_ends_with_weights_that_are_no_numbers_is_a_fault(gpu_rows):
    network = nn.Linear(2, 2)
    with torch.no_grad():
        network.weight[0, 0] = float("inf")

    assert gpu_rows.fp16_fault([1.0], [True], network) == {"fault": "weights are not finite"}
