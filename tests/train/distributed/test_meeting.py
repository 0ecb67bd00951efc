"""Processes of a training meet in bounded time, and those that do not come are named."""

import os
import socket
import subprocess
import sys
from threading import Thread

import pytest
from processes import free_port

from deepmark.errors import DeepmarkError
from deepmark.train.distributed.meeting import interface_of, interface_towards, meet, use_interface

SECONDS = 1.0


def test_all_that_come_have_one_store():
    place, stores = ("127.0.0.1", free_port()), {}

    def come(rank: int) -> None:
        stores[rank] = meet(place, rank=rank, world_size=2, seconds=30)

    ranks = [Thread(target=come, args=(rank,)) for rank in (0, 1)]
    for each in ranks:
        each.start()
    for each in ranks:
        each.join()

    stores[0].set("key", "value")
    assert stores[1].get("key") == b"value"


def test_the_first_process_names_those_that_did_not_come():
    port = free_port()
    with pytest.raises(DeepmarkError, match=rf"^rank 0 of 3 waited 1 s .*:{port}: ranks 1, 2 did not come"):
        meet(("127.0.0.1", port), rank=0, world_size=3, seconds=SECONDS)


def test_the_others_name_the_first_one():
    with pytest.raises(DeepmarkError, match=r"^rank 1 of 2 .*: rank 0 cannot be reached \(.*[Cc]onnection refused"):
        meet(("127.0.0.1", free_port()), rank=1, world_size=2, seconds=SECONDS)


def test_a_name_that_is_none_is_told():
    with pytest.raises(DeepmarkError, match=r"nowhere\.invalid:29500: rank 0 cannot be reached \("):
        meet(("nowhere.invalid", 29500), rank=1, world_size=2, seconds=SECONDS)


def test_a_port_that_another_program_has_is_told():
    with socket.create_server(("127.0.0.1", 0)) as other:
        place = other.getsockname()
        with pytest.raises(DeepmarkError, match=r"rank 0 cannot be the place where they meet \(.*EADDRINUSE"):
            meet(place, rank=0, world_size=2, seconds=SECONDS)


def test_something_else_that_listens_there_is_waited_for_no_longer_than_others():
    """In a process of its own, in which torch waits on."""
    with socket.create_server(("127.0.0.1", 0)) as other:
        words = f"meet(('127.0.0.1', {other.getsockname()[1]}), rank=1, world_size=2, seconds={SECONDS})"
        program = f"from deepmark.train.distributed.meeting import meet\n{words}"
        done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, timeout=60, check=False)

    assert done.returncode == 1
    assert "rank 0 cannot be reached (what answers there is no training" in done.stderr


def test_the_interface_towards_a_loopback_address_is_that_of_the_way_out():
    cards = {name: interface_of(address) for name, address in {"lo": "127.0.0.1", "none": "203.0.113.7"}.items()}

    assert cards["none"] is None
    assert interface_towards("127.0.0.1") != cards["lo"]
    assert interface_towards("nowhere.invalid") == interface_towards("127.0.0.1")


def test_an_interface_that_the_environment_names_is_kept(monkeypatch):
    monkeypatch.setenv("GLOO_SOCKET_IFNAME", "mine")
    monkeypatch.delenv("NCCL_SOCKET_IFNAME", raising=False)
    use_interface(None)
    use_interface("eth7")

    assert (os.environ["GLOO_SOCKET_IFNAME"], os.environ["NCCL_SOCKET_IFNAME"]) == ("mine", "eth7")
    monkeypatch.delenv("NCCL_SOCKET_IFNAME")
