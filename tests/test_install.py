"""DeepMark as a wheel in an environment of its own that has the base's packages only."""

import json
import os
import subprocess
import zipfile
from pathlib import Path

import psutil
import pytest
import typer
from distributions import REPOSITORY, bare_environment, build_wheel
from workspaces import Done, copied, refused

from deepmark.cli.app import app
from deepmark.files import write_json

pytestmark = pytest.mark.system

COMMANDS = sorted(typer.main.get_command(app).commands)


@pytest.fixture(scope="session")
def wheel(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return build_wheel(tmp_path_factory.mktemp("wheel"))


@pytest.fixture(scope="session")
def base(wheel: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The folder of commands of an environment with the wheel and the base."""
    return bare_environment(tmp_path_factory.mktemp("base"), wheel)


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
        "deepmark/deepfashion2.json",
        "deepmark/report/templates/report.html",
        "deepmark/workspace/profiles/dvc.yaml",
        "deepmark/workspace/profiles/paper.yaml",
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


def test_the_base_draws_converts_and_scores(base, tmp_path, sharded_once):
    workspace = copied(sharded_once, tmp_path)
    truth, results = tmp_path / "truth.json", tmp_path / "results.json"

    drawn = run(base / "deepmark", "synth", "drawn", "--train", 0, "--validation", 1, "--json", cwd=tmp_path)
    assert drawn.facts["validation"] == 1, drawn.err
    written = run(
        base / "deepmark", "convert", "--to", "coco", "--split", "validation", "--out", truth, cwd=workspace.root
    )
    assert written.code == 0, written.err
    copies = [{**item, "score": 1.0} for item in json.loads(truth.read_text("utf-8"))["annotations"]]
    write_json(results, copies)
    for engine in ("hotcoco", "pycocotools"):
        for kind in ("bbox", "keypoints"):
            words = ("--kind", kind, "--engine", engine, "--json")
            scored = run(base / "deepmark", "score", truth, results, *words, cwd=tmp_path)
            assert scored.facts["stats"]["AP"] == pytest.approx(1), scored.err


def test_the_base_detects_with_a_trained_model_from_the_command_line_and_from_python(base, tmp_path, trained_once):
    image = min((trained_once.raw / "validation/image").iterdir())
    options = ("--model", trained_once.model_file, "--min-score", 0)

    done = run(base / "deepmark", "detect", image, *options, "--json", cwd=tmp_path)
    assert done.code == 0, done.err
    program = (
        "from deepmark import load_detector\n"
        f"found = load_detector({str(trained_once.model_file)!r}, min_score=0)({str(image)!r})\n"
        "print(len(found), repr(found.scores.tolist()))"
    )
    called = run(base / "python", "-c", program, cwd=tmp_path)

    (garments,) = done.facts.values()
    scores = [garment["score"] for garment in garments]
    assert scores
    assert called.out == f"{len(scores)} {scores!r}\n", called.err


@pytest.mark.parametrize(
    ("words", "extra"),
    [
        (("train",), "train"),
        (("evaluate", "--strategy", "nms"), "train"),
        (("report",), "train"),
        (("register",), "train"),
        (("models",), "train"),
        (("init", "new"), "pipeline"),
        (("demo", "new"), "pipeline"),
    ],
)
def test_a_command_whose_extra_is_missing_names_it(base, tmp_path, trained_once, words, extra):
    done = run(base / "deepmark", *words, cwd=copied(trained_once, tmp_path).root)

    assert refused(done, f"deepmark {words[0]}: this needs the extra '{extra}': `pip install '.[{extra}]'`")


def test_a_training_process_whose_extra_is_missing_names_it_too(base, tmp_path, sharded_once):
    """psutil, which the launcher asks for first, is often there without the rest of the extra."""
    linked = tmp_path / "linked"
    linked.mkdir()
    (linked / "psutil").symlink_to(Path(psutil.__file__).parent)
    root = copied(sharded_once, tmp_path).root

    done = run(base / "deepmark", "train", cwd=root, PYTHONPATH=str(linked))

    assert refused(done, "deepmark train: this needs the extra 'train': `pip install '.[train]'`")
