"""Settings of the processes of a training."""

import subprocess
import sys

PROGRAM = """
import torch
from deepmark.train.prepare_process import prepare_process

prepare_process()
torch.set_num_threads(2)
momentum = torch.full((1_000_000,), 2.0**-126)
print(int((momentum * 0.5).count_nonzero()), int((momentum * 1.0).count_nonzero()))
"""


def test_denormal_numbers_are_zero_in_all_threads_and_normal_ones_stay():
    done = subprocess.run([sys.executable, "-c", PROGRAM], capture_output=True, text=True, check=True)

    assert done.stdout.split() == ["0", "1000000"]
