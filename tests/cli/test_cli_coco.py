"""`deepmark score` and `deepmark convert`, as people and scripts use them."""

import json
import shutil

import pytest
from coco_cases import dataset, item, result, write
from workspaces import copied, refused, set_params

from deepmark import stages
from deepmark.data.records import read_records
from deepmark.data.shards.record_json import record_to_json
from deepmark.eval.coco_score.figures import FIGURES
from deepmark.vocabulary import DEEPFASHION2


@pytest.fixture(scope="module")
def predicted_once(trained_once, tmp_path_factory):
    workspace = copied(trained_once, tmp_path_factory.mktemp("predicted"))
    stages.predict(workspace, strategy="nms")
    stages.evaluate(workspace, strategy="nms")
    return workspace


@pytest.fixture
def files(predicted_once, deepmark, tmp_path):
    """A COCO data set and COCO results, written from a workspace."""
    root = predicted_once.root
    for words in (("coco", "--split", "validation"), ("coco-results", "--strategy", "nms")):
        done = deepmark("convert", "--to", *words, "--out", tmp_path / f"{words[0]}.json", "-w", root, "--json")
        assert done.code == 0, done.err
        assert done.facts["pictures"] == 6
    return tmp_path / "coco.json", tmp_path / "coco-results.json"


def test_the_score_of_written_files_is_the_evaluation_of_the_workspace(deepmark, files, predicted_once, tmp_path):
    metrics = json.loads(predicted_once.metrics_file("nms").read_text())

    for kind, name in (("bbox", "box"), ("keypoints", "landmark")):
        done = deepmark("score", *files, "--kind", kind, "--json", "--out", tmp_path / "scores.json")
        assert done.code == 0, done.err
        assert json.loads((tmp_path / "scores.json").read_text()) == done.facts
        assert f"reading {files[0]}" in done.err
        for figure in ("AP", "AP50", "AP75"):
            assert done.facts["stats"][figure] == pytest.approx(metrics[name][figure], abs=1e-12)


def test_rescored_predictions_are_a_file_of_each_kind_with_the_figures_of_the_workspace(
    deepmark, predicted_once, tmp_path
):
    workspace = copied(predicted_once, tmp_path / "rescored")
    set_params(workspace, predict={"rescore": True})
    for command in ("predict", "evaluate"):
        assert deepmark(command, "--strategy", "nms", "-w", workspace.root).code == 0
    metrics = json.loads(workspace.metrics_file("nms").read_text())
    write = ("convert", "--to", "coco-results", "--strategy", "nms", "-w", workspace.root, "--out")
    truth = tmp_path / "truth.json"
    deepmark("convert", "--to", "coco", "--split", "validation", "--out", truth, "-w", workspace.root)

    assert refused(deepmark(*write, tmp_path / "r.json"), "a COCO result has one score", "Give --kind bbox or")
    for kind, name in (("bbox", "box"), ("keypoints", "landmark")):
        results = tmp_path / f"{kind}.json"
        assert deepmark(*write, results, "--kind", kind).code == 0
        facts = deepmark("score", truth, results, "--kind", kind, "--json").facts
        for figure in ("AP", "AP50", "AP75"):
            assert facts["stats"][figure] == pytest.approx(metrics[name][figure], abs=1e-12)


def test_the_score_is_a_table_for_people(deepmark, files):
    done = deepmark("score", *files, "--kind", "keypoints", "--visible-only")

    lines = [line.split() for line in done.out.splitlines() if line.strip()]
    assert lines[0] == ["Official", "figures,", "landmarks,", "visible", "only"]
    assert [line[0] for line in lines[3:13]] == [figure.name for figure in FIGURES["keypoints"]]
    assert ["AP", "AP50", "AP75", "AR"] in lines
    assert [line[0] for line in lines[-13:]] == [category.coco_name for category in DEEPFASHION2.categories]


