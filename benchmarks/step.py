"""The time and the memory of a training step, part by part, on drawn images.

    python benchmarks/step.py                                     # on a GPU: all networks, 512 px, batch 16, bf16
    python benchmarks/step.py --backbone dla34 --batch 1          # what a CPU can bear
    python benchmarks/step.py --backbone dla34 --keep-samples     # deformable layers that compute nothing again
    python benchmarks/step.py --backbone mobile --size 128 96 --batch 16 --compile --operators 12
    python benchmarks/step.py --backbone mobile --size 320 --batch 4 --threads 1 --turns   # what torch.compile gains
    python benchmarks/step.py --backbone mobile --processes 2     # and how long these exchange gradients

Each part ends with the device done, so that its time is its own; "whole" is the same step as training runs it. The
loader's time is that of one thread for the whole batch; in training it works beside the step. Gradients are exchanged
after the backward pass here, in training during it. MiB an image are what autograd keeps for the backward pass, and
with them copies of the weights in bf16 or fp16, which do not grow with the batch.
"""

import argparse
import os
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from statistics import median
from typing import Any
from unittest.mock import patch

import cv2
import numpy as np
import torch
from loader import draw_shards
from torch import Tensor, nn
from torch import distributed as dist
from torch.profiler import ProfilerActivity, profile
from train_speed import new_stepper

from deepmark.data.augment import make_sample
from deepmark.data.shards.reader import ShardReader
from deepmark.model.autocast import autocast_dtype
from deepmark.model.backbones import deform
from deepmark.params import load_params
from deepmark.train.loss import losses, mean_losses
from deepmark.train.optim import step_if, update_average
from deepmark.train.step import Stepper
from deepmark.train.targets import Batch, collate
from deepmark.workspace.init import profile_file

sys.path.insert(0, str(Path(__file__).parents[1] / "tests" / "helpers"))
from saved_bytes import saved_bytes

ALLOCATOR = {"MALLOC_MMAP_THRESHOLD_": "1000000000", "MALLOC_TRIM_THRESHOLD_": "4000000000"}
"""As in a training; else each step takes page faults for its maps."""

GPU, CPU = {"batch": 16, "precision": "bf16", "steps": 20}, {"batch": 1, "precision": "fp32", "steps": 5}
WARM_UP = 2
RATE = 1e-5


@dataclass(kw_only=True, slots=True)
class Clock:
    """Times of named parts, each from a device that is done to a device that is done."""

    device: torch.device
    ms: dict[str, list[float]] = field(default_factory=dict)

    @contextmanager
    def __call__(self, name: str) -> Iterator[None]:
        start = self._now()
        yield
        self.ms.setdefault(name, []).append(1e3 * (self._now() - start))

    def _now(self) -> float:
        if self.device.type == "cuda":
            torch.cuda.synchronize(self.device)
        return time.perf_counter()


def canvas_of(options: argparse.Namespace) -> tuple[int, int]:
    """Height and width of the input."""
    return options.size[0], options.size[-1]


def load(reader: ShardReader, number: int, options: argparse.Namespace) -> Batch:
    """The batch of a step: read, decoded, warped and augmented."""
    rng, augment = np.random.default_rng([1, number]), load_params(profile_file("paper")).augment
    places = [(number * options.batch + place) % len(reader) for place in range(options.batch)]
    canvas = canvas_of(options)
    return collate(
        [
            make_sample(*reader[place], canvas=canvas, augment=augment, rng=rng, vocabulary=reader.vocabulary)
            for place in places
        ]
    )


def forward(stepper: Stepper, batch: Batch, clock: Clock) -> tuple[tuple[Tensor, ...], list[Tensor], Tensor]:
    """The features of every stack, the same cut off from the backbone, and the total loss of these."""
    detector, params, device = stepper.detector, stepper.params, stepper.group.device
    with clock("targets"):
        targets = stepper.loss_targets(batch)
    dtype = autocast_dtype(params.precision, device)
    with torch.autocast(device.type, dtype, enabled=dtype is not None):
        with clock("backbone forward"):
            images = detector.normalize(batch.images)
            features = detector.backbone(images if params.channels_last else images.contiguous())
        cut = [each.detach().requires_grad_() for each in features]
        with clock("heads forward"):
            heads = (*detector.earlier_heads, detector.heads)
            stacks = [each.gather_at(seen, *targets.cells) for each, seen in zip(heads, cut, strict=True)]
    with clock("loss"):
        counts = {"weights": params.loss_weights, "counts": targets.counts}
        total = mean_losses(losses(each, targets, **counts) for each in stacks).total
    return features, cut, total


