"""Progress is lines in a log and a bar on a terminal."""

import io
import sys

import pytest

from deepmark import progress as module
from deepmark.progress import LINE_EVERY, progress


class Terminal(io.StringIO):
    def isatty(self) -> bool:
        return True


@pytest.fixture
def clock(monkeypatch):
    """A clock that only the test moves, by seconds."""
    now = [100.0]
    monkeypatch.setattr(module.time, "monotonic", lambda: now[0])

    def wait(seconds: float) -> None:
        now[0] += seconds

    return wait


def test_a_log_gets_a_line_every_ten_seconds(capsys, clock):
    with progress("draw", 1000) as advance:
        for _ in range(5):
            clock(LINE_EVERY / 2)
            advance(100)

    assert capsys.readouterr() == (
        "",
        "draw: 200 of 1,000, 20 a second, 0:00:40 left\ndraw: 400 of 1,000, 20 a second, 0:00:30 left\n",
    )


def test_a_short_job_leaves_no_line_in_a_log(capsys, clock):
    with progress("draw", 10) as advance:
        clock(LINE_EVERY - 1)
        advance(10)

    assert capsys.readouterr() == ("", "")


def test_a_slow_job_shows_its_rate_with_a_fraction(capsys, clock):
    with progress("train", 100) as advance:
        clock(20)
        advance(5)

    assert "0.25 a second" in capsys.readouterr().err


def test_the_rate_of_a_resumed_job_leaves_out_what_was_done_before(capsys, clock):
    with progress("train", 100, done=90) as advance:
        clock(10)
        advance(1)

    assert capsys.readouterr().err == "train: 91 of 100, 0.1 a second, 0:01:30 left\n"


def test_on_a_terminal_there_is_a_bar_that_ends_full(monkeypatch):
    terminal = Terminal()
    monkeypatch.setattr(sys, "stderr", terminal)
    monkeypatch.setenv("TERM", "xterm")
    monkeypatch.setenv("COLUMNS", "100")
    with progress("draw", 7) as advance:
        advance(3)
        advance(4)

    assert "draw" in terminal.getvalue()
    assert "━" in terminal.getvalue()
    assert "7/7" in terminal.getvalue()


def test_a_job_of_unknown_length_shows_progress_too(capsys, clock):
    with progress("read", 0) as advance:
        clock(LINE_EVERY)
        advance(30)

    assert capsys.readouterr().err == "read: 30 of ?, 3 a second\n"


def test_an_error_inside_the_block_is_passed_on(monkeypatch):
    monkeypatch.setattr(sys, "stderr", Terminal())
    with pytest.raises(KeyError), progress("draw", 7):
        raise KeyError
