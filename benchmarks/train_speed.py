"""How fast the networks learn: the real training step on real samples, drawn, sharded, read, warped and augmented.

    python benchmarks/train_speed.py                      # on a GPU: 512 px, bf16, both networks, plain and compiled
    python benchmarks/train_speed.py --precision fp32 bf16 fp16 --channels-last yes no     # and everything else
    python benchmarks/train_speed.py --backbone dla34 --size 128 --batch 4 --steps 3       # what a CPU can bear

Prints images and GFLOP a second, the most memory, and the share of time in which training waited for samples. GFLOP are
those of a step's convolutions and matrices, forward and backward, as torch counts them: the heads at the targets' cells
only. On a GPU a batch that does not fit is halved until it does.
"""

import argparse
import gc
import itertools
import resource
import tempfile
import time
from collections.abc import Iterator
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass
from pathlib import Path

import cv2
import numpy as np
import torch
from loader import draw_shards
from torch.utils.flop_counter import FlopCounterMode

from deepmark.data.augment import make_sample
from deepmark.data.loader import default_threads, load_batches
from deepmark.data.sampling import sample_order, shared_batches
from deepmark.data.shards.reader import ShardReader
from deepmark.model.detector import build_detector
from deepmark.params import AugmentParams, ModelParams, TrainParams, load_params
from deepmark.train import step
from deepmark.train.distributed.process_group import ProcessGroup
from deepmark.train.optim import build_optimizer
from deepmark.train.prefetch import on_device
from deepmark.train.targets import Batch, collate
from deepmark.types import Sample
from deepmark.vocabulary import DEEPFASHION2
from deepmark.workspace.init import profile_file

GOALS = {"dla34": 650, "hourglass104": 140}
"""Images a second at 512 px in bf16, on one card of the class of an H200."""

GPU, CPU = {"size": 512, "batch": 64, "steps": 40}, {"size": 128, "batch": 4, "steps": 4}
WARM_UP = 3
RATE = 1e-5


@dataclass(frozen=True, kw_only=True, slots=True)
class Speed:
    images: float
    """A second."""

    waiting: float
    """Share of the time."""

    gigabytes: float


def load(
    reader: ShardReader,
    canvas: tuple[int, int],
    batch: int,
    steps: int,
    augment: AugmentParams,
    device: torch.device,
) -> Iterator[list[Batch]]:
    """As many steps, on the device, as training would get them."""

    def make(index: int) -> Sample:
        record, jpeg = reader[index % len(reader)]
        rng = np.random.default_rng([1, index])
        return make_sample(record, jpeg, canvas=canvas, augment=augment, rng=rng, vocabulary=DEEPFASHION2)

    batches = shared_batches(sample_order(batch * steps, seed=1, epoch=0), batch)
    loaded = load_batches(batches, make, threads=default_threads())
    return on_device(([collate(samples, pinned=device.type == "cuda")] for samples in loaded), device)


def new_stepper(model: ModelParams, params: TrainParams, device: torch.device) -> step.Stepper:
    detector = build_detector(model, DEEPFASHION2, seed=1, channels_last=params.channels_last)
    detector.to(device).train()
    group = ProcessGroup(rank=0, world_size=1, local_world_size=1, device=device)
    return step.make_stepper(detector, build_optimizer(detector, params), params, group)


def measure(
    stepper: step.Stepper,
    steps: Iterator[list[Batch]],
    batch: int,
    *,
    warm_up: int = WARM_UP,
    alone: AbstractContextManager | None = None,
) -> Speed:
    """The speed of all steps after those of the warm-up; they are done inside `alone`."""
    device, waited, count = stepper.group.device, 0.0, 0
    for _ in range(warm_up):
        stepper.step(next(steps), RATE)
    with alone or nullcontext():
        if device.type == "cuda":
            torch.cuda.synchronize(device)
            torch.cuda.reset_peak_memory_stats(device)
        start = asked = time.perf_counter()
        for parts in steps:
            waited += time.perf_counter() - asked
            stepper.begin(parts, RATE)  # as in training, which reads results now and then
            count += 1
            asked = time.perf_counter()
        if device.type == "cuda":
            torch.cuda.synchronize(device)
        seconds = time.perf_counter() - start
    peak = torch.cuda.max_memory_allocated(device) if device.type == "cuda" else 1024 * _resident_kib()
    return Speed(images=batch * count / seconds, waiting=waited / seconds, gigabytes=peak / 1e9)


def _resident_kib() -> int:
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss


