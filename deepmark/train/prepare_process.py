"""What every process of a training sets before it computes anything."""

import cv2
import torch


def prepare_process() -> None:
    """Let OpenCV start no threads beside the loader's, and let denormal numbers be 0 on the CPU.

    Denormals, below 1.2e-38 in 32 bits, are no use to a training, and a processor takes many times as long for each.
    The momentum of a weight without a gradient shrinks until it is one, so that without this a training on a CPU gets
    slower from epoch to epoch (docs/results.md). Threads have the setting of the one that starts them, so this comes
    before torch has started any.
    """
    cv2.setNumThreads(0)
    torch.set_flush_denormal(True)
