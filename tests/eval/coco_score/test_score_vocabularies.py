"""COCO files of other garments than DeepFashion2's have the figures of the metric, by either engine."""

import json
from pathlib import Path

import pytest
from vocabularies import MANY, SMALL
from vocabulary_samples import random_case

from deepmark.data.coco.writer import write_coco, write_coco_results
from deepmark.errors import DeepmarkError
from deepmark.eval.coco_score.score import score_files
from deepmark.eval.metric.evaluate import evaluate
from deepmark.vocabulary import Vocabulary
from deepmark.vocabulary.vocabulary_file import vocabulary_yaml


def written(folder: Path, vocabulary: Vocabulary, seed: int = 3) -> tuple[Path, Path]:
    """A COCO data set and COCO results of random labels and detections."""
    records, predictions = random_case(vocabulary, seed)
    write_coco(folder / "truth.json", records, vocabulary)
    write_coco_results(folder / "results.json", predictions)
    return folder / "truth.json", folder / "results.json"


@pytest.mark.parametrize("engine", ["hotcoco", "pycocotools"])
@pytest.mark.parametrize("vocabulary", [SMALL, pytest.param(MANY, marks=pytest.mark.slow)], ids=lambda each: each.name)
def test_the_figures_are_those_of_the_metric(tmp_path, vocabulary, engine):
    files = written(tmp_path, vocabulary)
    report = evaluate(*random_case(vocabulary, 3), vocabulary=vocabulary, by_subset=False)

    for kind, visible_only, name in (
        ("bbox", False, "box"),
        ("keypoints", False, "landmark"),
        ("keypoints", True, "landmark_visible"),
    ):
        score = score_files(*files, kind=kind, visible_only=visible_only, vocabulary=vocabulary, engine=engine)
        values = score.as_dict()
        for figure in ("AP", "AP50", "AP75"):
            wanted = report.value(f"{name}_{figure.lower()}")
            assert values["stats"][figure] == pytest.approx(wanted, abs=1e-12)
            for category in vocabulary.by_name:
                own = report.value(f"{name}_{figure.lower()}", f"category:{category}")
                assert values["per_category"][category][figure] == pytest.approx(own, abs=1e-12)


def test_a_category_of_boxes_alone_has_box_figures_and_no_landmark_figures(tmp_path):
    files = written(tmp_path, SMALL)
    boxes, landmarks = (score_files(*files, kind=kind, vocabulary=SMALL).as_dict() for kind in ("bbox", "keypoints"))

    assert boxes["per_category"]["hat"]["AP"] > 0
    assert landmarks["per_category"]["hat"]["AP"] is None
    assert landmarks["stats"]["AP"] == pytest.approx(
        sum(landmarks["per_category"][name]["AP"] for name in ("bag", "shoe")) / 2
    )


def test_files_of_another_vocabulary_are_refused_by_name(tmp_path):
    files = written(tmp_path, SMALL)

    with pytest.raises(DeepmarkError, match='expected the category "garment 1" of the vocabulary forty'):
        score_files(*files, kind="bbox", vocabulary=MANY)
    with pytest.raises(DeepmarkError, match=r"294 \* 3 = 882 numbers"):
        score_files(*files, kind="keypoints")
    content = json.loads(files[0].read_text())
    content["categories"].append({"id": 9, "name": "glove"})
    files[0].write_text(json.dumps(content))
    with pytest.raises(DeepmarkError, match="expected no more category of the vocabulary accessories, found 'glove'"):
        score_files(*files, kind="bbox", vocabulary=SMALL)


def test_the_command_takes_the_vocabulary_as_a_file(deepmark, tmp_path):
    truth, results = written(tmp_path, SMALL)
    (tmp_path / "vocabulary.yaml").write_text(vocabulary_yaml(SMALL))
    done = deepmark(
        *("score", truth, results, "--kind", "keypoints", "--vocabulary", tmp_path / "vocabulary.yaml", "--json")
    )
    refused = deepmark("score", truth, results, "--kind", "keypoints")

    assert done.code == 0, done.err
    assert done.facts["per_category"].keys() == set(SMALL.by_name)
    assert refused.code == 1
    assert "Traceback" not in refused.err


def test_the_option_goes_with_import_alone(deepmark, tmp_path):
    out = tmp_path / "out.json"
    done = deepmark("convert", "--to", "coco", "--split", "train", "--out", out, "--vocabulary", tmp_path / "v.yaml")

    assert done.code == 1
    assert "takes no --vocabulary" in done.err
