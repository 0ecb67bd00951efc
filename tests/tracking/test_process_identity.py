"""A process is identified by more than its process id."""

import os
import subprocess
import sys

from deepmark.tracking.process_identity import is_dead, this_process


def test_this_process_is_alive():
    assert not is_dead(this_process())


def test_a_process_that_ended_is_dead():
    program = "from deepmark.tracking.process_identity import this_process; print(this_process())"
    ended = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True)

    assert is_dead(ended.stdout.strip())


def test_another_process_with_the_same_id_is_not_the_same():
    host, number, _ = this_process().rsplit(":", 2)

    assert is_dead(f"{host}:{number}:1000.00")


def test_a_process_of_another_machine_counts_as_alive():
    assert not is_dead(f"{os.uname().nodename}.elsewhere:1:1000.00")
