"""The champion as MLflow serves it: over HTTP, and without unpickling."""

import base64
import json
import os
import signal
import subprocess
import sys
import time
import urllib.error
import urllib.request

import pytest
from processes import free_port
from tiny_dataset import jpeg

from deepmark.registry.versions import CHAMPION, MODEL, Registry
from deepmark.schema import CATEGORY_BY_NAME
from deepmark.tracking.mlflow_store import as_current_store
from deepmark.workspace.environment import child_environment, tool

pytestmark = pytest.mark.slow

URI = f"models:/{MODEL}@{CHAMPION}"


@pytest.fixture(scope="module")
def served_store(logged):
    """The environment in which MLflow finds the logged model as the champion."""
    workspace, uri = logged
    with pytest.MonkeyPatch.context() as patch:
        patch.delenv("MLFLOW_TRACKING_URI", raising=False)
        registry = Registry(workspace)
        registry.set_alias(CHAMPION, registry.create_version(uri, _run_of(registry), {}))
    return {**child_environment(), "MLFLOW_TRACKING_URI": registry.uri, "MLFLOW_DISABLE_TELEMETRY": "true"}


def _run_of(registry):
    experiment = registry._client.get_experiment_by_name("deepmark")
    return registry._client.search_runs([experiment.experiment_id])[0].info.run_id


@pytest.fixture(scope="module")
def address(served_store):
    port = free_port()
    where = ("-h", "127.0.0.1", "-p", str(port))
    command = [tool("mlflow"), "models", "serve", "-m", URI, "--env-manager", "local", *where]
    server = subprocess.Popen(
        command, env=served_store, start_new_session=True, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL
    )
    try:
        url = f"http://127.0.0.1:{port}"
        deadline = time.monotonic() + 90
        while not _is_up(url):
            assert server.poll() is None
            assert time.monotonic() < deadline
            time.sleep(0.2)
        yield url
    finally:
        os.killpg(server.pid, signal.SIGKILL)
        server.wait()


def _is_up(url):
    try:
        with urllib.request.urlopen(f"{url}/ping", timeout=5):
            return True
    except OSError:
        return False


def ask(url, *pictures):
    body = {"dataframe_split": {"columns": ["image"], "data": [[base64.b64encode(one).decode()] for one in pictures]}}
    headers = {"Content-Type": "application/json"}
    request = urllib.request.Request(f"{url}/invocations", json.dumps(body).encode(), headers)
    with urllib.request.urlopen(request, timeout=60) as answer:
        return json.load(answer)["predictions"]


def test_the_champion_answers_pictures_over_http_with_boxes_and_named_landmarks(address):
    garments, others = ask(address, jpeg(1), jpeg(1, (40, 30)))

    best = garments[0]
    assert set(best) == {"category", "score", "box", "landmarks"}
    assert set(best["landmarks"]) == set(CATEGORY_BY_NAME[best["category"]].parts)
    assert all(len(point) == 3 for point in best["landmarks"].values())
    assert len(best["box"]) == 4
    assert all(0 <= x <= 30 for x in others[0]["box"][::2])


def test_what_is_no_picture_is_answered_with_the_reason(address):
    with pytest.raises(urllib.error.HTTPError) as error:
        ask(address, b"no picture")

    assert error.value.code >= 400
    assert "picture 0: not a JPEG" in error.value.read().decode()


WATCHED = """
import sys
found = []
sys.addaudithook(lambda event, words: found.append(words) if event == "pickle.find_class" else None)
import warnings
warnings.simplefilter("ignore")
import mlflow, pandas
model = mlflow.pyfunc.load_model(sys.argv[1])
answer = model.predict(pandas.DataFrame({"image": [bytes.fromhex(sys.stdin.read())]}))
print(len(answer), found)
import pickle
pickle.loads(pickle.dumps(pandas.Timestamp))
print(len(found) > 0)
"""


def test_loading_and_asking_the_champion_unpickles_nothing(served_store):
    done = subprocess.run(
        [sys.executable, "-c", WATCHED, URI],
        env=served_store,
        input=jpeg(1).hex(),
        capture_output=True,
        text=True,
        check=True,
    )

    assert done.stdout.splitlines() == ["1 []", "True"]


@pytest.mark.filterwarnings("ignore")  # warnings of MLflow, when it loads a model
def test_the_champion_has_a_signature_and_an_example(served_store):
    from mlflow.models import get_model_info

    with as_current_store(served_store["MLFLOW_TRACKING_URI"]):
        info = get_model_info(URI)

    assert info.signature.inputs.to_dict() == [{"type": "binary", "name": "image", "required": True}]
    assert info.saved_input_example_info is not None
