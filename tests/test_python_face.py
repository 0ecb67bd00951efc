"""`import deepmark`: what a Python user finds there, and that nothing is loaded before it is used."""

import ast
import json
import re
import subprocess
import sys
from importlib import import_module
from pathlib import Path

import pytest
import torch
from PIL import Image

import deepmark
from deepmark.model.detector import build_detector, save_detector
from deepmark.params import ModelParams
from deepmark.vocabulary import DEEPFASHION2

HEAVY = ("torch", "mlflow", "dagster", "pandas", "pyarrow", "numpy", "cv2", "pydantic", "PIL", "webdataset")
SOURCE = Path(deepmark.__file__).read_text("utf-8")


def python(program: str, cwd: Path) -> str:
    done = subprocess.run([sys.executable, "-c", program], cwd=cwd, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    return done.stdout


def test_importing_deepmark_and_listing_its_names_loads_nothing_heavy(tmp_path):
    program = f"import sys, deepmark; dir(deepmark); print([name for name in {HEAVY} if name in sys.modules])"

    assert python(program, tmp_path) == "[]\n"


def test_importing_one_name_does_not_load_what_it_does_not_need(tmp_path):
    program = (
        "import sys\nfrom deepmark import DEEPFASHION2, DeepmarkError, Workspace, load_detector\n"
        "heavy = [name for name in ('torch', 'mlflow', 'cv2', 'pandas') if name in sys.modules]\n"
        "print(len(DEEPFASHION2.categories), heavy)"
    )

    assert python(program, tmp_path) == "13 []\n"


def test_every_name_of_all_is_what_its_module_defines():
    assert len(set(deepmark.__all__)) == len(deepmark.__all__)
    for name in set(deepmark.__all__) - {"__version__"}:
        value = getattr(deepmark, name)
        assert value is getattr(import_module(f"deepmark.{deepmark._MODULES[name]}"), name)
        assert name in dir(deepmark)


def test_type_checkers_see_the_same_names_from_the_same_modules():
    checked = next(node for node in ast.parse(SOURCE).body if isinstance(node, ast.If))
    seen = {alias.name: node.module for node in checked.body for alias in node.names}

    assert seen == {name: f"deepmark.{module}" for name, module in deepmark._MODULES.items()}
    assert seen.keys() | {"__version__"} == set(deepmark.__all__)


def test_every_public_name_is_explained():
    for name in set(deepmark.__all__) - {"__version__"}:
        assert getattr(deepmark, name).__doc__, name


def test_every_public_name_is_in_the_page_about_python():
    page = (Path(deepmark.__file__).parents[1] / "docs/api.md").read_text("utf-8")
    shown = {line.removeprefix("::: deepmark.") for line in page.splitlines() if line.startswith("::: ")}

    assert {name for name in shown if "." not in name} == set(deepmark.__all__) - {"__version__"}


def test_a_name_that_is_not_there_is_an_attribute_error_as_everywhere():
    assert not hasattr(deepmark, "load_detektor")


@pytest.mark.slow
def test_a_type_checker_knows_the_types_of_the_public_names(tmp_path):
    program = tmp_path / "typed.py"
    program.write_text(
        "import deepmark\n"
        "from deepmark import Detections, load_detector\n"
        "found: Detections = load_detector('model.safetensors')('image.jpg')\n"
        "several: list[Detections] = load_detector('model.safetensors')([b'', b''])\n"
        "reveal_type(deepmark.evaluate([], []))\n"
        "wrong: int = load_detector('model.safetensors')\n"
        "deepmark.no_such_name\n"
    )
    root = Path(deepmark.__file__).parents[1]  # its settings, and its cache, which is warm after `make lint`
    command = [sys.executable, "-m", "mypy", program]
    done = subprocess.run(command, cwd=root, capture_output=True, text=True, check=False)

    told = [line.partition(": ")[2] for line in done.stdout.splitlines()]
    assert told[0] == 'note: Revealed type is "deepmark.eval.metric.evaluate.EvalReport"'
    assert told[1].startswith('error: Incompatible types in assignment (expression has type "ImageDetector"')
    assert told[2].startswith('error: Module has no attribute "no_such_name"')
    assert len(told) == 4, done.stdout


WRONG = {
    # a call: words of its message
    "evaluate([], (iter([]), {}))": "predictions, facts = read_predictions(path)",
    "evaluate([], 'nms.parquet')": "found str with str",
    "evaluate([], None)": "found NoneType with NoneType",
    "evaluate([{}], [])": "evaluate: records: expected what `read_records(path)` reads, found list with dict",
    "evaluate([], [], resamples=-1)": "resamples is -1. Give a whole number",
    "read_records(None)": "read_records: path: expected a path, found NoneType",
    "read_predictions(5)": "read_predictions: path: expected a path, found int",
    "ShardReader(None)": "ShardReader: folder: expected a path, found NoneType",
    "ShardReader('s3://bucket/shards')": "is a URL. `deepmark.web_dataset` reads shards from one",
    "web_dataset(None, 'train')": "web_dataset: shards: expected a path",
    "web_dataset('data/shards', 'train', shuffle='yes')": "shuffle is 'yes'. Give a whole number, 0 or more",
    "web_dataset('file:///shards', 'train', cache=5)": "web_dataset: cache: expected a path",
    "load_detector(None)": "load_detector: path: expected a path",
    "load_detector('model.safetensors', min_score='high')": "min_score is 'high', and must be a number from 0 to 1",
    "predict_images(5, 'model.safetensors')": "expected paths of images or a folder of shards, found int",
    "predict_images([b''], 'model.safetensors')": "expected paths of images or a folder of shards, found bytes",
    "predict_images('.', None)": "predict_images: model: expected a path, found NoneType",
    "predict_images('.', 'model.safetensors', engine=2)": "one such as deepmark.compute.local.Local(2), found int",
    "load_network(b'model')": "load_network: path: expected a path, found bytes",
    "Predictor(None, 'nms', None)": "expected a network of `load_network(path)` and the section predict, such as",
    "draw_dataset(None, train=1, validation=0, seed=0)": "draw_dataset: out: expected a path",
    "draw_dataset('new', train='1', validation=0, seed=0)": "train is '1'. Give a whole number, 0 or more",
    "init_workspace(5, 'demo')": "init_workspace: root: expected a path",
    "init_workspace('new', 5)": "profile '5': there is none of this name. Choose one of",
    "Workspace(None)": "Workspace: root: expected a path, found NoneType",
    "score_files({}, 'results.json', kind='bbox')": "score_files: truth: expected a path, found dict",
    "score_files('truth.json', 'results.json', kind=None)": "kind None: Choose one of: bbox, keypoints",
    "score_files('truth.json', 'results.json', kind='bbox', engine='fast')": "engine 'fast': Choose one of: hotcoco",
}


@pytest.mark.slow
def test_an_argument_of_a_wrong_type_is_a_deepmark_error_that_says_what_to_give(tmp_path):
    """In a process of its own: here, the tests' own type checks would answer first."""
    program = (
        "import json\nfrom deepmark import *\nmessages = {}\n"
        f"for call in {list(WRONG)}:\n"
        "    try:\n        eval(call)\n"
        "    except DeepmarkError as error:\n        messages[call] = str(error)\n"
        "print(json.dumps(messages))"
    )
    messages = json.loads(python(program, tmp_path))

    assert messages.keys() == WRONG.keys()
    assert {call: words for call, words in WRONG.items() if words not in messages[call]} == {}


def test_every_package_says_that_it_is_typed():
    root = Path(deepmark.__file__).parents[1]
    assert all((root / package / "py.typed").is_file() for package in ("deepmark", "pipelines", "assets"))


def test_the_readme_s_example_runs_as_it_stands(tmp_path, monkeypatch, capsys):
    readme = (Path(deepmark.__file__).parents[1] / "README.md").read_text("utf-8")
    (example,) = re.findall(r"^```python\n(.*?)^```$", readme, re.MULTILINE | re.DOTALL)
    network = build_detector(ModelParams(backbone="mobile", input_size=(64, 64)), DEEPFASHION2, seed=1)
    torch.nn.init.constant_(network.heads.center_heatmap[-1].bias, 1.0)  # untrained, and sure of everything
    save_detector(network, tmp_path / "model.safetensors")
    Image.new("RGB", (120, 90), "grey").save(tmp_path / "street.jpg")
    monkeypatch.chdir(tmp_path)

    names: dict[str, object] = {}
    exec(example, names)

    found = names["detections"]
    assert isinstance(found, deepmark.Detections)
    assert len(found) > 0
    assert capsys.readouterr().out == f"{found}\n"
    with Image.open("drawn.jpg") as drawn:
        assert drawn.size == (480, 360)
