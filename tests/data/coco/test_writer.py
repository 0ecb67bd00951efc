"""Records and predictions become COCO files that common tools read, with nothing lost."""

import dataclasses
import json
from functools import partial

import numpy as np
import pytest
from eval_samples import detections, garment, prediction, random_case, record

from deepmark.data.coco.convert import coco_results, coco_truth
from deepmark.data.coco.writer import write_coco, write_coco_results
from deepmark.eval.coco_score.score import score_files
from deepmark.eval.metric.evaluate import evaluate
from deepmark.vocabulary import DEEPFASHION2

SUBSET_FIELDS = {"style", "scale", "occlusion", "zoom_in", "viewpoint", "pair_id", "item", "segmentation"}


def written(path):
    return json.loads(path.read_text("utf-8"))


def test_a_written_data_set_has_the_converters_fields_and_those_it_drops(tmp_path):
    records, _ = random_case(4)
    facts = write_coco(tmp_path / "truth.json", iter(records), vocabulary=DEEPFASHION2)
    truth, expected = written(tmp_path / "truth.json"), coco_truth(records, vocabulary=DEEPFASHION2)

    assert (facts["pictures"], facts["items"]) == (len(records), len(expected["annotations"]))
    for name in ("info", "licenses", "images", "categories"):
        assert truth[name] == expected[name]
    assert truth["images"][0]["source"] in ("shop", "user")
    for mine, theirs in zip(truth["annotations"], expected["annotations"], strict=True):
        assert mine.keys() == theirs.keys() | SUBSET_FIELDS
        assert mine["keypoints"] == np.asarray(theirs["keypoints"]).tolist()
        assert all(mine[name] == theirs[name] for name in theirs.keys() - {"keypoints"})


def test_polygons_and_the_items_key_are_written(tmp_path):
    polygons = (np.array([[0.0, 1], [2.5, 3], [4, 5]]),)
    vest = dataclasses.replace(garment("vest"), item="item7", polygons=polygons)
    write_coco(tmp_path / "truth.json", [record(1, vest)], vocabulary=DEEPFASHION2)

    (annotation,) = written(tmp_path / "truth.json")["annotations"]
    assert (annotation["item"], annotation["segmentation"]) == ("item7", [[0, 1, 2.5, 3, 4, 5]])


def test_written_results_are_the_detections_with_every_digit(tmp_path):
    _, predictions = random_case(4)
    facts = write_coco_results(tmp_path / "results.json", iter(predictions))
    results, expected = written(tmp_path / "results.json"), coco_results(predictions)

    assert (facts["pictures"], facts["results"]) == (len(predictions), len(expected))
    for mine, theirs in zip(results, expected, strict=True):
        assert mine.keys() == {"image_id", "category_id", "bbox", "score", "keypoints"}
        assert mine["keypoints"] == np.asarray(theirs["keypoints"]).tolist()
        assert all(mine[name] == theirs[name] for name in mine.keys() - {"keypoints"})


def test_no_detections_are_an_empty_list(tmp_path):
    write_coco_results(tmp_path / "results.json", [prediction(1, detections())])
    write_coco(tmp_path / "truth.json", [], vocabulary=DEEPFASHION2)

    assert written(tmp_path / "results.json") == []
    assert written(tmp_path / "truth.json")["annotations"] == []


@pytest.mark.slow
@pytest.mark.parametrize("seed", range(12))
def test_scoring_the_written_files_gives_the_figures_of_evaluate(tmp_path, seed):
    records, predictions = random_case(seed)
    write_coco(tmp_path / "truth.json", records, vocabulary=DEEPFASHION2)
    write_coco_results(tmp_path / "results.json", predictions)
    report = evaluate(records, predictions, by_subset=False)

    for metric, kind, visible_only in (
        ("box", "bbox", False),
        ("landmark", "keypoints", False),
        ("landmark_visible", "keypoints", True),
    ):
        stats = score_files(
            tmp_path / "truth.json", tmp_path / "results.json", kind=kind, visible_only=visible_only
        ).as_dict()["stats"]
        for figure in ("AP", "AP50", "AP75"):
            expected = report.value(f"{metric}_{figure.lower()}")
            assert stats[figure] == (None if expected is None else pytest.approx(expected, abs=1e-12))


def test_a_file_appears_whole_or_not_at_all(tmp_path):
    def interrupted(things):
        yield from things
        raise KeyboardInterrupt

    records, predictions = random_case(4)
    for path, write, things in (
        (tmp_path / "truth.json", partial(write_coco, vocabulary=DEEPFASHION2), records),
        (tmp_path / "results.json", write_coco_results, predictions),
    ):
        path.write_text("as it was")
        with pytest.raises(KeyboardInterrupt):
            write(path, interrupted(things))
        assert path.read_text() == "as it was"
    assert len(list(tmp_path.iterdir())) == 2