def step(stepper: Stepper, batch: Batch, clock: Clock) -> None:
    """A training step, as `Stepper.step` but in parts."""
    stepper.optimizer.zero_grad(set_to_none=True)
    features, cut, total = forward(stepper, batch, clock)
    with clock("loss and heads backward"):
        total.backward()
    with clock("backbone backward"):
        torch.autograd.backward(features, [each.grad for each in cut])
    gradients = [weight.grad for weight in stepper.detector.parameters() if weight.grad is not None]
    if stepper.group.world_size > 1:
        with clock("exchange"):
            dist.all_reduce(torch.cat([each.flatten() for each in gradients]))
    with clock("optimizer"):
        apply = nn.utils.get_total_norm(gradients).isfinite()
        step_if(stepper.optimizer, apply)
    if stepper.average is not None:
        with clock("average"):
            update_average(stepper.average, stepper.detector, stepper.params.ema or 0.0, apply)


def mebibytes(stepper: Stepper, batch: Batch) -> tuple[float, float]:
    """What is kept of one image for the backward pass: of the backbone, and of heads and loss."""
    both, silent = [], Clock(device=stepper.group.device)
    images, detector, dtype = stepper.detector.normalize(batch.images), stepper.detector, stepper.params.precision
    kind = autocast_dtype(dtype, stepper.group.device)
    with torch.autocast(stepper.group.device.type, kind, enabled=kind is not None):
        both.append(saved_bytes(lambda: detector.backbone(images), detector))
    both.append(saved_bytes(lambda: forward(stepper, batch, silent), detector))
    backbone, all_parts = (each / len(batch.images) / 2**20 for each in both)
    return backbone, all_parts - backbone


def stepper_of(backbone: str, options: argparse.Namespace, device: torch.device, *, compiled: bool) -> Stepper:
    """A stepper of the paper's recipe with this network."""
    paper, deformable = load_params(profile_file("paper")), not options.plain
    changes = {"backbone": backbone, "input_size": canvas_of(options), "deformable": deformable}
    switches = {"precision": options.precision, "compile": compiled, "ema": options.ema}
    return new_stepper(paper.model.model_copy(update=changes), paper.train.model_copy(update=switches), device)


def in_turns(backbone: str, reader: ShardReader, options: argparse.Namespace, device: torch.device) -> list[str]:
    """Lines of a table: whole steps with and without torch.compile, in turns so that other work burdens both alike.

    On a CPU it is the time of this process, for the same reason.
    """
    steppers = {compiled: stepper_of(backbone, options, device, compiled=compiled) for compiled in (False, True)}
    spent: dict[bool, list[float]] = {False: [], True: []}
    for number in range(WARM_UP + options.steps):
        batch = load(reader, number, options).to(device)
        for compiled, stepper in steppers.items():
            start, cpu = time.perf_counter(), time.process_time()
            stepper.step([batch], RATE)
            ms = 1e3 * (time.perf_counter() - start if device.type == "cuda" else time.process_time() - cpu)
            spent[compiled].append(ms)
            if number == 0 and compiled:
                first = time.perf_counter() - start
    plain, quick = (median(spent[compiled][WARM_UP:]) for compiled in (False, True))
    return [f"plain {plain:.1f}, compiled {quick:.1f} ({plain / quick:.2f} times as fast); first step {first:.0f} s"]


