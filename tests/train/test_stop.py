"""Told to end, a training finishes its step, says where it stands, and goes."""

import os
import signal
import subprocess
import sys

import pytest

from deepmark.train.stop import StopSignal


@pytest.fixture
def stop():
    before = {number: signal.getsignal(number) for number in (signal.SIGTERM, signal.SIGINT)}
    stop = StopSignal()
    stop.listen()
    yield stop
    for number, handler in before.items():
        signal.signal(number, handler)


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_outside_of_steps_a_process_ends_at_once(stop, number):
    with pytest.raises(SystemExit) as end:
        os.kill(os.getpid(), number)

    assert end.value.code == 128 + number


def test_inside_a_step_it_is_noted_and_the_process_ends_after(stop):
    done = []
    with pytest.raises(SystemExit) as end, stop.noted_only():
        os.kill(os.getpid(), signal.SIGTERM)
        done.append("step")

    assert (end.value.code, done, stop.is_heard) == (128 + signal.SIGTERM, ["step"], True)


def test_a_second_signal_does_not_cut_the_writing_of_the_checkpoint_short(stop):
    written = []
    with pytest.raises(KeyError), stop.noted_only():
        os.kill(os.getpid(), signal.SIGINT)
        raise KeyError
    os.kill(os.getpid(), signal.SIGTERM)  # the launcher's, after the terminal's
    written.append("checkpoint")

    with pytest.raises(SystemExit):
        stop.leave()
    assert written == ["checkpoint"]


def test_on_its_way_out_it_cannot_be_told_again(stop):
    with pytest.raises(SystemExit) as end:
        try:
            os.kill(os.getpid(), signal.SIGINT)
        finally:
            os.kill(os.getpid(), signal.SIGTERM)

    assert end.value.code == 128 + signal.SIGINT


def test_at_the_end_of_the_interpreter_it_cannot_be_told_either():
    """As torch cleans up after itself there, an exit would be a traceback."""
    script = """
import atexit, os, signal
from deepmark.train.stop import StopSignal
atexit.register(lambda: os.kill(os.getpid(), signal.SIGTERM))
StopSignal().listen()
"""
    ended = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True)

    assert (ended.returncode, ended.stderr) == (0, "")


def test_who_heard_nothing_ends_as_those_that_did():
    with pytest.raises(SystemExit) as end:
        StopSignal().leave()

    assert end.value.code == 128 + signal.SIGTERM
