"""The exported folder: what is in it, and what it never replaces."""

import hashlib
import io
import json
import re
import tarfile
from dataclasses import replace

import pytest
from contracts import contract_of
from small_onnx import CONTRACT as SMALL
from small_onnx import small_onnx
from vocabularies import MANY

from deepmark.errors import DeepmarkError
from deepmark.models.packaged import packaged_model
from deepmark.runtime.contract import Contract
from deepmark.vocabulary import DEEPFASHION2
from deepmark.web import onnxruntime_web
from deepmark.web.folder import write_web_folder
from deepmark.web.onnxruntime_web import FILES, runtime_files

CONTRACT = replace(SMALL, precision="int8", predict=replace(SMALL.predict, min_score=0.4))


@pytest.fixture
def package(tmp_path, monkeypatch):
    """A package of npm that has the right files with other content, taken for the right one."""
    file = tmp_path / "package.tgz"
    with tarfile.open(file, "w:gz") as archive:
        for name in FILES:
            entry = tarfile.TarInfo(f"package/dist/{name}")
            entry.size = len(name)
            archive.addfile(entry, io.BytesIO(name.encode()))
    monkeypatch.setattr(onnxruntime_web, "SHA256", hashlib.sha256(file.read_bytes()).hexdigest())
    return file


@pytest.fixture
def model(tmp_path):
    (tmp_path / "int8.onnx").write_bytes(b"a model")
    return tmp_path / "int8.onnx"


def test_the_folder_holds_page_model_contract_and_runtime(package, model, tmp_path):
    folder = tmp_path / "site"

    facts = write_web_folder(folder, model, CONTRACT, package=package)

    assert (folder / "model.onnx").read_bytes() == b"a model"
    assert Contract.read(folder / "model.json") == CONTRACT
    assert {file.name for file in (folder / "ort").iterdir()} == set(FILES)
    config = json.loads((folder / "config.json").read_text("utf-8"))
    assert (config["engine"], config["min_score"]) == ("browser", 0.4)
    assert [one["landmarks"] for one in config["categories"]] == [list(one.parts) for one in DEEPFASHION2.categories]
    assert {"index.html", "worker.js", "example.jpg"} <= {file.name for file in folder.iterdir()}
    assert facts["files"] == sum(file.is_file() for file in folder.rglob("*"))


def test_the_page_of_another_vocabulary_has_its_names_lines_and_a_colour_for_each(package, model, tmp_path):
    write_web_folder(tmp_path / "site", model, contract_of((64, 64), vocabulary=MANY), package=package)
    config = json.loads((tmp_path / "site/config.json").read_text("utf-8"))

    for category, shown in zip(MANY.categories, config["categories"], strict=True):
        assert (shown["name"], tuple(shown["landmarks"])) == (category.name, category.parts)
        assert [tuple(pair) for pair in shown["strokes"]] == list(category.strokes)
        assert re.fullmatch("#[0-9a-f]{6}", shown["color"])


def test_a_folder_of_before_is_replaced_and_another_is_not(package, model, tmp_path):
    folder = tmp_path / "site"
    write_web_folder(folder, model, CONTRACT, package=package)
    (folder / "old").write_text("old", "utf-8")
    write_web_folder(folder, model, CONTRACT, package=package)
    assert not (folder / "old").exists()

    (tmp_path / "mine").mkdir()
    (tmp_path / "mine/notes.txt").write_text("notes", "utf-8")
    with pytest.raises(
        DeepmarkError, match=r"--web .*mine: holds something else than an exported page\. Name an empty"
    ):
        write_web_folder(tmp_path / "mine", model, CONTRACT, package=package)
    assert [file.name for file in (tmp_path / "mine").iterdir()] == ["notes.txt"]


