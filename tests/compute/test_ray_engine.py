"""The Ray engine on a cluster of this machine alone; tests/cluster has clusters of several machines that are lost."""

import signal
import subprocess
import sys
from collections.abc import Iterator

import pytest
from ray_head import Head, ray_head
from workspaces import Done, copied, refused, set_params

from deepmark.compute.choose import engine_of
from deepmark.compute.local import Local
from deepmark.compute.software import differences, software
from deepmark.errors import DeepmarkError
from deepmark.params import ComputeParams

PREPARE = """
from contextlib import closing
from functools import partial
from pathlib import Path
import pieces
from deepmark.compute.choose import engine_of
from deepmark.params import ComputeParams
engine = engine_of(ComputeParams(engine='ray'))
"""


@pytest.fixture(scope="module")
def head() -> Iterator[Head]:
    with ray_head(2) as started:
        yield started


def said(head: Head, tmp_path, program: str, **more: str) -> str:
    done = head.run(PREPARE + program, tmp_path, **more)
    assert done.returncode == 0, done.stderr
    return done.stdout.strip()


@pytest.mark.slow
def test_results_come_in_the_order_of_the_items_and_relative_paths_mean_the_drivers_folder(head, tmp_path):
    program = """
print(list(engine.map_in_order(pieces.double, range(12))) == list(range(0, 24, 2)))
print(set(engine.map_in_order(pieces.touch, [('one', 0), ('two', 0)])) == {str(Path.cwd())})
"""
    assert said(head, tmp_path, program).split() == ["True", "True"]
    assert sorted(file.name for file in tmp_path.iterdir()) == ["one", "two"]


@pytest.mark.slow
def test_an_error_of_the_function_comes_back_as_itself_and_is_not_tried_again(head, tmp_path):
    program = """
from deepmark.errors import DeepmarkError
for function, kind in ((pieces.refuse, DeepmarkError), (pieces.fault, ZeroDivisionError)):
    try:
        with closing(engine.map_in_order(function, range(9))) as results:
            list(results)
    except kind as error:
        print(type(error).__name__, error)
"""
    assert said(head, tmp_path, program).splitlines() == ["DeepmarkError three", "ZeroDivisionError division by zero"]


@pytest.mark.slow
def test_only_a_bounded_number_is_made_ahead_and_an_early_end_cancels_the_rest(head, tmp_path):
    program = """
taken = []
def items():
    for number in range(50):
        taken.append(number)
        yield (f'file-{number}', 0.3)
with closing(engine.map_in_order(pieces.touch, items())) as results:
    next(results)
made = len(list(Path.cwd().iterdir()))
import time; time.sleep(1)
print(len(taken), made == len(list(Path.cwd().iterdir())) < 5)
"""
    assert said(head, tmp_path, program).split() == ["5", "True"]


@pytest.mark.slow
def test_no_more_pieces_are_under_way_than_workers(head, tmp_path):
    program = """
engine = engine_of(ComputeParams(engine='ray', workers=1))
print(max(engine.map_in_order(pieces.count_at_work, [str(Path.cwd())] * 6)))
engine = engine_of(ComputeParams(engine='ray'))
print(max(engine.map_in_order(partial(pieces.count_at_work, together=2), [str(Path.cwd())] * 6)))
"""
    assert said(head, tmp_path, program).split() == ["1", "2"]


@pytest.mark.slow
def test_a_piece_whose_process_dies_is_done_again(head, tmp_path):
    program = "print(list(engine.map_in_order(pieces.die_once, [(str(Path.cwd()), n) for n in range(4)])))"

    assert said(head, tmp_path, program) == "[0, 1, 2, 3]"


@pytest.mark.slow
def test_a_piece_that_always_takes_its_process_with_it_ends_the_stage(head, tmp_path):
    program = """
from deepmark.compute import ray_engine
from deepmark.errors import DeepmarkError
ray_engine.LOSSES = 2
try:
    list(engine.map_in_order(pieces.die, range(2)))
except DeepmarkError as error:
    print(error)
"""
    assert said(head, tmp_path, program).startswith("a piece of this stage was lost 3 times with the process")


@pytest.mark.slow
def test_other_software_on_a_machine_is_refused_by_its_name(head, tmp_path):
    program = """
from deepmark.errors import DeepmarkError
import deepmark.version
deepmark.version.__version__ = '0.0.9'
try:
    list(engine.map_in_order(pieces.double, range(2)))
except DeepmarkError as error:
    print(error)
"""
    out = said(head, tmp_path, program)
    assert out.startswith("the machines of the Ray cluster do not fit together: ")
    assert ") has deepmark 0.1.0 instead of 0.0.9. Install the same release" in out


