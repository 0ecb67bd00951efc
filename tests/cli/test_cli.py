"""The commands as people and scripts use them: help, facts, and one message for a mistake."""

import subprocess
import sys
import threading
from pathlib import Path
from types import SimpleNamespace

import pytest
import typer
from vocabularies import SMALL
from workspaces import refused, set_params

from deepmark import __version__, stages
from deepmark.cli import demo
from deepmark.cli.app import app
from deepmark.schema import STRATEGIES
from deepmark.vocabulary.vocabulary_file import vocabulary_yaml

HEAVY = ("torch", "mlflow", "dagster", "pandas", "pyarrow", "numpy", "cv2", "pydantic")


def test_help_imports_nothing_that_takes_time():
    program = (
        "import sys\nfrom deepmark.cli.app import main\nsys.argv = ['deepmark', '--help']\n"
        f"try:\n    main()\nfinally:\n    print([name for name in {HEAVY} if name in sys.modules], file=sys.stderr)"
    )
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=False)

    assert done.returncode == 0
    assert "deepmark demo runs/demo" in done.stdout
    assert done.stderr == "[]\n"


@pytest.mark.parametrize("name", sorted(typer.main.get_command(app).commands))
def test_a_command_explains_itself_and_its_options(deepmark, name):
    command = typer.main.get_command(app).commands[name]
    done = deepmark(name, "--help")

    assert command.help
    assert all(parameter.help for parameter in command.params)
    assert done.code == 0
    assert command.help.split()[0] in done.out


def test_an_unknown_choice_names_the_choices(deepmark):
    done = deepmark("ingest", "--split", "test")

    assert done.code == 2
    assert "train" in done.err
    assert "validation" in done.err


def test_the_facts_of_every_stage_are_json_and_nothing_else(deepmark, trained):
    def facts(*words):
        done = deepmark(*words, "--workspace", trained.root, "--json")
        assert done.code == 0, done.err
        return done.facts

    drawn = deepmark("synth", trained.root / "drawn", "--train", 1, "--validation", 2, "--json").facts
    assert (drawn["train"], drawn["validation"]) == (1, 2)
    ingested = facts("ingest", "--split", "validation")
    assert (ingested["files"], ingested["records"], ingested["rejected"]) == (6, 6, 0)
    assert facts("shard", "--split", "validation")["samples"] == 6
    for strategy in STRATEGIES:
        assert facts("predict", "--strategy", strategy)["pictures"] == 6
        assert facts("evaluate", "--strategy", strategy)["images"] == 6
        names = {"ap", "landmarks", "errors", "confusion", "curves", "calibration", "resamples"}
        files = {*(f"{name}.csv" for name in names), "items.parquet"}
        assert {file.name for file in trained.tables(strategy).iterdir()} == files
    assert facts("crossvalidate") == {"pictures": 0, "folds": 0}
    assert facts("audit")["pictures"] == 18
    assert Path(facts("report")["page"]).is_file()


def test_without_json_the_facts_are_lines_for_people(deepmark, sharded):
    done = deepmark("ingest", "--split", "validation", "--workspace", sharded.root)

    lines = [line.split() for line in done.out.splitlines()]
    assert ["records", "6"] in lines
    assert "boxes clipped" in [" ".join(line[:-1]) for line in lines]


def test_a_folder_without_params_is_no_workspace(deepmark, tmp_path):
    done = deepmark("ingest", "--split", "train", "--workspace", tmp_path)

    assert refused(done, f"deepmark ingest: {tmp_path}: no workspace here", "deepmark init", "--workspace DIR")


def test_a_misspelt_parameter_is_answered_with_the_right_one(deepmark, sharded):
    file = sharded.root / "params.yaml"
    file.write_text(file.read_text("utf-8").replace("target_mib", "target_mb"), "utf-8")
    done = deepmark("shard", "--split", "train", "--workspace", sharded.root)

    assert refused(done, "shard: 'target_mb' is not a parameter", "Did you mean 'target_mib'?")


def test_a_missing_raw_folder_is_named(deepmark, sharded):
    set_params(sharded, data={"raw": "elsewhere"})
    done = deepmark("ingest", "--split", "train", "--workspace", sharded.root)

    assert refused(done, f"{sharded.root}/elsewhere/train/image", "docs/data.md", "deepmark synth")


@pytest.mark.parametrize(
    ("command", "missing", "maker"),
    [
        ("shard --split train", "data/records/train.parquet", "deepmark ingest --split train"),
        ("train", "data/shards/train", "deepmark shard --split train"),
        ("train", "data/shards/validation", "deepmark shard --split validation"),
        ("predict --strategy nms", "data/checkpoint/model.safetensors", "deepmark train"),
        ("evaluate --strategy flip", "data/predictions/flip.parquet", "deepmark predict --strategy"),
        ("audit", "data/records/train.parquet", "deepmark ingest --split train"),
        ("audit", "data/shards/validation", "deepmark shard --split validation"),
        ("audit", "data/predictions/multiscale.parquet", "deepmark predict --strategy multiscale"),
        ("report", "metrics/none.json", "deepmark evaluate --strategy none"),
    ],
)
def test_a_missing_input_is_named_with_the_command_that_makes_it(deepmark, sharded, command, missing, maker):
    path = sharded.root / missing
    if path.exists():
        path.rename(path.with_name("moved"))
    done = deepmark(*command.split(), "--workspace", sharded.root)

    assert refused(done, str(path), maker)


def test_a_batch_must_give_every_process_an_image(deepmark, sharded):
    set_params(sharded, train={"batch_size": 2}, compute={"train_processes": 3})
    done = deepmark("train", "--workspace", sharded.root)

    assert refused(done, "train: batch_size 2", "3 processes", "Raise it")