def test_the_package_is_kept_after_it_was_downloaded_once(package, tmp_path, monkeypatch):
    asked = []
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    monkeypatch.setattr(onnxruntime_web, "_download", lambda url: asked.append(url) or package.read_bytes())

    assert runtime_files() == runtime_files() == {name: name.encode() for name in FILES}
    assert asked == [f"https://registry.npmjs.org/onnxruntime-web/-/onnxruntime-web-{onnxruntime_web.VERSION}.tgz"]


def test_a_damaged_package_is_refused_and_downloaded_again(package, tmp_path, monkeypatch):
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    answers = [b"damaged", package.read_bytes()]
    monkeypatch.setattr(onnxruntime_web, "_download", lambda url: answers.pop(0))

    with pytest.raises(DeepmarkError, match=r"not onnxruntime-web .* \(its sha256 differs\)\. Download it again"):
        runtime_files()
    assert set(runtime_files()) == set(FILES)


@pytest.mark.parametrize(
    ("registry", "words"),
    [
        ("http://127.0.0.1:9", r"not an https address\. Correct NPM_CONFIG_REGISTRY"),
        ("https://127.0.0.1:9", r"cannot be downloaded \(.*\)\. Try again, or download it elsewhere and name the file"),
    ],
)
def test_a_registry_that_does_not_answer_is_told(registry, words, tmp_path, monkeypatch):
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    monkeypatch.setenv("NPM_CONFIG_REGISTRY", registry)

    with pytest.raises(DeepmarkError, match=words):
        runtime_files()


def test_a_package_that_is_not_there_is_told(tmp_path):
    with pytest.raises(DeepmarkError, match=r"nowhere\.tgz: cannot be read \(No such file"):
        runtime_files(tmp_path / "nowhere.tgz")


def test_the_command_writes_the_folder_of_an_exported_file(package, deepmark, tmp_path):
    file = small_onnx(tmp_path / "small.onnx")

    done = deepmark("export", "--web", tmp_path / "site", "--model", file, "--onnxruntime-web", package, "--json")

    assert done.code == 0, done.err
    assert (done.facts["precision"], done.facts["folder"]) == ("float32", str(tmp_path / "site"))
    assert (tmp_path / "site/model.onnx").read_bytes() == file.read_bytes()


def test_the_model_that_comes_with_deepmark_can_be_named(package, deepmark, tmp_path):
    done = deepmark("export", "--web", tmp_path / "site", "--model", "open", "--onnxruntime-web", package)

    assert done.code == 0, done.err
    assert (tmp_path / "site/model.onnx").read_bytes() == packaged_model().read_bytes()


def test_where_nothing_was_exported_other_models_are_named(deepmark, tmp_path):
    done = deepmark("export", "--web", tmp_path / "site", "-w", tmp_path)

    assert done.code == 1
    assert "export/model.onnx: not there yet. `deepmark export` makes it; --model names another file, --model open" in (
        done.err
    )
    assert not (tmp_path / "site").exists()


def test_what_is_no_exported_file_is_refused_before_anything_is_written(deepmark, tmp_path):
    (tmp_path / "notes.onnx").write_text("notes", "utf-8")

    done = deepmark("export", "--web", tmp_path / "site", "--model", tmp_path / "notes.onnx")

    assert done.code == 1
    assert "notes.onnx: text, not an ONNX file" in done.err
    assert not (tmp_path / "site").exists()


@pytest.mark.parametrize(
    ("files", "taken"), [(["model"], "model"), (["model", "model_fp16", "model_int8"], "model_int8")]
)
def test_without_a_model_the_smallest_file_of_the_workspace_is_taken(package, deepmark, tmp_path, files, taken):
    (tmp_path / "export").mkdir()
    for number, name in enumerate(files):
        described = replace(SMALL, data_version=str(number))
        small_onnx(tmp_path / f"export/{name}.onnx", described=described)

    done = deepmark("export", "--web", tmp_path / "site", "-w", tmp_path, "--onnxruntime-web", package)

    assert done.code == 0, done.err
    assert (tmp_path / "site/model.onnx").read_bytes() == (tmp_path / f"export/{taken}.onnx").read_bytes()
