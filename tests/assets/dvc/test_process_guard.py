import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import psutil
import pytest
from processes import processes_in, wait_until
from workspaces import REPOSITORY

STUBBORN = """
import signal, subprocess, sys, time, pathlib
signal.signal(signal.SIGINT, signal.SIG_IGN)
signal.signal(signal.SIGTERM, signal.SIG_IGN)
if len(sys.argv) > 1:
    subprocess.Popen([sys.executable, __file__], start_new_session=True)
    pathlib.Path("started").touch()
time.sleep(600)
"""


def guard(folder: Path, *command: str) -> subprocess.Popen:
    return subprocess.Popen(
        [sys.executable, "-m", "assets.dvc.process_guard", *command],
        cwd=folder,
        env={**os.environ, "PYTHONPATH": str(REPOSITORY)},
        stdin=subprocess.PIPE,
    )


@pytest.fixture
def stubborn(tmp_path):
    """A guard over a process that ignores polite signals and has a child in a session of its own."""
    (tmp_path / "stubborn.py").write_text(STUBBORN)
    guarding = guard(tmp_path, sys.executable, "stubborn.py", "with a child")
    assert wait_until((tmp_path / "started").exists, seconds=20)
    assert wait_until(lambda: len(processes_in(tmp_path)) == 3, seconds=20)
    yield guarding
    for process in processes_in(tmp_path):
        process.kill()
    guarding.stdin.close()
    guarding.wait()


@pytest.mark.parametrize("status", [0, 3])
def test_the_guard_exits_as_the_command_does(tmp_path, status):
    with guard(tmp_path, sys.executable, "-c", f"raise SystemExit({status})") as guarding:
        assert guarding.wait(20) == status


def test_a_command_that_cannot_be_started_is_one_message(tmp_path):
    (tmp_path / "notes").write_text("no program")
    for command, reason in (("./nowhere", "no such file or folder."), ("./notes", "permission denied.")):
        done = subprocess.run(
            [sys.executable, "-m", "assets.dvc.process_guard", command],
            cwd=tmp_path,
            env={**os.environ, "PYTHONPATH": str(REPOSITORY)},
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            check=False,
        )

        assert done.returncode == 1
        assert done.stderr.startswith(f"{command}: {reason}")
        assert len(done.stderr.splitlines()) == 1


@pytest.mark.slow
def test_a_guard_that_is_told_to_stop_ends_everything_within_five_seconds(stubborn, tmp_path):
    started = time.monotonic()
    stubborn.send_signal(signal.SIGTERM)

    assert stubborn.wait(20) == 128 + signal.SIGTERM
    assert processes_in(tmp_path) == []
    assert time.monotonic() - started < 5


@pytest.mark.slow
def test_a_guard_whose_starter_is_gone_ends_everything(stubborn, tmp_path):
    stubborn.stdin.close()

    assert wait_until(lambda: processes_in(tmp_path) == [], seconds=5)


@pytest.mark.slow
def test_orphans_of_a_killed_command_are_found(stubborn, tmp_path):
    (command,) = psutil.Process(stubborn.pid).children()
    command.kill()

    assert wait_until(lambda: processes_in(tmp_path) == [], seconds=5)


def test_an_adopted_process_that_has_ended_is_no_zombie(tmp_path):
    # A child that ends at once has a grandchild that lives a little longer than it.
    orphan = f"import subprocess; subprocess.Popen([{sys.executable!r}, '-c', 'open(\"ended\", \"w\")'])"
    lasting = f"import subprocess, time; subprocess.run([{sys.executable!r}, '-c', {orphan!r}]); time.sleep(600)"
    with guard(tmp_path, sys.executable, "-c", lasting) as guarding:
        assert wait_until((tmp_path / "ended").exists, seconds=20)
        below = psutil.Process(guarding.pid)
        assert wait_until(lambda: len(below.children(recursive=True)) == 1, seconds=20)
        guarding.stdin.close()


def test_processes_that_a_command_leaves_running_end_with_it(tmp_path):
    (tmp_path / "stubborn.py").write_text(STUBBORN)
    daemon = f"import subprocess; subprocess.Popen([{sys.executable!r}, 'stubborn.py'], start_new_session=True)"
    with guard(tmp_path, sys.executable, "-c", daemon) as guarding:
        assert guarding.wait(20) == 0

    assert processes_in(tmp_path) == []