def test_a_split_must_give_every_process_an_image(deepmark, sharded):
    set_params(sharded, train={"batch_size": 16}, compute={"train_processes": 7})
    done = deepmark("train", "--workspace", sharded.root)

    assert refused(done, "data/shards/validation", "6 images are too few for 7 processes")


def test_a_damaged_shard_is_not_trained_on(deepmark, sharded):
    (shard,) = sharded.shards("train").glob("*.tar")
    data = bytearray(shard.read_bytes())
    data[len(data) // 2] ^= 1
    shard.write_bytes(data)
    done = deepmark("train", "--workspace", sharded.root)

    assert refused(done, str(shard), "sha256", "deepmark shard")
    assert not sharded.runs.exists()


def test_init_does_not_fill_a_folder_that_is_in_use(deepmark, tmp_path):
    (tmp_path / "letter.txt").write_text("mine")
    done = deepmark("init", tmp_path)

    assert refused(done, "deepmark init", str(tmp_path), "not empty", "new folder")


def test_a_tracking_server_that_does_not_answer_is_named_and_stops_only_what_needs_it(deepmark, trained, monkeypatch):
    assert deepmark("predict", "--strategy", "nms", "--workspace", trained.root).code == 0
    monkeypatch.setenv("MLFLOW_TRACKING_URI", "http://127.0.0.1:9")
    monkeypatch.setenv("MLFLOW_HTTP_REQUEST_MAX_RETRIES", "0")
    figures = deepmark("evaluate", "--strategy", "nms", "--workspace", trained.root)
    versions = deepmark("models", "--workspace", trained.root)

    assert figures.code == 0
    assert "MLflow at http://127.0.0.1:9 cannot be used" in figures.err
    assert refused(versions, "MLflow at http://127.0.0.1:9 cannot be used", "MLFLOW_TRACKING_URI")


def test_a_run_that_the_tracking_store_does_not_know_is_warned_of_with_advice(deepmark, trained):
    assert deepmark("predict", "--strategy", "nms", "--workspace", trained.root).code == 0
    (trained.root / "mlflow.db").unlink()
    done = deepmark("evaluate", "--strategy", "nms", "--workspace", trained.root)

    assert done.code == 0
    assert "were not logged to MLflow: MLflow at" in done.err
    assert "`deepmark train --fresh`" in done.err


def test_predictions_of_other_images_are_not_audited(deepmark, trained):
    assert deepmark("predict", "--strategy", "multiscale", "--workspace", trained.root).code == 0
    (trained.root / "data/raw/validation/image/000006.jpg").unlink()
    (trained.root / "data/raw/validation/annos/000006.json").unlink()
    assert deepmark("ingest", "--split", "validation", "--workspace", trained.root).code == 0
    done = deepmark("audit", "--workspace", trained.root)

    assert refused(done, "multiscale.parquet", "1 of them are not there", "deepmark predict --strategy multiscale")
    assert not trained.audit.exists()


def test_the_version_is_that_of_the_package(deepmark):
    done = deepmark("--version")

    assert (done.code, done.out) == (0, f"deepmark {__version__}\n")


def leaf_commands(group) -> dict:
    """The commands that do something, those of groups below it included, by name."""
    found = {}
    for name, command in group.commands.items():
        found |= leaf_commands(command) if hasattr(command, "commands") else {name: command}
    return found


def test_every_command_takes_json_as_a_flag():
    for name, command in leaf_commands(typer.main.get_command(app)).items():
        (option,) = [one for one in command.params if "--json" in one.opts]
        assert option.is_flag, name


@pytest.mark.slow
def test_the_facts_of_a_new_workspace_and_of_the_demo_are_json_and_nothing_else(deepmark, tmp_path, monkeypatch):
    root = tmp_path / "new"
    made = deepmark("init", root, "--profile", "demo", "--json").facts
    assert made == {"workspace": str(root), "raw": str(root / "data/raw")}
    assert f"Put DeepFashion2 into {root / 'data/raw'}; then `dvc repro`" in deepmark("init", root).out
    (root / "vocabulary.yaml").write_text(vocabulary_yaml(SMALL), "utf-8")
    assert "`deepmark import` puts images and labels of accessories into" in deepmark("init", root).out
    (root / "vocabulary.yaml").unlink()

    def materialize(command, *, stdout, **_):
        assert stdout == 2
        return subprocess.CompletedProcess(command, 0)

    monkeypatch.setattr(demo, "subprocess", SimpleNamespace(run=materialize))
    monkeypatch.setattr(demo, "draw_dataset", lambda *_, **__: None)
    monkeypatch.setattr(demo, "read_metrics", lambda file: {"read from": str(file)})
    monkeypatch.setattr(demo, "read_json_with_digest", lambda file, maker: {"files": {"int8": {}}})
    facts = deepmark("demo", root, "--json").facts
    assert facts["metrics"].keys() == set(STRATEGIES)
    assert facts["exported"].keys() == {"int8"}
    assert facts["report"] == str(root / "report/index.html")


def test_the_same_stage_may_run_twice_at_once(sharded):
    """Both are in the middle of their work at the same time, and the file is the same as that of one alone."""
    before, both, errors = sharded.records_file("train").read_bytes(), threading.Barrier(2, timeout=120), []

    def ingest():
        try:
            both.wait()
            stages.ingest(sharded, split="train")
        except Exception as error:
            errors.append(error)

    threads = [threading.Thread(target=ingest) for _ in range(2)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()

    assert errors == []
    assert sharded.records_file("train").read_bytes() == before
    assert list(sharded.root.rglob("*.unfinished")) == []
