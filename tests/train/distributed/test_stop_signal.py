"""A training that is told to end finishes its step and ends with the signal's exit code."""

import os
import signal
from pathlib import Path

import pytest

from deepmark.errors import DeepmarkError
from deepmark.train import worker
from deepmark.train.distributed.stop_signal import StopSignal
from deepmark.workspace.layout import Workspace


@pytest.fixture
def stop():
    stop = StopSignal()
    stop.install()
    return stop


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_outside_of_steps_a_process_ends_at_once(stop, number):
    with pytest.raises(SystemExit) as end:
        os.kill(os.getpid(), number)

    assert end.value.code == 128 + number


def test_inside_a_step_a_signal_is_noted_and_the_process_ends_after(stop):
    done = []
    with pytest.raises(SystemExit) as end, stop.deferred():
        os.kill(os.getpid(), signal.SIGTERM)
        done.append("step")

    assert (end.value.code, done, stop.is_received) == (128 + signal.SIGTERM, ["step"], True)


def test_a_second_signal_does_not_cut_the_writing_of_the_checkpoint_short(stop):
    written = []
    with pytest.raises(KeyError), stop.deferred():
        os.kill(os.getpid(), signal.SIGINT)
        raise KeyError
    os.kill(os.getpid(), signal.SIGTERM)  # the launcher's signal comes after the terminal's
    written.append("checkpoint")

    with pytest.raises(SystemExit):
        stop.exit()
    assert written == ["checkpoint"]


def test_a_process_that_is_ending_ignores_further_signals(stop):
    with pytest.raises(SystemExit) as end:
        try:
            os.kill(os.getpid(), signal.SIGINT)
        finally:
            os.kill(os.getpid(), signal.SIGTERM)

    assert end.value.code == 128 + signal.SIGINT


def test_a_process_that_failed_ignores_signals_too(stop, monkeypatch):
    """The launcher signals it when another process has ended, which may be during the interpreter's shutdown."""
    monkeypatch.setattr(worker, "die_with_parent", lambda launcher: None)
    with pytest.raises(DeepmarkError):
        worker.run_rank(Workspace(Path("nowhere")), Path("nowhere/runs"))

    assert [signal.getsignal(number) for number in (signal.SIGTERM, signal.SIGINT)] == [signal.SIG_IGN] * 2


def test_a_process_without_a_signal_ends_as_those_that_had_one():
    with pytest.raises(SystemExit) as end:
        StopSignal().exit()

    assert end.value.code == 128 + signal.SIGTERM
