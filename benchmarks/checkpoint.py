"""How long a checkpoint takes, written and flushed, found sound by its hashes, and read back.

    python benchmarks/checkpoint.py [--backbone dla34 hourglass104] [--folder DIR] [--repeats 3]

With everything that a run may carry: weights, moments of AdamW, an average, the weights of the best epoch. "plain" is
torch.save of the same tensors, neither flushed nor hashed, and torch.load.
"""

import argparse
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from statistics import median

import torch

from deepmark.model.detector import build_detector
from deepmark.params import ModelParams, load_params
from deepmark.train.best_epoch import update_best
from deepmark.train.checkpoint import newest_checkpoint, restore_checkpoint, save_checkpoint
from deepmark.train.distributed.process_group import ProcessGroup
from deepmark.train.loop import TrainState
from deepmark.train.optim import build_optimizer
from deepmark.train.step import Stepper, make_stepper
from deepmark.vocabulary import DEEPFASHION2
from deepmark.workspace.init import profile_file


def full_stepper(backbone: str) -> tuple[Stepper, TrainState]:
    """A network after one step of gradients that are all zero."""
    params = load_params(profile_file("modern")).train
    detector = build_detector(ModelParams(backbone=backbone, input_size=(512, 512)), DEEPFASHION2, seed=1)
    group = ProcessGroup(rank=0, world_size=1, local_world_size=1, device=torch.device("cpu"))
    stepper = make_stepper(detector, build_optimizer(detector, params), params, group)
    for weight in detector.parameters():
        weight.grad = torch.zeros_like(weight)
    stepper.optimizer.step()
    return stepper, TrainState(step=1, best=update_best(None, 0, {"landmark_ap": 0.5}, stepper))


def seconds(work: Callable[[], object], repeats: int) -> float:
    times = []
    for _ in range(repeats):
        start = time.perf_counter()
        work()
        times.append(time.perf_counter() - start)
    return median(times)


def measure(backbone: str, folder: Path, repeats: int) -> str:
    stepper, state = full_stepper(backbone)
    plain = folder / "plain.pt"
    states = [stepper.detector.state_dict(), stepper.optimizer.state_dict(), stepper.kept.state_dict()]
    states += [state.best.weights] if state.best else []
    write = seconds(lambda: save_checkpoint(folder, stepper, state, facts={}, kept=2), repeats)
    path = newest_checkpoint(folder)
    assert path is not None
    size = sum(file.stat().st_size for file in path.iterdir())
    verify = seconds(lambda: newest_checkpoint(folder), repeats)
    read = seconds(lambda: restore_checkpoint(path, stepper), repeats)
    plain_write = seconds(lambda: torch.save(states, plain), repeats)
    plain_read = seconds(lambda: torch.load(plain), repeats)
    return (
        f"{size / 1e6:,.0f} MB; written in {write:.2f} s (plain {plain_write:.2f}), found sound in {verify:.2f} s, "
        f"read in {read:.2f} s (plain {plain_read:.2f})"
    )


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--backbone", nargs="+", default=["dla34", "hourglass104"])
    parser.add_argument("--folder", type=Path, help="where to write; a temporary folder by default")
    parser.add_argument("--repeats", type=int, default=3)
    arguments = parser.parse_args()
    for backbone in arguments.backbone:
        with tempfile.TemporaryDirectory(dir=arguments.folder) as folder:
            print(f"{backbone}: {measure(backbone, Path(folder), arguments.repeats)}")


if __name__ == "__main__":
    main()
