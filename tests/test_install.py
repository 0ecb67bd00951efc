"""DeepMark as a wheel in an environment of its own, which has the packages of the base only, or of one extra."""

import json
import os
import subprocess
import zipfile
from pathlib import Path

import psutil
import pytest
import typer
from distributions import REPOSITORY, bare_environment, build_wheel
from PIL import Image
from small_onnx import contract_for, small_onnx
from vocabularies import SMALL
from workspaces import Done, copied, refused

from deepmark.cli.app import app
from deepmark.files import write_json
from deepmark.model.detector import build_detector, save_detector
from deepmark.models.packaged import CARD, EXPORTED, WEIGHTS
from deepmark.params import ModelParams
from deepmark.vocabulary import DEEPFASHION2

pytestmark = pytest.mark.system

COMMANDS = sorted(typer.main.get_command(app).commands)


@pytest.fixture(scope="session")
def wheel(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return build_wheel(tmp_path_factory.mktemp("wheel"))


@pytest.fixture(scope="session")
def base(wheel: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The folder of commands of an environment with the wheel and the base."""
    return bare_environment(tmp_path_factory.mktemp("base"), wheel)


@pytest.fixture(scope="session")
def train(wheel: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The same with the extra `train`."""
    return bare_environment(tmp_path_factory.mktemp("train"), wheel, "train")


def run(program: Path, *words: object, cwd: Path, **more: str) -> Done:
    """A program, which finds nothing of this repository and of the environment that the tests run in."""
    kept = {name: os.environ[name] for name in ("HOME", "LANG", "OMP_NUM_THREADS") if name in os.environ}
    variables = kept | {"PATH": os.pathsep.join([str(program.parent), os.defpath])} | more
    done = subprocess.run([program, *map(str, words)], cwd=cwd, env=variables, capture_output=True, text=True)
    return Done(code=done.returncode, out=done.stdout, err=done.stderr)


def test_the_wheel_holds_three_packages_with_their_data_and_nothing_else(wheel):
    names = zipfile.ZipFile(wheel).namelist()

    assert {name.partition("/")[0] for name in names if ".dist-info/" not in name} == {
        "deepmark",
        "pipelines",
        "assets",
    }
    assert {
        "deepmark/py.typed",
        "pipelines/py.typed",
        "assets/py.typed",
        "deepmark/vocabulary/deepfashion2.json",
        "deepmark/report/templates/report.html",
        "deepmark/workspace/profiles/dvc.yaml",
        "deepmark/workspace/profiles/paper.yaml",
        *(f"deepmark/models/{name}" for name in (CARD, EXPORTED, WEIGHTS)),
        "pipelines/dagster.yaml",
    } <= set(names)
    for package in ("deepmark", "pipelines", "assets"):
        files = {str(file.relative_to(REPOSITORY)) for file in (REPOSITORY / package).rglob("*.py")}
        assert files <= set(names)


def test_the_base_explains_every_command(base, tmp_path):
    overview = run(base / "deepmark", "--help", cwd=tmp_path)
    assert overview.code == 0, overview.err
    program = (
        "import sys\nfrom deepmark.cli.app import main\n"
        f"for name in {COMMANDS}:\n"
        "    sys.argv = ['deepmark', name, '--help']\n"
        "    try:\n        main()\n    except SystemExit as end:\n        assert not end.code, name\n"
    )
    details = run(base / "python", "-c", program, cwd=tmp_path)

    assert details.code == 0, details.err
    for name in COMMANDS:
        assert name in overview.out
        assert f"deepmark {name}" in details.out


def test_the_base_detects_with_an_exported_model_and_has_no_framework(base, tmp_path):
    model, photo = small_onnx(tmp_path / "model.onnx"), tmp_path / "photo.jpg"
    Image.new("RGB", (128, 64), "white").save(photo)

    done = run(base / "deepmark", "detect", "photo.jpg", "--model", model, "--draw", "out", "--json", cwd=tmp_path)
    assert done.code == 0, done.err
    program = (
        "import sys\nfrom importlib.util import find_spec\nfrom deepmark import load_detector\n"
        "found = load_detector('model.onnx')('photo.jpg')\nfound.draw()\n"
        "absent = ['torch', 'cv2', 'pandas', 'pyarrow', 'mlflow', 'dagster', 'dvc', 'jaxtyping', 'pydantic']\n"
        "assert not any(find_spec(name) for name in absent)\n"
        "print(len(found), repr(found.scores.tolist()))"
    )
    called = run(base / "python", "-c", program, cwd=tmp_path)
    measured = run(base / "deepmark", "measure", "photo.jpg", "--model", model, "--pixels-per-cm", "4", cwd=tmp_path)
    marked = run(base / "deepmark", "measure", "photo.jpg", "--model", model, "--marker-cm", "5", cwd=tmp_path)

    packaged = run(base / "deepmark", "detect", "photo.jpg", "--out", "found.json", cwd=tmp_path)
    assert packaged.code == 0, packaged.err
    assert packaged.err.startswith("deepmark detect: with the model that comes with DeepMark: ")
    assert list(json.loads((tmp_path / "found.json").read_text("utf-8"))) == ["photo.jpg"]

    other = small_onnx(tmp_path / "other.onnx", described=contract_for(SMALL), vocabulary=SMALL)
    garments = run(base / "deepmark", "detect", "photo.jpg", "--model", other, "--draw", "out", "--json", cwd=tmp_path)

    assert [one["category"] for one in garments.facts["photo.jpg"]] == ["bag", "hat"], garments.err
    assert (measured.code, " cm" in measured.out) == (0, True), measured.err
    assert refused(marked, "this needs the extra 'train'")
    (garments,) = done.facts.values()
    assert [garment["category"] for garment in garments] == ["short sleeve top", "trousers"]
    assert (tmp_path / "out/photo.jpg").stat().st_size > 1000
    assert called.out == f"2 {[garment['score'] for garment in garments]!r}\n", called.err


def test_the_extra_eval_scores_and_the_base_names_it(base, wheel, tmp_path):
    commands = bare_environment(tmp_path / "eval", wheel, "eval")
    truth, results = tmp_path / "truth.json", tmp_path / "results.json"
    box = {"image_id": 1, "category_id": 1, "bbox": [1, 2, 30, 40]}
    write_json(
        truth,
        {
            "images": [{"id": 1, "width": 64, "height": 64, "file_name": "1.jpg"}],
            "categories": [{"id": 1, "name": "short sleeve top"}],
            "annotations": [{**box, "id": 1, "area": 1200, "iscrowd": 0}],
        },
    )
    write_json(results, [{**box, "score": 1.0}])

    for engine in ("hotcoco", "pycocotools"):
        words = ("--kind", "bbox", "--engine", engine, "--json")
        scored = run(commands / "deepmark", "score", truth, results, *words, cwd=tmp_path)
        assert scored.facts["stats"]["AP"] == pytest.approx(1), scored.err
        lacking = run(base / "deepmark", "score", truth, results, *words, cwd=tmp_path)
        assert (lacking.code, lacking.out) == (1, "")
        assert "deepmark score: this needs the extra 'eval': `pip install '.[eval]'`" in lacking.err


def test_the_extra_train_draws_and_converts(train, tmp_path, sharded_once):
    workspace, truth = copied(sharded_once, tmp_path), tmp_path / "truth.json"

    drawn = run(train / "deepmark", "synth", "drawn", "--train", 0, "--validation", 1, "--json", cwd=tmp_path)
    assert drawn.facts["validation"] == 1, drawn.err
    words = ("--to", "coco", "--split", "validation", "--out", truth)
    written = run(train / "deepmark", "convert", *words, cwd=workspace.root)
    assert written.code == 0, written.err
    assert len(json.loads(truth.read_text("utf-8"))["images"]) == 6


def test_the_extra_train_detects_with_a_checkpoint(train, tmp_path):
    network = build_detector(ModelParams(backbone="mobile", input_size=(64, 64)), DEEPFASHION2, seed=1)
    save_detector(network, tmp_path / "model.safetensors")
    Image.new("RGB", (128, 64), "white").save(tmp_path / "photo.jpg")
    options = ("--model", "model.safetensors", "--min-score", 0, "--json")

    done = run(train / "deepmark", "detect", "photo.jpg", *options, cwd=tmp_path)

    assert done.code == 0, done.err
    assert len(done.facts["photo.jpg"]) > 0


@pytest.mark.parametrize(
    ("words", "extra"),
    [
        (("train",), "train"),
        (("evaluate", "--strategy", "nms"), "train"),
        (("report",), "train"),
        (("register",), "train"),
        (("models",), "train"),
        (("synth", "new"), "train"),
        (("detect", "photo.jpg", "--model", "model.safetensors"), "train"),
        (("detect", "photo.jpg", "--model", "models:/deepmark@champion"), "train"),
    ],
)
def test_a_command_whose_extra_is_missing_names_it(base, tmp_path, words, extra):
    (tmp_path / "params.yaml").touch()
    (tmp_path / "model.safetensors").touch()
    Image.new("RGB", (8, 8)).save(tmp_path / "photo.jpg")

    done = run(base / "deepmark", *words, cwd=tmp_path)

    assert refused(done, f"deepmark {words[0]}: this needs the extra '{extra}': `pip install '.[{extra}]'`")


@pytest.mark.parametrize("words", [("init", "new"), ("demo", "new")])
def test_without_the_extra_pipeline_there_are_no_new_workspaces(train, tmp_path, words):
    done = run(train / "deepmark", *words, cwd=tmp_path)

    assert refused(done, f"deepmark {words[0]}: this needs the extra 'pipeline': `pip install '.[pipeline]'`")


def test_a_training_process_whose_extra_is_missing_names_it_too(base, tmp_path, sharded_once):
    """psutil, which the launcher asks for first, is often there without the rest of the extra."""
    linked = tmp_path / "linked"
    linked.mkdir()
    (linked / "psutil").symlink_to(Path(psutil.__file__).parent)
    root = copied(sharded_once, tmp_path).root

    done = run(base / "deepmark", "train", cwd=root, PYTHONPATH=str(linked))

    assert refused(done, "deepmark train: this needs the extra 'train': `pip install '.[train]'`")
