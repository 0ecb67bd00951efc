"""Predictions are made in parts: the same bytes however they are spread or interrupted."""

import signal
import subprocess
import sys
import textwrap

import pytest
import torch
from registered import flip_bit
from vocabularies import SMALL

from deepmark.compute.local import Local
from deepmark.data import predictions as predictions_file
from deepmark.data.predictions import read_predictions, write_predictions
from deepmark.data.shards.reader import ShardReader
from deepmark.errors import DeepmarkError
from deepmark.files import file_sha256
from deepmark.infer import parts
from deepmark.infer.batches import map_at_once
from deepmark.infer.part_files import kept_parts
from deepmark.infer.parts import LEAST, Model, part_bounds
from deepmark.infer.predict import Predictor, predict_shards
from deepmark.infer.predict_file import predict_file
from deepmark.model.detector import build_detector, load_network, save_detector
from deepmark.vocabulary import DEEPFASHION2


@pytest.mark.parametrize(("batch", "size"), [(1, 512), (8, 512), (7, 518), (100, 600), (512, 512), (700, 700)])
def test_a_part_is_the_least_multiple_of_the_batch_that_has_512_images(batch, size):
    found = part_bounds(2000, batch)

    assert [position for part in found for position in part] == list(range(2000))
    assert {len(part) for part in found[:-1]} == {size}
    assert size % batch == 0
    assert size - batch < LEAST <= size


def test_there_is_no_part_without_images():
    assert part_bounds(0, 8) == []
    assert part_bounds(512, 8) == [range(512)]


@pytest.fixture
def workspace(sharded, monkeypatch):
    """An untrained network and six images, in three parts."""
    monkeypatch.setattr(parts, "LEAST", 2)
    sharded.model_file.parent.mkdir(parents=True)
    save_detector(build_detector(sharded.params.model, DEEPFASHION2, seed=1), sharded.model_file)
    return sharded


def predict(workspace, name="flip", engine=None, **changes):
    """The sha256 of the file."""
    out = workspace.root / f"{name}.parquet"
    predict_file(
        workspace.model_file,
        ShardReader(workspace.shards("validation")),
        out,
        strategy="flip",
        params=workspace.params.predict.model_copy(update={"batch_size": 2, **changes}),
        run_id="abc",
        engine=engine or Local(1),
        parts=workspace.parts,
    )
    return file_sha256(out)


KILLED = """
    import os, signal
    from pathlib import Path
    from deepmark.compute.local import Local
    from deepmark.data.shards.reader import ShardReader
    from deepmark.infer import parts, predict_file
    from deepmark.workspace.layout import Workspace

    parts.LEAST = 2
    workspace = Workspace(".")

    class KilledAfterTheFirst(Local):
        def map_in_order(self, *work, **options):
            for part in super().map_in_order(*work, **options):
                yield part
                os.kill(os.getpid(), signal.SIGKILL)

    predict_file.predict_file(
        workspace.model_file,
        ShardReader(workspace.shards("validation")),
        Path("flip.parquet"),
        strategy="flip",
        params=workspace.params.predict.model_copy(update={"batch_size": 2}),
        run_id="abc",
        engine=KilledAfterTheFirst(1),
        parts=workspace.parts,
    )
"""


def killed(workspace):
    """A prediction that was killed when one part was made; returns the file of that part."""
    command = [sys.executable, "-c", textwrap.dedent(KILLED)]
    done = subprocess.run(command, cwd=workspace.root, capture_output=True, text=True, check=False)
    assert done.returncode == -signal.SIGKILL, done.stderr
    assert not (workspace.root / "flip.parquet").exists()
    (part,) = workspace.parts.rglob("*.arrow")
    return part


@pytest.fixture
def predicted(monkeypatch):
    """The positions of the parts that are predicted, and not taken from where they are kept, in this process."""
    positions = []

    def recorded(*given, **options):
        positions.append(options["positions"])
        return predict_shards(*given, **options)

    monkeypatch.setattr(parts, "predict_shards", recorded)
    return positions


EVERY = [range(2), range(2, 4), range(4, 6)]


def test_the_parts_are_today_s_predictions(workspace, monkeypatch):
    monkeypatch.setattr(predictions_file, "ROWS", 2)
    params = workspace.params.predict.model_copy(update={"batch_size": 2})
    predictor = Predictor(load_network(workspace.model_file), "flip", params)
    found = predict_shards(ShardReader(workspace.shards("validation")), predictor, batch_size=2)
    facts = {"strategy": "flip", "checkpoint_sha256": file_sha256(workspace.model_file), "mlflow_run_id": "abc"}
    write_predictions(workspace.root / "pass.parquet", found, facts)

    assert predict(workspace) == file_sha256(workspace.root / "pass.parquet")


@pytest.mark.slow
def test_one_process_and_two_and_one_that_was_killed_give_the_same_bytes(workspace, predicted):
    one, two = predict(workspace, "one", Local(1)), predict(workspace, "two", Local(2))
    killed(workspace)
    predicted.clear()

    assert predict(workspace, "resumed") == one == two
    assert predicted == EVERY[1:]
    assert list(workspace.parts.iterdir()) == []


