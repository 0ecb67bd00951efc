"""How the processes of a training find each other: through a store at the first of them, in bounded time."""

import ipaddress
import os
import socket
import time
from contextlib import suppress
from datetime import timedelta
from threading import Thread

import psutil
from torch import distributed as dist

from deepmark.errors import DeepmarkError
from deepmark.train.distributed.torch_internals import launcher_keeps_store, restart_count

_RETRY_SECONDS = 0.1

_ELSEWHERE = "192.0.2.1"
"""An address reserved for documentation (RFC 5737): its route leads out of this machine, and no packet is sent."""


class MeetingError(DeepmarkError):
    """The processes of a training did not all come, or do not reach each other."""


def interface_towards(host: str) -> str | None:
    """The network interface by which other machines reach this one: that of the route to `host`.

    Where `host` is this machine under a loopback address, as its name often is, the interface of the route out of it.
    gloo would take the loopback address.
    """
    for target in (host, _ELSEWHERE):
        with suppress(OSError):
            family, kind, _, _, where = socket.getaddrinfo(target, 1, type=socket.SOCK_DGRAM)[0]
            with socket.socket(family, kind) as probe:
                probe.connect(where)
                address = str(probe.getsockname()[0])
            if not ipaddress.ip_address(address).is_loopback:
                return interface_of(address)
    return None


def interface_of(address: str) -> str | None:
    """The network interface that has an address."""
    cards = psutil.net_if_addrs().items()
    return next((name for name, addresses in cards if any(each.address == address for each in addresses)), None)


def use_interface(interface: str | None) -> None:
    """Let gloo and NCCL use a network interface, where it is known and the environment names none."""
    for name in ("GLOO_SOCKET_IFNAME", "NCCL_SOCKET_IFNAME"):
        if interface is not None and not os.environ.get(name):
            os.environ[name] = interface


def meet(master: tuple[str, int], *, rank: int, world_size: int, seconds: float) -> dist.Store:
    """The store at `master`, host and port of rank 0, when all processes have come there.

    Raises MeetingError saying who did not come, when the time is over.
    """
    host, port = master
    outcome: list[dist.Store | Exception | list[int]] = []
    thread = Thread(target=lambda: outcome.append(_meet(master, rank, world_size, seconds)), daemon=True)
    thread.start()
    # torch waits without end for a store where something else answers, or whose machine is lost
    thread.join(seconds + 1)
    result = outcome[0] if outcome else OSError("what answers there is no training, or no longer one")
    if isinstance(result, dist.Store):
        return result
    if isinstance(result, list):
        missing = f"rank{'s' * (len(result) > 1)} {', '.join(map(str, result))} did not come"
    else:
        does = "cannot be reached" if rank else "cannot be the place where they meet"
        missing = f"rank 0 {does} ({str(result).splitlines()[0]})"
    raise MeetingError(
        f"rank {rank} of {world_size} waited {seconds:g} s for the others at {host}:{port}: {missing}. Look for the "
        "reason in their output; params.yaml: compute: timeout_seconds is how long they wait."
    )


def _meet(master: tuple[str, int], rank: int, world_size: int, seconds: float) -> dist.Store | Exception | list[int]:
    """The store, or why there is none, or the ranks that did not come."""
    deadline = time.monotonic() + seconds
    try:
        store = _open_store(master, rank, deadline)
        ranks = {other: f"deepmark/{restart_count()}/rank/{other}" for other in range(world_size)}
        store.set(ranks[rank], socket.gethostname())
        while missing := [other for other, key in ranks.items() if not store.check([key])]:
            if time.monotonic() > deadline:
                return missing
            time.sleep(_RETRY_SECONDS)
    except (OSError, dist.DistError) as error:
        return error
    return store


def _open_store(master: tuple[str, int], rank: int, deadline: float) -> dist.TCPStore:
    is_host = rank == 0 and not launcher_keeps_store()
    if not is_host:
        _wait_for_port(master, deadline)
    seconds = max(1.0, deadline - time.monotonic())
    return dist.TCPStore(
        *master, is_master=is_host, timeout=timedelta(seconds=seconds), wait_for_workers=False, multi_tenant=is_host
    )


def _wait_for_port(address: tuple[str, int], deadline: float) -> None:
    """Wait until a process listens there; torch would wait as well, but print a page of messages meanwhile.

    Raises OSError, the last reason, when the time is over.
    """
    while True:
        try:
            socket.create_connection(address, timeout=max(0.1, deadline - time.monotonic())).close()
            return
        except OSError:
            if time.monotonic() > deadline:
                raise
            time.sleep(_RETRY_SECONDS)
