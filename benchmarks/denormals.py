"""What denormal numbers cost a training on a CPU: steps from its last checkpoint, with and without them, in turns.

    python benchmarks/denormals.py WORKSPACE [--steps 20] [--rounds 5]

WORKSPACE is one of DeepFashion2's categories in which `deepmark train` ran on a CPU and left a checkpoint; the later,
the more of its momentum has shrunk to denormal numbers. Each round restores the checkpoint twice and times the same
steps in one thread, first with denormal numbers and then without, as a training has it
(deepmark/train/prepare_process.py).
"""

import argparse
import statistics
from pathlib import Path

import torch
from messages import one_message
from train_speed import load, measure, new_stepper

from deepmark.errors import DeepmarkError
from deepmark.progress import progress
from deepmark.train.checkpoint import newest_checkpoint, restore_checkpoint
from deepmark.train.step import Stepper
from deepmark.workspace.inputs import open_shards
from deepmark.workspace.layout import Workspace


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
    params, cpu, size = workspace.params, torch.device("cpu"), workspace.params.train.batch_size
    reader = open_shards(workspace, "train")
    steps = list(load(reader, params.model.input_size, size, options.steps + 1, params.augment, cpu))
    times: dict[bool, list[float]] = {False: [], True: []}
    with progress("rounds", options.rounds) as advance:
        for _ in range(options.rounds):
            for flushed, found_times in times.items():
                torch.set_flush_denormal(False)
                stepper = new_stepper(params.model, params.train, cpu)
                restore_checkpoint(found[-1], stepper)
                few, all_of_them = denormals(stepper)
                torch.set_flush_denormal(flushed)
                found_times.append(1000 * size / measure(stepper, iter(steps), size, warm_up=1).images)
            advance(1)
    torch.set_flush_denormal(False)
    print(f"{found[-1]}: {few:,} of {all_of_them:,} numbers of the optimizer are denormal")
    for words, each in zip(("with denormal numbers", "without"), times.values(), strict=True):
        print(f"{words:22} {statistics.median(each):7.1f} ms a step, least {min(each):.1f}")


if __name__ == "__main__":
    with one_message("denormals"):
        main()
