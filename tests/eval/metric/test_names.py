"""One name of every figure, in files and for people, and the file of figures."""

from typing import get_args

import pytest
from measurements import metrics, write_earlier_metrics

from deepmark.errors import DeepmarkError
from deepmark.eval.metric.metrics_file import read_metrics
from deepmark.eval.metric.names import HEADLINE, HIGHER_IS_BETTER, MAIN, METRICS, EpochFigure, HeadlineMetric
from deepmark.files import write_json


def test_every_figure_has_its_words():
    words = {name: (metric.words, metric.short_words) for name, metric in METRICS.items()}

    assert words == {
        "box_ap": ("box AP", "box AP"),
        "box_ap50": ("box AP50", "box AP50"),
        "box_ap75": ("box AP75", "box AP75"),
        "landmark_visible_ap": ("landmark AP, visible", "visible landmark AP"),
        "landmark_visible_ap50": ("landmark AP50, visible", "visible landmark AP50"),
        "landmark_visible_ap75": ("landmark AP75, visible", "visible landmark AP75"),
        "landmark_ap": ("landmark AP, visible + occluded", "landmark AP"),
        "landmark_ap50": ("landmark AP50, visible + occluded", "landmark AP50"),
        "landmark_ap75": ("landmark AP75, visible + occluded", "landmark AP75"),
    }


def test_what_params_can_name_is_a_figure_with_a_direction():
    assert get_args(HeadlineMetric) == HEADLINE
    assert METRICS.keys() >= {*HEADLINE, *MAIN}
    wanted = {"landmark_ap": True, "box_ap": True, "loss": False}
    assert {name: HIGHER_IS_BETTER[name] for name in get_args(EpochFigure)} == wanted


def test_a_figure_is_read_from_the_file_by_its_name(tmp_path):
    write_json(tmp_path / "flip.json", metrics(0.25))
    read = read_metrics(tmp_path / "flip.json")

    assert [METRICS[name].value_in(read) for name in ("box_ap", "landmark_visible_ap50", "landmark_ap75")] == [
        0.25,
        0.9,
        None,
    ]


def test_the_file_of_an_earlier_release_is_refused_with_the_command_that_writes_it_again(tmp_path):
    write_earlier_metrics(tmp_path / "flip.json")

    with pytest.raises(DeepmarkError, match=r"flip.json: .* landmark_visible, landmark; .*evaluate@flip"):
        read_metrics(tmp_path / "flip.json")