def measure(backbone: str, reader: ShardReader, options: argparse.Namespace, device: torch.device) -> list[str]:
    """Lines of a table: the parts of a step, their times, and their shares of the step."""
    stepper = stepper_of(backbone, options, device, compiled=options.compile)
    clock = Clock(device=device)
    for number in range(WARM_UP + options.steps):
        if number == WARM_UP:
            clock.ms.clear()
        with clock("loader, one thread"):
            batch = load(reader, number, options)
        batch = batch.to(device)
        step(stepper, batch, clock)
        with clock("whole"):
            stepper.step([batch], RATE)
    ms = {name: median(times) for name, times in clock.ms.items()}
    lines = [f"{name:24} {value:9.1f} {value / ms['whole']:7.1%}" for name, value in ms.items()]
    if not options.compile:  # compiled, torch plans what is kept
        lines += [
            f"kept for the backward pass, MiB an image: backbone {own:.1f}, heads and loss {rest:.1f}"
            for own, rest in [mebibytes(stepper, batch)]
        ]
    if device.type == "cuda":
        lines += [f"most memory: {torch.cuda.max_memory_allocated(device) / 2**20:.0f} MiB"]
    if options.operators:
        kinds = [ProfilerActivity.CPU, *[ProfilerActivity.CUDA] * (device.type == "cuda")]
        with profile(activities=kinds) as found:
            stepper.step([batch], RATE)
        by = f"self_{device.type}_time_total"
        lines += [found.key_averages().table(sort_by=by, row_limit=options.operators, max_name_column_width=50)]
    return lines


def run(rank: int, options: argparse.Namespace, folder: str) -> None:
    """What one process does; the first prints."""
    torch.set_num_threads(options.threads)
    cv2.setNumThreads(0)
    device = torch.device(options.device, rank) if options.device == "cuda" else torch.device("cpu")
    if options.processes > 1:
        backend = "nccl" if device.type == "cuda" else "gloo"
        store = f"file://{folder}/store"
        dist.init_process_group(backend, init_method=store, rank=rank, world_size=options.processes)
    reader = draw_shards(Path(folder) / str(rank), options.images)
    for backbone in options.backbone:
        lines = (in_turns if options.turns else measure)(backbone, reader, options, device)
        if rank == 0:
            print(
                f"\n{backbone}, {' x '.join(map(str, options.size))} px, batch {options.batch}, {options.precision}\n",
                *lines,
                sep="\n",
            )
    if options.processes > 1:
        dist.destroy_process_group()


def parse() -> argparse.Namespace:
    device = "cuda" if torch.cuda.is_available() else "cpu"
    usual = GPU if device == "cuda" else CPU
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--backbone", nargs="+", default=["dla34", "hourglass104", "mobile"])
    parser.add_argument("--device", choices=["cpu", "cuda"], default=device)
    parser.add_argument("--size", type=int, nargs="+", default=[512], help="side of the input, or height and width")
    parser.add_argument("--batch", type=int, default=usual["batch"], help="images a step and process")
    parser.add_argument("--precision", choices=["fp32", "bf16", "fp16"], default=usual["precision"])
    parser.add_argument("--steps", type=int, default=usual["steps"], help=f"timed, after {WARM_UP} that are not")
    parser.add_argument("--threads", type=int, default=torch.get_num_threads(), help="of torch, on a CPU")
    parser.add_argument("--compile", action="store_true", help="compile the backbone")
    parser.add_argument("--turns", action="store_true", help="only whole steps, compiled and not, in turns")
    parser.add_argument("--plain", action="store_true", help="DLA-34 with plain convolutions for deformable ones")
    parser.add_argument("--ema", type=float, help="decay of a moving average of the weights")
    parser.add_argument("--keep-samples", action="store_true", help="of deformable layers, for the backward pass")
    parser.add_argument("--processes", type=int, default=1, help="that exchange gradients")
    parser.add_argument("--operators", type=int, default=0, metavar="N", help="list the N that take most of the time")
    parser.add_argument("--images", type=int, default=16, help="drawn for it")
    return parser.parse_args()


def keep(function: Any, *inputs: Tensor, **_: Any) -> Tensor:
    """In the place of torch's `checkpoint`: computes nothing again."""
    return function(*inputs)


def main() -> None:
    options = parse()
    if not os.environ.keys() >= ALLOCATOR.keys():  # glibc reads them when a program starts
        os.execve(sys.executable, [sys.executable, *sys.argv], os.environ | ALLOCATOR)
    where = torch.cuda.get_device_name() if options.device == "cuda" else f"CPU, {options.threads} threads"
    print(f"{where}; part of a step, ms (median of {options.steps}), share of the whole")
    with tempfile.TemporaryDirectory() as folder:
        if options.processes > 1:
            torch.multiprocessing.spawn(run, (options, folder), nprocs=options.processes)
            return
        if options.keep_samples:
            with patch.object(deform, "checkpoint", keep):
                run(0, options, folder)
            return
        run(0, options, folder)


if __name__ == "__main__":
    main()
