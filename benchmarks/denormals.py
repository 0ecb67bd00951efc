"""What denormal numbers cost a training on a CPU: steps from its last checkpoint, with and without them, in turns.

    python benchmarks/denormals.py WORKSPACE [--steps 20] [--rounds 5]

WORKSPACE is one in which `deepmark train` ran on a CPU and left a checkpoint; the later, the more of its momentum has
shrunk to denormal numbers. Each round restores the checkpoint twice and times the same steps in one thread, first with
denormal numbers and then without, as a training has it (deepmark/train/prepare_process.py).
"""

import argparse
import statistics
import time
from pathlib import Path

import numpy as np
import torch
from messages import one_message

from deepmark.data.augment import make_sample
from deepmark.data.sampling import sample_order, shared_batches
from deepmark.errors import DeepmarkError
from deepmark.model.detector import build_detector
from deepmark.progress import progress
from deepmark.train.checkpoint import newest_checkpoint, restore_checkpoint
from deepmark.train.distributed.process_group import ProcessGroup
from deepmark.train.optim import build_optimizer
from deepmark.train.step import Stepper, make_stepper
from deepmark.train.targets import Batch, collate
from deepmark.types import Sample
from deepmark.workspace.inputs import open_shards
from deepmark.workspace.layout import Workspace


def batches(workspace: Workspace, steps: int) -> list[Batch]:
    """The first batches of an epoch."""
    reader, params = open_shards(workspace, "train"), workspace.params

    def sample(index: int) -> Sample:
        record, jpeg = reader[index]
        rng, canvas = np.random.default_rng([1, index]), params.model.input_size
        return make_sample(record, jpeg, canvas=canvas, augment=params.augment, rng=rng, vocabulary=reader.vocabulary)

    size = params.train.batch_size
    order = sample_order(size * steps, seed=1, epoch=0) % len(reader)
    return [collate([sample(index) for index in part], pinned=False) for part in shared_batches(order, size)]


def restored(workspace: Workspace, checkpoint: Path) -> Stepper:
    params = workspace.params
    detector = build_detector(
        params.model, open_shards(workspace, "train").vocabulary, seed=1, channels_last=params.train.channels_last
    )
    group = ProcessGroup(rank=0, world_size=1, local_world_size=1, device=torch.device("cpu"))
    stepper = make_stepper(detector.train(), build_optimizer(detector, params.train), params.train, group)
    restore_checkpoint(checkpoint, stepper)
    return stepper


def denormals(stepper: Stepper) -> tuple[int, int]:
    """How many numbers of the optimizer's state are denormal, and of how many."""
    tensors = [
        each.flatten()
        for state in stepper.optimizer.state.values()
        for each in state.values()
        if torch.is_tensor(each) and each.is_floating_point()
    ]
    numbers = torch.cat(tensors).float()
    return int(((numbers != 0) & (numbers.abs() < torch.finfo(torch.float32).tiny)).sum()), len(numbers)


def milliseconds(stepper: Stepper, steps: list[Batch], rate: float) -> float:
    stepper.step(steps[0:1], rate)
    start = time.perf_counter()
    for batch in steps[1:]:
        stepper.step([batch], rate)
    return 1000 * (time.perf_counter() - start) / (len(steps) - 1)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("workspace", type=Path)
    parser.add_argument("--steps", type=int, default=20)
    parser.add_argument("--rounds", type=int, default=5)
    options = parser.parse_args()
    workspace = Workspace(options.workspace.resolve())
    found = [each for run in sorted((workspace.runs / "train").glob("*/")) if (each := newest_checkpoint(run))]
    if not found:
        raise DeepmarkError(f"{workspace.runs / 'train'}: no checkpoint. Let `deepmark train` run there for a while.")
    torch.set_num_threads(1)
    steps, rate = batches(workspace, options.steps + 1), 1e-6
    times: dict[bool, list[float]] = {False: [], True: []}
    with progress("rounds", options.rounds) as advance:
        for _ in range(options.rounds):
            for flushed, found_times in times.items():
                torch.set_flush_denormal(False)
                stepper = restored(workspace, found[-1])
                few, all_of_them = denormals(stepper)
                torch.set_flush_denormal(flushed)
                found_times.append(milliseconds(stepper, steps, rate))
            advance(1)
    torch.set_flush_denormal(False)
    print(f"{found[-1]}: {few:,} of {all_of_them:,} numbers of the optimizer are denormal")
    for words, each in zip(("with denormal numbers", "without"), times.values(), strict=True):
        print(f"{words:22} {statistics.median(each):7.1f} ms a step, least {min(each):.1f}")


if __name__ == "__main__":
    with one_message("denormals"):
        main()