def gflop_of_a_picture(stepper: step.Stepper, steps: Iterator[list[Batch]], batch: int) -> float:
    """Of one whole step, forward and backward."""
    (parts,) = steps
    with FlopCounterMode(display=False) as counter:
        stepper.step(parts, RATE)
    return counter.get_total_flops() / batch / 1e9


def yes_or_no(word: str) -> bool:
    return {"yes": True, "no": False}[word]


def parse(device: torch.device) -> argparse.Namespace:
    usual = GPU if device.type == "cuda" else CPU
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--backbone", nargs="+", default=["dla34", "hourglass104"])
    parser.add_argument("--precision", nargs="+", default=["bf16"], choices=["fp32", "bf16", "fp16"])
    compiled = [False, True] if device.type == "cuda" else [False]
    parser.add_argument("--compile", nargs="+", type=yes_or_no, default=compiled, metavar="yes|no")
    parser.add_argument("--channels-last", nargs="+", type=yes_or_no, default=[True], metavar="yes|no")
    parser.add_argument("--size", type=int, default=usual["size"], help="side of the input, pixels")
    parser.add_argument("--batch", type=int, default=usual["batch"], help="pictures a step")
    parser.add_argument("--steps", type=int, default=usual["steps"], help=f"timed, after {WARM_UP} that are not")
    parser.add_argument("--pictures", type=int, default=64, help="drawn for it, 750 x 1000 pixels each")
    return parser.parse_args()


def main() -> None:
    device = torch.device("cuda", 0) if torch.cuda.is_available() else torch.device("cpu")
    options = parse(device)
    cv2.setNumThreads(0)
    profile = load_params(profile_file("paper"))
    describe(device, options)
    with tempfile.TemporaryDirectory() as folder:
        reader = draw_shards(Path(folder), options.pictures)
        for backbone in options.backbone:
            model = profile.model.model_copy(update={"backbone": backbone, "input_size": (options.size,) * 2})
            for choice in itertools.product(options.precision, options.channels_last, options.compile):
                names = dict(zip(("precision", "channels_last", "compile"), choice, strict=True))
                params = profile.train.model_copy(update=names)
                print(run(reader, model, params, profile.augment, options, device), flush=True)


def measure_what_fits(
    reader: ShardReader,
    model: ModelParams,
    params: TrainParams,
    augment: AugmentParams,
    *,
    batch: int,
    steps: int,
    device: torch.device,
    warm_up: int = WARM_UP,
    alone: AbstractContextManager | None = None,
) -> tuple[int, Speed]:
    """The batch, halved until it fits the device, and the speed with it."""
    while True:
        loaded = load(reader, model.input_size, batch, steps + warm_up, augment, device)
        try:
            return batch, measure(new_stepper(model, params, device), loaded, batch, warm_up=warm_up, alone=alone)
        except torch.OutOfMemoryError:
            batch //= 2
            if not batch:
                raise
        loaded = None
        gc.collect()
        torch.cuda.empty_cache()


def describe(device: torch.device, options: argparse.Namespace) -> None:
    if device.type == "cuda":
        print(f"{torch.cuda.get_device_name(device)}, {default_threads()} loader threads, {options.size} px")
        return
    print(f"no GPU here: CPU, {torch.get_num_threads()} threads, {options.size} px; fp16 computes as bf16 on it, and")
    print("memory is the most this process has held so far. On a GPU: python benchmarks/train_speed.py")


def run(
    reader: ShardReader,
    model: ModelParams,
    params: TrainParams,
    augment: AugmentParams,
    options: argparse.Namespace,
    device: torch.device,
) -> str:
    """One line of figures."""
    batch, speed = measure_what_fits(
        reader, model, params, augment, batch=options.batch, steps=options.steps, device=device
    )
    plain = new_stepper(model, params.model_copy(update={"compile": False}), device)
    gflop = gflop_of_a_picture(plain, load(reader, model.input_size, batch, 1, augment, device), batch)
    goal = f"   goal on an H200: {GOALS[model.backbone]}" if options.size == 512 and model.backbone in GOALS else ""
    return (
        f"{model.backbone:12} {params.precision} {'channels last' if params.channels_last else 'channels first'} "
        f"{'compiled' if params.compile else 'plain   '} batch {batch:3}: {speed.images:7.1f} images/s "
        f"{speed.images * gflop:9.1f} GFLOP/s ({gflop:.1f} a picture) {speed.gigabytes:6.2f} GB "
        f"{speed.waiting:5.1%} waiting{goal}"
    )


if __name__ == "__main__":
    main()
