"""How machines find each other before a training: all register in one list, then torchrun assigns their ranks."""

import ipaddress
import socket
import time
from dataclasses import dataclass
from datetime import timedelta
from threading import Thread

from torch import distributed as dist

from deepmark.errors import DeepmarkError
from deepmark.train.distributed.addresses import RETRY_SECONDS, address_towards, wait_for_port
from deepmark.train.distributed.torch_internals import append_line

_UNREACHABLE = (OSError, dist.DistError)
"""The errors of a store that is not there yet, or no longer."""


def registered(store: dist.Store, key: str) -> list[str]:
    """The lines that are registered, in the order in which they came."""
    return list(dict.fromkeys(store.get(key).decode().splitlines())) if store.check([key]) else []


def register(store: dist.Store, key: str, line: str, *, wanted: int, seconds: float) -> list[str]:
    """Register our line and wait until `wanted` lines are there; returns them, or fewer when the time is over."""
    append_line(store, key, line)
    deadline = time.monotonic() + seconds
    while len(lines := registered(store, key)) < wanted and time.monotonic() < deadline:
        time.sleep(RETRY_SECONDS / 5)
    return lines


@dataclass(frozen=True, kw_only=True, slots=True)
class Rendezvous:
    """The place where the machines of a training found each other."""

    store: dist.TCPStore
    """To be held as long as the training runs: torchrun's own rendezvous shares its server."""

    is_host: bool
    """Whether this machine keeps the store."""

    address: str
    """Of this machine, for the others."""


def _connect(host: str, port: int, seconds: float) -> dist.TCPStore:
    """Another machine's store.

    A thread makes the connection and is given up after `seconds`: where something else than a store listens, torch
    waits for its answer without end.
    """
    results: list[dist.TCPStore | Exception] = []

    def connect() -> None:
        try:
            results.append(dist.TCPStore(host, port, is_master=False, timeout=timedelta(seconds=seconds)))
        except _UNREACHABLE as error:
            results.append(error)

    wait_for_port(host, port, seconds=seconds)
    thread = Thread(target=connect, daemon=True)
    thread.start()
    thread.join(seconds)
    result = results[0] if results else ConnectionError("what answers there is no training")
    if isinstance(result, Exception):
        raise result
    return result


def _open(host: str, port: int, seconds: float) -> Rendezvous:
    address = address_towards(host)
    loopback = ipaddress.ip_address(address).is_loopback
    is_host = loopback or address in {info[4][0] for info in socket.getaddrinfo(host, port)}
    if is_host:
        limit = timedelta(seconds=seconds)
        store = dist.TCPStore(host, port, is_master=True, wait_for_workers=False, multi_tenant=True, timeout=limit)
    else:
        store = _connect(host, port, seconds)
    # The host's name, where its own /etc/hosts maps that to a loopback address: the others can resolve the name.
    return Rendezvous(store=store, is_host=is_host, address=host if loopback else address)


def join_rendezvous(endpoint: str, *, run_id: str, machines: int, seconds: float) -> Rendezvous:
    """Wait at host:port until all machines of this training are there; the machine of that address keeps the store.

    Raises DeepmarkError naming the machines that came, when the time is over.
    """
    host, _, port = endpoint.rpartition(":")
    deadline = time.monotonic() + seconds
    key, name = f"deepmark/{run_id}/machines", socket.gethostname()
    present: list[str] = [name]
    why = "no other machine came"
    while (left := deadline - time.monotonic()) > 0:
        try:
            rendezvous = _open(host.strip("[]"), int(port), left)
            if len(registered(rendezvous.store, key)) >= machines:
                raise ConnectionError("the training before this one, which lost this machine, has not ended there yet")
            left = deadline - time.monotonic()
            line = f"{name} ({rendezvous.address})"
            present = register(rendezvous.store, key, line, wanted=machines, seconds=left)
            if len(present) >= machines:
                return rendezvous
        except _UNREACHABLE as error:
            why = str(error).splitlines()[0]
            time.sleep(RETRY_SECONDS)
    raise DeepmarkError(
        f"only {len(present)} of {machines} machines met at {endpoint} within {seconds:g} s: {', '.join(present)} "
        f"({why}). Start the same command, with the same workspace, on every machine; the port must be open between "
        "them."
    )
