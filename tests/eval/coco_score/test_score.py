"""Scores of COCO files are the official figures, to the last digit that counts, by either engine."""

import contextlib
import io
import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from coco_cases import dataset, item, random_files, result, without, write
from pycocotools.coco import COCO
from pycocotools.cocoeval import COCOeval

from deepmark.data.coco import results_reader
from deepmark.eval.coco_score.figures import FIGURES
from deepmark.eval.coco_score.score import Score, score_files
from deepmark.vocabulary import DEEPFASHION2

CASES = range(240)
QUESTIONS = (("bbox", False), ("keypoints", False), ("keypoints", True))


def scored(folder: Path, truth: Any, results: Any, kind: str = "keypoints", **choices: Any) -> Score:
    return score_files(
        write(folder / "truth.json", truth),
        write(folder / "results.json", results),
        kind=kind,
        scratch=folder,
        **choices,
    )


def official(truth: dict[str, Any], results: list[dict[str, Any]], kind: str, *, visible_only: bool) -> COCOeval:
    """Stock pycocotools with nothing changed but the sigmas."""
    if visible_only:
        truth = json.loads(json.dumps(truth))
        for annotation in truth["annotations"]:
            states = annotation["keypoints"][2::3]
            annotation["keypoints"][2::3] = [0 if v == 1 else v for v in states]
            annotation["num_keypoints"] = sum(v == 2 for v in states)
    with contextlib.redirect_stdout(io.StringIO()):
        coco = COCO()
        coco.dataset = truth
        coco.createIndex()
        evaluation = COCOeval(coco, coco.loadRes(results), kind)
        if kind == "keypoints":
            evaluation.params.kpt_oks_sigmas = np.array(DEEPFASHION2.sigmas)
        evaluation.evaluate()
        evaluation.accumulate()
        evaluation.summarize()
    return evaluation


@pytest.mark.parametrize("seed", [pytest.param(seed, marks=[pytest.mark.slow] if seed >= 20 else []) for seed in CASES])
def test_every_figure_and_the_whole_precision_are_those_of_stock_pycocotools(tmp_path, seed):
    truth, results = random_files(seed)
    kind, visible_only = QUESTIONS[seed % 4 % 3]
    score = scored(tmp_path, truth, results, kind, visible_only=visible_only)
    if not results:  # stock pycocotools cannot load an empty list
        assert max(score.as_dict()["stats"]["official"]) <= 0
        return
    expected = official(truth, results, kind, visible_only=visible_only)

    np.testing.assert_allclose(score.curves.precision, expected.eval["precision"], rtol=0, atol=1e-12)
    np.testing.assert_allclose(score.curves.recall, expected.eval["recall"], rtol=0, atol=1e-12)
    np.testing.assert_allclose(score.as_dict()["stats"]["official"], expected.stats, rtol=0, atol=1e-12)


@pytest.mark.parametrize("seed", range(0, 60, 5))
def test_both_engines_make_the_same_of_the_same_files(tmp_path, seed):
    truth, results = random_files(seed)
    for kind in ("bbox", "keypoints"):
        ours = scored(tmp_path, truth, results, kind).as_dict()
        judge = scored(tmp_path, truth, results, kind, engine="pycocotools").as_dict()

        assert ours["stats"]["official"] == pytest.approx(judge["stats"]["official"], abs=1e-12)
        assert ours.keys() == judge.keys()


@pytest.mark.slow
@pytest.mark.parametrize("question", QUESTIONS)
def test_random_files_hold_what_makes_the_metric_hard(question):
    cases = [random_files(seed) for seed in CASES if QUESTIONS[seed % 4 % 3] == question]
    items = [each for truth, _ in cases for each in truth["annotations"]]
    found = [results for _, results in cases if results]
    cells = [
        np.unique([(each["image_id"], each["category_id"]) for each in results], axis=0, return_counts=True)[1]
        for results in found
    ]
    states = [set(each["keypoints"][2::3]) for each in items]

    assert len(found) >= 50
    assert any(len(truth["images"]) > len({each["image_id"] for each in truth["annotations"]}) for truth, _ in cases)
    assert max(cell.max() for cell in cells) > (100 if question == ("bbox", False) else 20)
    assert any(len({each["score"] for each in results}) < len(results) for results in found)
    assert any(each["iscrowd"] for each in items)
    assert any(not each["num_keypoints"] for each in items)
    assert any(state == {0, 1, 2} for state in states)
    assert any(1 in state and 2 not in state for state in states)
    assert {"bbox" in results[0] for results in found} == {True, False}


