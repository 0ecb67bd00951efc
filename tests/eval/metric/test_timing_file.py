"""metrics/timing/{strategy}.json: what the predictions took, which they do not say themselves."""

import pytest
from measurements import metrics
from registered import flip_bit

from deepmark.digests import write_json_with_digest
from deepmark.errors import DeepmarkError
from deepmark.eval.metric.metrics_file import read_metrics
from deepmark.eval.metric.timing_file import read_timing, timing_beside, timing_of, write_timing

SLOW = timing_of({"read": 4.0, "network": 5.0, "decode": 1.5}, "cpu", 6)
QUICK = timing_of({"read": 0.5, "network": 1.0, "decode": 0.5}, "cuda", 6)


@pytest.fixture
def file(tmp_path):
    return tmp_path / "metrics/timing/nms.json"


@pytest.fixture
def predictions(tmp_path):
    path = tmp_path / "nms.parquet"
    path.write_bytes(b"predictions")
    return path


def test_a_timing_has_the_parts_and_their_sum(file, predictions):
    write_timing(file, SLOW, predictions)

    assert read_timing(file)["ms"] == {"read": 4.0, "network": 5.0, "decode": 1.5, "total": 10.5}
    assert (read_timing(file)["device"], read_timing(file)["images"]) == ("cpu", 6)
    assert read_timing(file.with_name("flip.json")) == {}


def test_the_timing_of_the_same_predictions_stays(file, predictions):
    write_timing(file, SLOW, predictions)
    before = file.read_bytes()
    write_timing(file, QUICK, predictions)

    assert file.read_bytes() == before
    file.unlink()
    write_timing(file, QUICK, predictions)
    assert read_timing(file)["ms"]["total"] == 2.0


def test_other_predictions_have_another_timing(file, predictions):
    write_timing(file, SLOW, predictions)
    predictions.write_bytes(b"others")
    write_timing(file, QUICK, predictions)

    assert read_timing(file)["device"] == "cuda"


def test_a_damaged_timing_is_told_and_replaced_by_the_next_prediction(file, predictions):
    write_timing(file, SLOW, predictions)
    flip_bit(file)

    with pytest.raises(DeepmarkError, match=r"nms\.json: damaged.* Run `deepmark predict --strategy nms` again"):
        read_timing(file)
    write_timing(file, QUICK, predictions)
    assert read_timing(file)["device"] == "cuda"


@pytest.mark.parametrize("ms", [[1.0], None, {"total": -1.0}, {"total": "1"}, {"total": True}])
def test_times_that_cannot_be_are_told(file, ms):
    write_json_with_digest(file, {"ms": ms})

    with pytest.raises(DeepmarkError, match=r"damaged.* Run `deepmark predict --strategy nms` again"):
        read_timing(file)


def test_the_figures_of_a_strategy_are_read_with_its_times(tmp_path, predictions):
    path = tmp_path / "metrics/nms.json"
    earlier = metrics(interval=False)
    write_json_with_digest(path, earlier)
    assert read_metrics(path)["ms"] == earlier["ms"]  # as earlier releases wrote them

    write_timing(timing_beside(path), SLOW, predictions)
    assert read_metrics(path)["ms"] == SLOW["ms"]

    write_json_with_digest(path, {name: value for name, value in earlier.items() if name != "ms"})
    assert read_metrics(path)["ms"] == SLOW["ms"]
    timing_beside(path).unlink()
    assert "ms" not in read_metrics(path)