def test_results_of_negative_width_are_told(deepmark, tmp_path):
    """They are not refused: a network that has learnt little gives such boxes, and the figures are pycocotools'."""
    truth = write(tmp_path / "truth.json", dataset(item()))
    found = [result(item(), 0.8), result(item(), 0.9, bbox=[10, 20, -5, 80])]
    words = ("score", truth, write(tmp_path / "results.json", found), "--kind", "bbox", "--json", "--engine")
    for engine in ("pycocotools", "hotcoco"):
        done = deepmark(*words, engine)
        assert f"{tmp_path / 'results.json'}: 1 of 2 boxes have a negative width or height: as in pyco" in done.err
        assert done.facts["stats"]["AP"] == pytest.approx(1)


def test_a_category_may_have_any_name(deepmark, files):
    files[0].write_text(files[0].read_text().replace('"vest"', '"[/a] [bold]"'))

    assert "[/a] [bold]" in deepmark("score", *files, "--kind", "bbox").out


def test_visible_only_is_refused_for_boxes(deepmark, files):
    assert refused(deepmark("score", *files, "--kind", "bbox", "--visible-only"), "boxes have no landmarks")


@pytest.mark.slow
def test_a_file_that_cannot_be_scored_is_one_message(deepmark, files):
    done = deepmark("score", *reversed(files), "--kind", "bbox")

    assert done.code == 1
    assert done.out == ""
    assert done.err.splitlines()[-1].startswith(f"deepmark score: {files[1]}: not a COCO data set")


def test_a_data_set_goes_to_coco_and_back_into_a_workspace(deepmark, files, predicted_once, tmp_path):
    out = tmp_path / "again/data/raw/validation"
    pictures = predicted_once.raw / "validation/image"
    done = deepmark("convert", "--from", "coco", files[0], "--images", pictures, "--out", out, "--json")
    shutil.copyfile(predicted_once.root / "params.yaml", tmp_path / "again/params.yaml")

    assert done.facts["stood_in"] == {}
    assert deepmark("ingest", "--split", "validation", "-w", tmp_path / "again").code == 0
    again = tmp_path / "again/data/records/validation.parquet"
    before = predicted_once.records_file("validation")
    assert list(map(record_to_json, read_records(again))) == list(map(record_to_json, read_records(before)))


def test_the_value_given_for_a_missing_field_is_reported(deepmark, files, predicted_once, tmp_path):
    text = (
        files[0].read_text().replace('"scale"', '"size"').replace('"source"', '"from"').replace('"pair_id"', '"pair"')
    )
    files[0].write_text(text)
    pictures = predicted_once.raw / "validation/image"
    done = deepmark("convert", "--from", "coco", files[0], "--images", pictures, "--out", tmp_path / "again")

    assert "scale: missing for" in done.err
    assert "each was given 2" in done.err
    assert "source: missing for 6 of 6 images, each was given shop" in done.err
    assert "pair_id: missing for 6 of 6 images, each was given its own number" in done.err
    assert "tables by these fields will say nothing" in done.err


@pytest.mark.parametrize(
    ("words", "message"),
    [
        ((), "give one of --to coco, --to coco-results and --from coco"),
        (("--to", "coco", "--from", "coco"), "give one of"),
        (("--to", "coco"), "--to coco needs --split. It goes with --out, --split"),
        (("--to", "coco", "--split", "train"), "--to coco needs --out"),
        (("--to", "coco", "--split", "train", "--out", "x", "--strategy", "nms"), "--to coco takes no --strategy"),
        (("--to", "coco-results", "--out", "x"), "--to coco-results needs --strategy"),
        (("--from", "coco", "--out", "x"), "--from coco needs FILE"),
        (("--to", "coco", "--split", "train", "--out", "x", "--kind", "bbox"), "--to coco takes no --kind"),
        (("--from", "coco", "file.json", "--out", "x"), "--from coco needs --images"),
    ],
)
def test_convert_names_the_options_that_go_together(deepmark, words, message):
    assert refused(deepmark("convert", *words), message)