@pytest.mark.slow
def test_over_two_hundred_random_cases_are_compared():
    assert sum(bool(random_files(seed)[1]) for seed in CASES) >= 200


def test_exact_results_score_one_and_every_figure_has_its_name(tmp_path):
    items = [item(1, 5, 1), item(2, 9, 2)]
    for kind, count in (("bbox", 12), ("keypoints", 10)):
        values = scored(tmp_path, dataset(*items), [result(each) for each in items], kind).as_dict()

        assert list(values["stats"]) == [*(figure.name for figure in FIGURES[kind]), "official"]
        assert len(values["stats"]["official"]) == count
        assert values["stats"]["AP"] == pytest.approx(1)
        assert list(values["per_category"]) == [category.coco_name for category in DEEPFASHION2.categories]
        assert values["per_category"]["vest"]["AP75"] == pytest.approx(1)


def test_what_the_data_set_does_not_hold_has_no_figure(tmp_path):
    stats = scored(tmp_path, dataset(item()), [result(item())]).as_dict()

    assert stats["stats"]["AP_large"] is None
    assert stats["stats"]["official"][4] == -1
    assert stats["per_category"]["skirt"]["AP"] is None


def test_visible_only_asks_for_visible_landmarks_alone(tmp_path):
    truth = item()
    start = DEEPFASHION2.categories[4].start * 3
    truth["keypoints"][start + 2] = 1
    found = result(truth, keypoints=[*truth["keypoints"]])
    found["keypoints"][start] += 1000

    both = scored(tmp_path, dataset(truth), [found]).as_dict()["stats"]
    visible = scored(tmp_path, dataset(truth), [found], visible_only=True).as_dict()["stats"]
    assert both["AP"] < 1
    assert visible["AP"] == pytest.approx(1)


def test_an_item_without_visible_landmarks_is_ignored_when_only_those_count(tmp_path):
    hidden = item(2, 5, 2)
    hidden["keypoints"][2::3] = [v / 2 for v in hidden["keypoints"][2::3]]
    truth = dataset(item(1), hidden)

    assert scored(tmp_path, truth, [result(item(1))]).as_dict()["stats"]["AR"] == pytest.approx(0.5)
    assert scored(tmp_path, truth, [result(item(1))], visible_only=True).as_dict()["stats"]["AR"] == pytest.approx(1)


def test_no_results_score_zero_by_either_engine(tmp_path):
    for engine in ("hotcoco", "pycocotools"):
        for kind in ("bbox", "keypoints"):
            stats = scored(tmp_path, dataset(item()), [], kind, engine=engine).as_dict()["stats"]
            assert (stats["AP"], stats["official"][0]) == (0, 0)


def test_where_the_keypoints_stand_in_a_result_does_not_matter(tmp_path):
    truth, usual = dataset(item(1), item(2, 9, 2)), [result(item(1)), result(item(2, 9, 2), 0.5)]
    odd = [
        {"note": 'a } and a \\" and "keypoints": [1]', "segmentation": {"size": [1, 2], "counts": "{"}} | each
        for each in usual
    ]
    odd = [dict(reversed(each.items())) for each in odd]
    spaced = json.dumps(odd, indent=1).replace("[\n", " [ \n\t").replace('"keypoints":', '"keypoints" :')

    assert scored(tmp_path, truth, spaced).as_dict() == scored(tmp_path, truth, usual).as_dict()


@pytest.mark.parametrize("window", [1, 7, 1000])
def test_where_the_window_of_the_reader_ends_does_not_matter(tmp_path, monkeypatch, window):
    truth, results = random_files(1)
    text = json.dumps(results[:4], indent=1)
    whole = scored(tmp_path, truth, text).as_dict()
    monkeypatch.setattr(results_reader, "CHUNK", window)

    assert scored(tmp_path, truth, text).as_dict() == whole


def test_boxes_alone_can_be_scored_on_a_data_set_without_landmarks(tmp_path):
    truth = without(item(), "keypoints", "num_keypoints")

    assert scored(tmp_path, dataset(truth), [without(result(item()), "keypoints")], "bbox").as_dict()["stats"][
        "AP"
    ] == pytest.approx(1)


def test_nothing_is_printed_and_nothing_is_left_behind(tmp_path, capfd):
    for engine in ("hotcoco", "pycocotools"):
        scored(tmp_path, dataset(item()), [result(item())], engine=engine)

    assert capfd.readouterr() == ("", "")
    assert {file.name for file in tmp_path.iterdir()} == {"truth.json", "results.json"}
