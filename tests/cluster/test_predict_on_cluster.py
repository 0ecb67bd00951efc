"""Prediction in parts on a cluster: one file, whoever computed the parts and whoever was lost meanwhile.

Three machines as network namespaces of this one (tests/helpers/cluster.py).
"""

import os
import signal
import subprocess
from collections.abc import Iterator

import pytest
from cluster import Cluster, cluster
from processes import wait_until
from workspaces import set_params

from deepmark import stages
from deepmark.compute.local import Local
from deepmark.digests import write_json_with_digest
from deepmark.files import file_sha256
from deepmark.model.detector import build_detector, save_detector
from deepmark.synthetic import draw_dataset
from deepmark.vocabulary import DEEPFASHION2
from deepmark.workspace.init import init_workspace
from deepmark.workspace.layout import Workspace

pytestmark = [pytest.mark.slow, pytest.mark.system]

IMAGES, DIFFERENT = 1536, 8
"""Images of three parts, and different ones among them: the rest are links."""


@pytest.fixture(scope="module")
def three() -> Iterator[Cluster]:
    with cluster() as started:
        yield started


@pytest.fixture(scope="module")
def workspace(tmp_path_factory: pytest.TempPathFactory) -> Workspace:
    """Shards of the images, and an untrained network."""
    folder = tmp_path_factory.mktemp("parts")
    draw_dataset(folder / "drawn", train=1, validation=DIFFERENT, seed=3, engine=Local(1))
    made = init_workspace(folder / "workspace", "demo")
    for kind, suffix in (("image", "jpg"), ("annos", "json")):
        (made.raw / "validation" / kind).mkdir(parents=True)
        for number in range(1, IMAGES + 1):
            source = folder / f"drawn/validation/{kind}/{number % DIFFERENT + 1:06d}.{suffix}"
            os.link(source, made.raw / "validation" / kind / f"{number:06d}.{suffix}")
    made = set_params(made, model={"input_size": [64, 64]}, compute={"workers": 1})
    stages.ingest(made, split="validation")
    stages.shard(made, split="validation")
    made.model_file.parent.mkdir(parents=True)
    save_detector(build_detector(made.params.model, DEEPFASHION2, seed=1), made.model_file)
    write_json_with_digest(made.training_file, {"mlflow_run_id": "abc", "history": []})
    return made


def predict(three: Cluster, workspace: Workspace, *, engine: str, workers: int | None) -> subprocess.Popen[str]:
    """`deepmark predict` under way."""
    workspace = set_params(workspace, compute={"engine": engine, "workers": workers})
    workspace.predictions_file("none").unlink(missing_ok=True)
    return three.driver("deepmark", "predict", "--strategy", "none", "--json", cwd=workspace.root)


def made_by(process: subprocess.Popen[str], workspace: Workspace) -> str:
    """The sha256 of the file, when the command has come to its end."""
    _, told = process.communicate(timeout=300)
    assert process.returncode == 0, told
    assert not list(workspace.parts.rglob("*.arrow")), "parts are left"
    return file_sha256(workspace.predictions_file("none"))


def first_part_is_there(process: subprocess.Popen[str], workspace: Workspace) -> None:
    def there() -> bool:
        return process.poll() is not None or bool(list(workspace.parts.rglob("*.arrow")))

    assert wait_until(there, seconds=240)
    assert process.poll() is None, process.communicate()


@pytest.fixture(scope="module")
def wanted(three: Cluster, workspace: Workspace) -> str:
    """What one process of this machine writes."""
    return made_by(predict(three, workspace, engine="local", workers=1), workspace)


@pytest.mark.parametrize(("engine", "workers"), [("local", 1), ("local", 2), ("ray", None)])
def test_processes_and_machines_write_the_bytes_of_one_process(three, workspace, wanted, engine, workers):
    assert made_by(predict(three, workspace, engine=engine, workers=workers), workspace) == wanted


def test_a_machine_that_is_killed_after_the_first_part_costs_no_byte(three, workspace, wanted):
    process = predict(three, workspace, engine="ray", workers=None)
    three.hold_a_piece(three.b)
    first_part_is_there(process, workspace)
    three.b.kill()

    assert made_by(process, workspace) == wanted
    three.restart(three.b)


def test_a_prediction_that_is_killed_goes_on_from_its_parts(three, workspace, wanted):
    process = predict(three, workspace, engine="local", workers=1)
    first_part_is_there(process, workspace)
    os.killpg(process.pid, signal.SIGKILL)
    process.communicate()

    assert list(workspace.parts.rglob("*.arrow"))
    assert made_by(predict(three, workspace, engine="local", workers=1), workspace) == wanted
