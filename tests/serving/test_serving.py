"""The champion as MLflow serves it: over HTTP, and without unpickling."""

import base64
import json
import subprocess
import sys
import urllib.error
import urllib.request

import pytest
from encoded_images import encoded, smooth
from model_server import served
from tiny_dataset import jpeg

from deepmark.registry.versions import CHAMPION, MODEL, Registry
from deepmark.tracking.mlflow_store import as_current_store
from deepmark.vocabulary import DEEPFASHION2
from deepmark.workspace.environment import child_environment

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
    with served(URI, served_store) as server:
        yield server.url


def ask(url, *images, column="image"):
    body = {"dataframe_split": {"columns": [column], "data": [[image] for image in images]}}
    headers = {"Content-Type": "application/json"}
    request = urllib.request.Request(f"{url}/invocations", json.dumps(body).encode(), headers)
    with urllib.request.urlopen(request, timeout=60) as answer:
        return json.load(answer)["predictions"]


def text(data):
    return base64.b64encode(data).decode()


def test_the_champion_answers_images_over_http_with_boxes_and_named_landmarks(address):
    garments, others = ask(address, text(jpeg(1)), text(jpeg(1, (40, 30))))

    best = garments[0]
    assert set(best) == {"category", "score", "box", "landmarks"}
    assert set(best["landmarks"]) == set(DEEPFASHION2.by_name[best["category"]].parts)
    assert all(len(point) == 3 for point in best["landmarks"].values())
    assert len(best["box"]) == 4
    assert all(0 <= x <= 30 for x in others[0]["box"][::2])


def test_other_kinds_of_images_and_base64_with_line_ends_are_taken(address):
    image = encoded(smooth((50, 60)))
    expected = ask(address, text(image))

    assert expected[0]
    assert ask(address, base64.encodebytes(image).decode()) == expected
    assert ask(address, f"data:image/png;base64,{text(image)}") == expected
    assert ask(address, text(encoded(smooth((50, 60)), "webp", lossless=True))) == expected


@pytest.mark.parametrize(
    ("images", "message"),
    [
        ([b"no image"], "column 'image', row 0 (counted from 0): text, not a JPEG, PNG, WebP, "),
        ([jpeg(1), encoded(smooth())[:-50], b""], "column 'image', row 1 (counted from 0): a PNG that is cut off. "),
        ([jpeg(1), jpeg(1), None], "column 'image', row 2 (counted from 0): null. Send the base64 of an image file."),
        ([jpeg(1), 7], "column 'image', row 1 (counted from 0): a value of type int. "),
    ],
)
def test_a_refusal_is_our_sentence_and_nothing_else(address, images, message):
    with pytest.raises(urllib.error.HTTPError) as error:
        ask(address, *(text(image) if isinstance(image, bytes) else image for image in images))

    answer = json.load(error.value)
    assert error.value.code == 400
    assert answer["message"].startswith(message)
    assert "stack_trace" not in answer


def test_a_column_of_another_name_is_named_and_so_is_the_right_one(address):
    with pytest.raises(urllib.error.HTTPError) as error:
        ask(address, text(jpeg(1)), column="img")

    answer = json.load(error.value)
    assert error.value.code == 400
    assert "Model is missing inputs ['image']. Note that there were extra inputs: ['img']" in answer["message"]
    assert "stack_trace" not in answer


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

    assert info.signature.inputs.to_dict() == [{"type": "string", "name": "image", "required": True}]
    assert info.saved_input_example_info is not None
