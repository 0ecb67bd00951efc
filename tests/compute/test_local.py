import os
import signal
import subprocess
import sys
import time
from contextlib import closing

import pytest

from deepmark.compute.local import AHEAD, Local
from deepmark.errors import DeepmarkError

pytestmark = pytest.mark.slow


def double(number):
    """Twice the number; larger numbers finish sooner."""
    time.sleep(0.02 * (5 - number % 5))
    return 2 * number


def refuse(number):
    if number == 3:
        raise DeepmarkError("three")
    return number


def die(number):
    os.kill(os.getpid(), signal.SIGKILL)


@pytest.mark.parametrize("workers", [1, 2])
def test_results_come_in_the_order_of_the_items(workers):
    assert list(Local(workers).map_in_order(double, range(10))) == list(range(0, 20, 2))


@pytest.mark.slow
@pytest.mark.parametrize("workers", [1, 2])
def test_an_error_of_the_function_reaches_the_consumer(workers):
    with (
        pytest.raises(DeepmarkError, match="three"),
        closing(Local(workers).map_in_order(refuse, range(9))) as results,
    ):
        list(results)


@pytest.mark.slow
def test_no_more_results_are_made_ahead_than_allowed():
    taken = []

    def things():
        for number in range(50):
            taken.append(number)
            yield number

    with closing(Local(2).map_in_order(double, things())) as results:
        next(results)

    assert len(taken) <= 2 * AHEAD + 1


def test_a_worker_that_dies_is_reported():
    with pytest.raises(DeepmarkError, match="One of 2 worker processes died"):
        list(Local(2).map_in_order(die, range(4)))


def test_workers_end_when_their_parent_is_killed(tmp_path):
    script = tmp_path / "parent.py"
    script.write_text(
        "import os, time\n"
        "from deepmark.compute.local import Local\n"
        "def whoami(_):\n"
        "    time.sleep(0.2)\n"
        "    return os.getpid()\n"
        "if __name__ == '__main__':\n"
        "    for pid in Local(2).map_in_order(whoami, range(10_000)):\n"
        "        print(pid, flush=True)\n"
    )
    with subprocess.Popen([sys.executable, script], stdout=subprocess.PIPE, text=True) as parent:
        assert parent.stdout is not None
        workers = {int(parent.stdout.readline()) for _ in range(4)}
        parent.kill()
        # The workers hold the other end of the pipe: it closes when the last of them has ended.
        parent.stdout.read()
    assert workers


def own_process(_):
    return os.getpid()


def test_there_are_never_more_workers_than_items():
    assert list(Local(8).map_in_order(own_process, [0])) == [os.getpid()]
    assert len(set(Local(8).map_in_order(own_process, [0, 1]))) <= 2
    assert list(Local().map_in_order(own_process, [])) == []
    assert Local().workers == os.cpu_count()


def test_a_script_without_a_guard_is_not_run_again_by_the_workers(tmp_path):
    script = tmp_path / "draw.py"
    script.write_text(
        "from deepmark.compute.local import Local\n"
        "from deepmark.synthetic import draw_dataset\n"
        "print('started')\n"
        "print(draw_dataset('drawn', train=17, validation=1, seed=1, engine=Local(2))['train'])\n"
    )
    done = subprocess.run([sys.executable, script], cwd=tmp_path, capture_output=True, text=True, check=False)

    assert (done.stdout, done.stderr) == ("started\n17\n", "")
