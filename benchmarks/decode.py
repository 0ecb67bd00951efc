"""Decoding of network output: ours and the published way, on the same maps, on one CPU thread.

The published way (CenterNet's) takes the sigmoid of all 294 landmark maps, their 3 x 3 maxima by pooling, the 100 best
peaks of each, and all distances between 100 detections' landmarks and these peaks.

    python benchmarks/decode.py --garments 12
"""

import argparse
import sys
import time
from collections.abc import Callable
from pathlib import Path
from statistics import median

import numpy as np
import torch

from deepmark.infer.decode import decode
from deepmark.model.heads import HeadMaps

sys.path.insert(0, str(Path(__file__).parents[1] / "tests" / "helpers"))
from head_maps import channels_last, realistic_maps
from layouts import SEPARATE
from reference import decode_plainly

AFFINE, SIZE = np.array([[0.5, 0.0, 64.0], [0.0, 0.5, 0.0]]), (1024, 768)
KNOBS = {"max_detections": 100, "landmark_threshold": 0.1}


def milliseconds(work: Callable[[], object], repeats: int) -> float:
    """Median CPU time of one call, so that other programs on the machine count little."""
    work()
    times = []
    for _ in range(repeats):
        start = time.process_time()
        work()
        times.append(1e3 * (time.process_time() - start))
    return median(times)


def ours(maps: HeadMaps) -> object:
    return decode(maps, layout=SEPARATE, affines=[AFFINE], sizes=[SIZE], **KNOBS)


def published(maps: HeadMaps) -> object:
    return decode_plainly(maps, affine=AFFINE, size=SIZE, in_order=False, **KNOBS)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--garments", type=int, default=12, help="in the picture (default %(default)s)")
    parser.add_argument("--side", type=int, default=128, help="of the maps, cells (default %(default)s)")
    parser.add_argument("--repeats", type=int, default=15, help="timed calls of each (default %(default)s)")
    options = parser.parse_args()
    torch.set_num_threads(1)
    maps = realistic_maps(0, garments=options.garments, side=options.side)
    reference = milliseconds(lambda: published(maps), max(3, options.repeats // 5))
    print(f"{options.garments} garments, {options.side} x {options.side} cells, 294 landmark channels, K = 100")
    print(f"{'published way':32} {reference:8.2f} ms")
    for name, each in (("ours", maps), ("ours, maps channels-last", channels_last(maps))):
        spent = milliseconds(lambda each=each: ours(each), options.repeats)
        print(f"{name:32} {spent:8.2f} ms   {reference / spent:5.1f} times as fast")


if __name__ == "__main__":
    main()