@pytest.mark.slow
def test_a_cluster_that_does_not_answer_or_wants_another_token_is_named(head, tmp_path):
    program = """
from deepmark.errors import DeepmarkError
try:
    list(engine.map_in_order(pieces.double, range(2)))
except DeepmarkError as error:
    print(error)
"""
    (tmp_path / "token").write_text("0" * 64)

    silent = said(head, tmp_path, program, RAY_ADDRESS="127.0.0.1:9")
    other = said(head, tmp_path, program, RAY_AUTH_TOKEN_PATH=str(tmp_path / "token"))
    client = said(head, tmp_path, program, RAY_ADDRESS="ray://head:10001")

    assert silent.startswith(
        "no Ray cluster answers at 127.0.0.1:9 (Connection refused). Start it with `ray start --head`"
    )
    assert f"{head.address} refuses this machine" in other
    assert "most often the tokens differ. All machines need RAY_AUTH_MODE=token" in other
    assert client.startswith("compute.address: 'ray://head:10001' is not an address of a Ray cluster. Give host:port")


@pytest.mark.slow
def test_a_stage_on_a_cluster_writes_the_bytes_that_it_writes_here(head, sharded_once, tmp_path):
    workspace = copied(sharded_once, tmp_path)
    before = {file: file.read_bytes() for file in sorted((workspace.root / "data").rglob("*")) if file.is_file()}
    set_params(workspace, compute={"engine": "ray"})
    program = "import sys\nfrom deepmark.cli.app import main\nsys.argv[1:] = {words}\nmain()"

    for words in (["ingest", "--split", "train"], ["shard", "--split", "train"]):
        done = head.run(program.format(words=words), workspace.root)
        assert done.returncode == 0, done.stderr

    assert {file: file.read_bytes() for file in before} == before


@pytest.mark.slow
def test_a_head_that_is_lost_ends_the_stage_with_one_message(tmp_path):
    program = """
from deepmark.compute import ray_engine
from deepmark.errors import DeepmarkError
ray_engine.HEAD_SECONDS = 3
try:
    for place in engine.map_in_order(pieces.touch, [('one', 0.2)] * 1000):
        print(place, flush=True)
except DeepmarkError as error:
    print(error, flush=True)
"""
    with ray_head(1) as started:
        command = [sys.executable, "-c", PREPARE + program]
        with subprocess.Popen(
            command, cwd=tmp_path, env=started.variables, stdout=subprocess.PIPE, text=True
        ) as driver:
            assert driver.stdout is not None
            driver.stdout.readline()
            started.end_gcs()
            lines = [line for line in iter(driver.stdout.readline, "") if line.strip() != str(tmp_path)]
            driver.send_signal(signal.SIGKILL)  # it waits for the head as it ends

    assert lines[0].startswith("the head of the Ray cluster has not answered for 3 seconds. Start Ray on all machines")


def test_without_ray_the_engine_ray_is_one_message(sharded_once, tmp_path):
    workspace = copied(sharded_once, tmp_path)
    set_params(workspace, compute={"engine": "ray"})
    program = "import sys\nsys.modules['ray'] = None\nfrom deepmark.cli.app import main\nmain()"
    words = [sys.executable, "-c", program, "ingest", "--split", "train"]
    done = subprocess.run(words, cwd=workspace.root, capture_output=True, text=True, check=False)

    assert refused(
        Done(code=done.returncode, out=done.stdout, err=done.stderr),
        "deepmark ingest: this needs the extra 'cluster': `pip install '.[cluster]'`",
    )


@pytest.mark.slow
def test_the_engine_local_never_imports_ray(sharded_once, tmp_path):
    root = copied(sharded_once, tmp_path).root
    program = (
        "import sys\nfrom deepmark.cli.app import main\n"
        f"for words in {[['ingest', '--split', 'train'], ['shard', '--split', 'train']]}:\n"
        "    sys.argv[1:] = words\n"
        "    try:\n        main()\n    except SystemExit as end:\n        assert not end.code\n"
        "print('ray' in sys.modules)"
    )
    done = subprocess.run(
        [sys.executable, "-c", program], cwd=root, capture_output=True, text=True, check=False, env=None
    )

    assert done.stdout.splitlines()[-1] == "False", done.stderr


def test_the_section_compute_names_the_engine():
    assert isinstance(engine_of(ComputeParams()), Local)
    assert type(engine_of(ComputeParams(engine="ray"))).__name__ == "Ray"


def test_software_that_differs_is_named_with_both_versions():
    ours = software()

    assert differences(ours, ours) == []
    assert differences(ours, {**ours, "torch": "2.12.0"}) == [f"torch 2.12.0 instead of {ours['torch']}"]
    assert differences(ours, {}) != []
    assert len(ours["deepmark's files"]) == 12


def test_an_address_without_a_port_is_refused():
    from deepmark.compute.ray_cluster import _check_answer

    with pytest.raises(DeepmarkError, match="'head' is not an address of a Ray cluster"):
        _check_answer("head")
