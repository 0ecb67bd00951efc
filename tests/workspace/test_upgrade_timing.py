"""A workspace whose predictions hold their times, as those of earlier releases do: DVC predicts nothing again."""

import json
import shutil

import pytest
from registered import evaluated
from ruamel.yaml import YAML
from workspaces import run

from deepmark.data.predictions import prediction_facts, read_predictions, write_predictions
from deepmark.errors import DeepmarkError
from deepmark.eval.metric.timing_file import read_timing
from deepmark.schema import STRATEGIES
from deepmark.workspace.init import dvc_yaml, profile_file
from deepmark.workspace.upgrade import plan_upgrade

TIMES = {"read": 1.0, "network": 2.0, "decode": 0.5}

NEW = ["      metrics:", "        - metrics/timing/${item}.json:", "            cache: false"]


def earlier(text: str) -> str:
    """A dvc.yaml of before."""
    text = text.replace("\n".join(NEW) + "\n", "")
    return "".join(line for line in text.splitlines(keepends=True) if "metrics/timing" not in line)


@pytest.fixture
def old(tmp_path):
    shutil.copyfile(profile_file("demo"), tmp_path / "params.yaml")
    text = dvc_yaml().read_text("utf-8")
    (tmp_path / "dvc.yaml").write_text(earlier(text) + "# the end, by me\n", "utf-8")
    assert len(text.splitlines()) - len(earlier(text).splitlines()) == 9
    return tmp_path


def test_the_stages_name_the_timings(old):
    plan_upgrade(old).write()

    load = YAML(typ="safe").load
    after = (old / "dvc.yaml").read_text("utf-8")
    assert load(after) == load(dvc_yaml().read_text("utf-8"))
    assert after.endswith("# the end, by me\n")
    assert plan_upgrade(old).difference() == ""


def test_other_metrics_of_people_stay_beside_it(old):
    text = (old / "dvc.yaml").read_text("utf-8")
    mine = "      metrics:\n      - mine.json  # as I like it\n"
    out = "        - data/predictions/${item}.parquet\n"
    assert text.index(out) < text.index("evaluate:")
    (old / "dvc.yaml").write_text(text.replace(out, out + mine, 1), "utf-8")
    plan_upgrade(old).write()

    after = (old / "dvc.yaml").read_text("utf-8")
    assert mine + "      - metrics/timing/${item}.json:\n          cache: false\n" in after


def test_a_stage_in_another_style_is_left_to_its_author(old):
    text = (old / "dvc.yaml").read_text("utf-8")
    block = text[
        text.index("    deps:\n      - data/checkpoint\n      - ${storage.shards}/train") : text.index(
            "    params: [export"
        )
    ]
    (old / "dvc.yaml").write_text(text.replace(block, "    deps: [data/checkpoint]\n"), "utf-8")

    with pytest.raises(DeepmarkError, match=r"dvc\.yaml: new lines have no clear place in it\. Name metrics/timing"):
        plan_upgrade(old)


@pytest.mark.slow
def test_dvc_predicts_nothing_again(trained):
    evaluated(trained, finds_every=1)
    predictions, timing = trained.predictions_file("nms"), trained.timing_file("nms")
    found, facts = read_predictions(predictions)
    write_predictions(predictions, list(found), {**facts, "ms": json.dumps(TIMES), "device": "cpu"})
    timing.unlink()
    (trained.root / "dvc.yaml").write_text(earlier((trained.root / "dvc.yaml").read_text("utf-8")), "utf-8")
    for stage in ("train", "predict@nms"):
        assert run("dvc", "commit", "--force", stage, cwd=trained.root).code == 0
    assert run("dvc", "status", "--json", "predict@nms", cwd=trained.root).facts == {}

    plan_upgrade(trained.root).write()

    assert run("dvc", "status", "--json", "predict@nms", cwd=trained.root).facts == {}
    assert read_timing(timing)["ms"] == {**TIMES, "total": 3.5}
    assert prediction_facts(predictions)[1] == read_timing(timing)["images"] == 6
    assert [name for name in STRATEGIES if trained.timing_file(name).exists()] == ["nms"]
    assert plan_upgrade(trained.root).difference() == ""
