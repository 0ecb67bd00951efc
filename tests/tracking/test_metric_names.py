"""The names of figures in MLflow, where what precedes the slash makes a group."""

from measurements import metrics

from deepmark.tracking.metric_names import epoch_metrics, evaluation_metrics

EPOCH = {
    "epoch": 1,
    "train": {"total": 5.0, "size": 2.0},
    "validation": {"total": 6.0, "size": 3.0},
    "measured": {"box_ap": 0.25, "landmark_ap": None},
    "learning_rate": 1e-3,
    "skipped": 2,
    "weight_norm": 7.0,
    "seconds": 9.0,
    "samples_per_second": 100.0,
    "waiting": 0.1,
}


def test_the_figures_of_an_epoch_are_grouped():
    assert epoch_metrics(EPOCH) == {
        "loss/train": 5.0,
        "loss/train_size": 2.0,
        "loss/validation": 6.0,
        "loss/validation_size": 3.0,
        "box/AP": 0.25,
        "training/learning_rate": 1e-3,
        "training/weight_norm": 7.0,
        "training/samples_per_second": 100.0,
        "training/waiting": 0.1,
        "training/skipped_steps": 2,
    }


def test_an_epoch_of_an_earlier_release_has_no_norm_of_the_weights():
    earlier = {name: value for name, value in EPOCH.items() if name != "weight_norm"}

    assert epoch_metrics(EPOCH).keys() - epoch_metrics(earlier).keys() == {"training/weight_norm"}


def test_the_figures_of_an_evaluation_are_grouped_by_kind_and_name_their_strategy():
    named = evaluation_metrics("flip", metrics(0.25) | {"ms": {"read": 1.0, "total": 4.0}, "images": 6})

    assert named["box/AP_flip"] == 0.25
    assert named["milliseconds/total_flip"] == 4.0
    assert named["evaluation/images_flip"] == 6
    assert {name.split("/")[0] for name in named} <= {
        "box", "landmark_visible", "landmark", "milliseconds", "evaluation",
    }  # fmt: skip
    assert None not in named.values()