@pytest.mark.slow
def test_a_damaged_part_is_told_and_predicted_again(workspace, predicted, capsys):
    whole = predict(workspace)
    (workspace.root / "flip.parquet").unlink()
    part = killed(workspace)
    flip_bit(part)
    predicted.clear()

    assert predict(workspace) == whole
    assert predicted == EVERY
    assert f"deepmark predict: {part}: damaged: its bytes are not those that were written." in capsys.readouterr().err


@pytest.mark.slow
@pytest.mark.parametrize("content", [b"", b"deepmark"])
def test_a_part_that_is_cut_off_is_predicted_again(workspace, predicted, content):
    killed(workspace).write_bytes(content)
    predict(workspace)

    assert predicted == EVERY


@pytest.mark.slow
def test_another_checkpoint_uses_no_part_of_the_one_before(workspace, predicted):
    part = killed(workspace)
    save_detector(build_detector(workspace.params.model, DEEPFASHION2, seed=2), workspace.model_file)
    predict(workspace)

    assert predicted == EVERY
    assert not part.exists()


@pytest.mark.slow
@pytest.mark.parametrize("changes", [{"nms_iou": 0.4}, {"max_detections": 7}])
def test_other_parameters_use_no_part_of_those_before(workspace, predicted, changes):
    killed(workspace)
    predict(workspace, **changes)

    assert predicted == EVERY


@pytest.mark.slow
def test_parts_stay_where_a_later_image_is_damaged(workspace, predicted):
    tar = max(workspace.shards("validation").glob("*.tar"))
    whole, key = tar.read_bytes(), ShardReader(workspace.shards("validation")).key(5)
    place = whole.index(f"{key}.jpg".encode()) + 900
    tar.write_bytes(whole[:place] + bytes([whole[place] ^ 1]) + whole[place + 1 :])
    with pytest.raises(DeepmarkError, match="is damaged"):
        predict(workspace)
    tar.write_bytes(whole)
    predicted.clear()
    predict(workspace)

    assert predicted == EVERY[2:]


def test_the_number_of_threads_changes_no_digit_and_stays_as_it_was(workspace, monkeypatch):
    monkeypatch.setattr(parts, "LEAST", 6)
    before, found = torch.get_num_threads(), set()
    try:
        for threads in (1, 2, 3):
            torch.set_num_threads(threads)
            found.add(predict(workspace))
            assert torch.get_num_threads() == threads
    finally:
        torch.set_num_threads(before)

    assert len(found) == 1


def test_batches_at_once_come_in_order_and_an_error_ends_them():
    def half(number):
        if number == 7:
            raise DeepmarkError("seven")
        return number // 2

    assert list(map_at_once(half, range(6), 3)) == [(number, number // 2) for number in range(6)]
    assert list(map_at_once(half, [], 3)) == []
    with pytest.raises(DeepmarkError, match="seven"):
        list(map_at_once(half, range(20), 3))


def test_a_model_that_is_replaced_meanwhile_predicts_nothing(workspace):
    model = Model.of(workspace.model_file, "none", workspace.params.predict)
    save_detector(build_detector(workspace.params.model, DEEPFASHION2, seed=2), workspace.model_file)

    with pytest.raises(DeepmarkError, match="was replaced by another file while it predicted"):
        model.predictor()


def test_parts_that_another_process_uses_are_left_to_it(tmp_path):
    with kept_parts(tmp_path, "nms", {"model": "a"}) as first:
        with kept_parts(tmp_path, "nms", {"model": "b"}) as other:
            assert first.is_dir()  # not removed as out of date, because it is held
            assert other != first
        with kept_parts(tmp_path, "nms", {"model": "a"}) as same:
            assert same == first
        assert first.is_dir()  # not removed when the second was done
    assert list(tmp_path.iterdir()) == []


def test_parts_of_another_strategy_stay(tmp_path):
    with pytest.raises(OSError, match="disk"), kept_parts(tmp_path, "nms", {"model": "a"}) as left:
        raise OSError("disk")
    with kept_parts(tmp_path, "none", {"model": "b"}):
        assert left.is_dir()
    with kept_parts(tmp_path, "nms", {"model": "b"}):
        assert not left.exists()


def test_the_bar_counts_every_image_once(workspace, capsys, monkeypatch):
    monkeypatch.setattr("deepmark.progress.LINE_EVERY", 0.0)
    predict(workspace)

    lines = [line for line in capsys.readouterr().err.splitlines() if line.startswith("predict flip:")]
    assert [line.split()[2] for line in lines] == ["2", "4", "6"]


def test_the_file_holds_no_clock_and_no_machine(workspace, monkeypatch):
    for asked in ("socket.gethostname", "platform.node"):
        monkeypatch.setattr(asked, lambda: "machine-of-this-test")
    predict(workspace)
    _, facts = read_predictions(workspace.root / "flip.parquet")

    assert facts.keys() == {"strategy", "checkpoint_sha256", "mlflow_run_id"}
    assert b"machine-of-this-test" not in (workspace.root / "flip.parquet").read_bytes()


def test_a_model_of_another_vocabulary_than_the_shards_is_refused_by_name(workspace):
    save_detector(build_detector(workspace.params.model, SMALL, seed=1), workspace.model_file)

    words = "has the vocabulary accessories, but the folder of shards has DeepFashion2: category 1"
    with pytest.raises(DeepmarkError, match=words):
        predict(workspace)
    assert not (workspace.root / "flip.parquet").exists()
