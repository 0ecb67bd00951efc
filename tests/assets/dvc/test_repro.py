import json
import subprocess
import sys

import pytest
from toy_workspace import make_repository

from assets.dvc.dvc_internals import is_up_to_date
from assets.dvc.repro import StageEndedError, StageFailedError, repro

pytestmark = pytest.mark.slow

STAGES = """
stages:
  copy: {cmd: exec python imitate.py, deps: [source], outs: [made]}
  fail:
    cmd: 'echo halfway && echo "deepmark fail: it rains. Wait." >&2 && exit 1'
    outs: [never]
"""

HOLD_THE_LOCK = """
import time
from dvc.repo import Repo
with Repo().lock:
    print("held", flush=True)
    time.sleep(600)
"""


@pytest.fixture
def stages(tmp_path):
    make_repository(tmp_path)
    (tmp_path / "dvc.yaml").write_text(STAGES)
    (tmp_path / "imitate.py").write_text("print('copying', flush=True); open('made', 'w').write(open('source').read())")
    (tmp_path / "source").write_text("1")
    return tmp_path


def test_a_stage_runs_once_is_then_unchanged_and_an_earlier_result_is_restored(stages):
    first = repro(stages, "copy"), repro(stages, "copy")
    (stages / "source").write_text("2")
    second = repro(stages, "copy")
    (stages / "source").write_text("1")

    assert (*first, second, repro(stages, "copy")) == ("ran", "unchanged", "ran", "restored")
    assert (stages / "made").read_text() == "1"


def test_dvc_is_asked_from_any_folder_whether_there_is_something_to_do(stages, tmp_path_factory, monkeypatch):
    monkeypatch.chdir(tmp_path_factory.mktemp("elsewhere"))
    answers = [is_up_to_date(stages, "copy")]
    repro(stages, "copy")
    answers.append(is_up_to_date(stages, "copy"))
    (stages / "made").unlink()
    answers.append(is_up_to_date(stages, "copy"))
    repro(stages, "copy")
    (stages / "source").write_text("2")
    answers.append(is_up_to_date(stages, "copy"))

    assert answers == [False, True, False, False]


def test_nothing_is_up_to_date_in_a_graph_that_dvc_cannot_use(stages):
    repro(stages, "copy")
    for graph in ("stages: [", STAGES.replace("copy:", "kopy:")):
        (stages / "dvc.yaml").write_text(graph)

        assert not is_up_to_date(stages, "copy")


def test_the_lines_of_the_command_are_passed_on_and_the_advice_of_dvc_is_not(stages):
    printed = []
    repro(stages, "copy", progress=printed.append)

    assert printed == ["Running stage 'copy':", "> exec python imitate.py", "copying"]


def test_no_secret_of_a_url_is_passed_on(stages):
    url, printed = "https://me:secret@host/shards?sig=secret", []
    (stages / "dvc.yaml").write_text(f"stages: {{fail: {{cmd: 'echo {url}; exit 1', outs: [never]}}}}")
    with pytest.raises(StageFailedError) as error:
        repro(stages, "fail", progress=printed.append)

    assert "secret" not in f"{error.value} {printed}"
    assert "https://me:***@host/shards?sig=***" in printed


def test_a_failing_command_is_quoted(stages):
    with pytest.raises(StageFailedError) as error:
        repro(stages, "fail")

    assert str(error.value) == "halfway\ndeepmark fail: it rains. Wait."


def test_the_one_of_several_stages_that_failed_is_quoted(stages):
    with pytest.raises(StageFailedError) as error:
        repro(stages, "copy", "fail", options=())

    assert str(error.value) == "halfway\ndeepmark fail: it rains. Wait."


def test_a_failure_before_the_command_is_quoted_from_dvc(stages):
    (stages / "source").unlink()

    with pytest.raises(StageFailedError, match=r"failed to reproduce 'copy'.*source"):
        repro(stages, "copy")


@pytest.fixture
def lock_holder(stages):
    """Another process that has DVC's lock for as long as it lives."""
    with subprocess.Popen([sys.executable, "-c", HOLD_THE_LOCK], cwd=stages, stdout=subprocess.PIPE) as holder:
        assert holder.stdout.readline() == b"held\n"
        yield holder
        holder.kill()


def test_a_lock_held_by_another_process_is_waited_for(stages, lock_holder):
    printed = []

    def progress(line):
        printed.append(line)
        if "Another DVC process is at work" in line:
            lock_holder.kill()

    assert repro(stages, "copy", progress=progress) == "ran"
    assert any("Another DVC process is at work" in line for line in printed)


def test_a_lock_that_is_never_released_is_reported_after_a_while(stages, lock_holder):
    with pytest.raises(StageEndedError, match="Unable to acquire lock"):
        repro(stages, "copy", patience=0)


@pytest.mark.parametrize(
    "command",
    [
        "kill -KILL $$",  # the shell
        "sh -c 'kill -KILL $$' || exit $?",  # a process below it
        "kill -KILL $PPID",  # dvc
        "echo 'rank 1 of the training failed: killed by SIGKILL; out of memory'; exit 1",
        "echo 'deepmark train: rank 0 lost another process of this training: it ended'; exit 1",
        "echo 'deepmark train: the training lost machines or processes 21 times'; exit 1",
    ],
)
def test_a_command_that_was_ended_from_outside_may_be_tried_again(stages, command):
    (stages / "dvc.yaml").write_text(f"stages:\n  end:\n    cmd: {json.dumps(command)}\n    outs: [never]\n")

    with pytest.raises(StageEndedError):
        repro(stages, "end")


@pytest.mark.parametrize("status", [1, 2, 126])
def test_a_command_that_exits_with_an_error_is_not_tried_again(stages, status):
    (stages / "dvc.yaml").write_text(f"stages:\n  refuse: {{cmd: exit {status}, outs: [never]}}\n")

    with pytest.raises(StageFailedError) as error:
        repro(stages, "refuse")
    assert not isinstance(error.value, StageEndedError)
