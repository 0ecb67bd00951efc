"""What is checked before a training: the number of processes that began it, and that shards are intact."""

import json
import logging

import pytest
from one_process import ALONE
from workspaces import copied, set_params

from deepmark import stages
from deepmark.data.shards.reader import ShardReader
from deepmark.errors import DeepmarkError
from deepmark.schema import SPLITS
from deepmark.train.checkpoint import fingerprint
from deepmark.train.distributed.stop_signal import StopSignal
from deepmark.train.run import train_rank
from deepmark.train.run_id import run_folder
from deepmark.train.start_checks import check_processes, check_shards


def test_the_number_that_began_a_run_goes_on_and_another_is_refused(tmp_path, caplog):
    check_processes(tmp_path, {"processes": 8}, processes=8)

    assert caplog.text == ""
    with pytest.raises(DeepmarkError, match=r"begun by 8 processes, .* with 4.*train_processes: 8.*--fresh"):
        check_processes(tmp_path, {"processes": 8}, processes=4)


def test_a_run_of_an_earlier_release_goes_on_with_a_warning(tmp_path, caplog):
    with caplog.at_level(logging.WARNING):
        check_processes(tmp_path, {"mlflow_run_id": "a"}, processes=4)

    assert "did not note how many processes trained; goes on with 4" in caplog.text


@pytest.mark.slow
def test_checkpoints_note_the_number_and_those_that_do_not_go_on(trained_once, tmp_path, caplog):
    workspace = copied(trained_once, tmp_path)
    folder = run_folder(workspace)
    states = sorted(folder.glob("epoch-*/state.json"))
    for state in states:
        content = json.loads(state.read_text("utf-8"))
        assert content["facts"].pop("processes") == 1
        content["position"]["epoch"] = min(content["position"]["epoch"], 1)  # as if it had been killed in between
        content["position"]["history"] = content["position"]["history"][:1]
        content.pop("digest")
        state.write_text(json.dumps({**content, "digest": fingerprint(content)}), "utf-8")
    with caplog.at_level(logging.WARNING):
        train_rank(set_params(workspace, compute={"restarts": 3}), folder, ALONE, StopSignal())

    assert caplog.text.count("did not note how many processes trained") == 1
    newest = max(folder.glob("epoch-*/state.json"))
    assert json.loads(newest.read_text("utf-8"))["facts"]["processes"] == 1


def test_shards_are_verified_once_and_again_for_a_fresh_start(sharded, monkeypatch):
    read: list[str] = []
    sha256 = ShardReader._sha256
    monkeypatch.setattr(ShardReader, "_sha256", lambda *given: read.append(given[2]) or sha256(*given))
    check_shards(sharded, processes=1, verify=True)
    count = len(read)
    assert count >= 2  # of both splits

    check_shards(sharded, processes=1, verify=True)
    assert len(read) == count
    check_shards(sharded, processes=1, verify=True, fresh=True)
    assert len(read) == 2 * count


def test_shards_at_a_url_that_are_of_other_records_are_told(sharded, tmp_path, caplog):
    away = set_params(sharded, storage={"shards": f"file://{tmp_path}/away"})
    for split in SPLITS:
        stages.shard(away, split=split)
    check_shards(away, processes=1, verify=True)
    assert caplog.text == ""

    (tmp_path / "away/validation/.plan").unlink()  # as if somebody had copied them
    check_shards(set_params(away, shard={"seed": 7}), processes=1, verify=True)

    (told,) = caplog.messages
    assert told.startswith(f"warning: file://{tmp_path}/away/train: made of other records")
    assert "`dvc repro shard@train`" in told
