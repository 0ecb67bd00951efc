"""The rank that a scheduler sets in the environment is used, or refused with the reason."""

import pytest

from deepmark.errors import DeepmarkError
from deepmark.train.distributed.process_group import RankInfo, rank_from_environment

NAMES = ("RANK", "WORLD_SIZE", "LOCAL_RANK", "LOCAL_WORLD_SIZE", "MASTER_ADDR", "MASTER_PORT")
SECOND_OF_FOUR = {"RANK": "1", "WORLD_SIZE": "4", "MASTER_ADDR": "alpha", "MASTER_PORT": "29500"}


@pytest.fixture
def announce(monkeypatch):
    def set_variables(variables: dict[str, str]) -> None:
        for name in NAMES:
            monkeypatch.delenv(name, raising=False)
        for name, value in variables.items():
            monkeypatch.setenv(name, value)

    return set_variables


def test_without_a_scheduler_there_is_no_rank(announce):
    announce({"WORLD_SIZE": "4"})

    assert rank_from_environment() is None


def test_a_schedulers_rank_is_used(announce):
    announce({**SECOND_OF_FOUR, "LOCAL_RANK": "1", "LOCAL_WORLD_SIZE": "2"})

    assert rank_from_environment() == RankInfo(
        rank=1, world_size=4, local_rank=1, local_world_size=2, master=("alpha", 29500)
    )


def test_a_single_process_needs_no_master_address(announce):
    announce({"RANK": "0", "WORLD_SIZE": "1"})

    assert rank_from_environment() == RankInfo(rank=0, world_size=1, local_rank=0, local_world_size=1, master=None)


@pytest.mark.parametrize(
    ("variables", "message"),
    [
        ({"RANK": "first"}, "RANK is 'first', and must be a whole number from 0 on"),
        ({"RANK": "-1"}, "RANK is '-1', and must be a whole number"),
        ({"RANK": "4"}, "RANK is 4, and must be below WORLD_SIZE, 4"),
        ({"WORLD_SIZE": "0"}, "WORLD_SIZE is '0', and must be a whole number from 1 on"),
        ({"WORLD_SIZE": None}, "WORLD_SIZE is not set"),
        ({"LOCAL_RANK": ""}, "LOCAL_RANK is ''"),
        ({"MASTER_ADDR": None}, "MASTER_ADDR is not set"),
        ({"MASTER_PORT": None}, "MASTER_PORT is not set"),
    ],
)
def test_an_impossible_rank_is_refused(announce, variables, message):
    announced = {**SECOND_OF_FOUR, **variables}
    announce({name: value for name, value in announced.items() if value is not None})

    with pytest.raises(DeepmarkError, match=message):
        rank_from_environment()


def test_an_impossible_rank_is_one_message_of_the_command(announce, sharded, deepmark):
    announce({"RANK": "2", "WORLD_SIZE": "2"})
    done = deepmark("train", "--workspace", sharded.root)

    assert (done.code, done.out) == (1, "")
    assert done.err.startswith("deepmark train: RANK is 2, and must be below WORLD_SIZE, 2")
