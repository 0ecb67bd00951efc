"""How machines that train together meet: all sign one list, then torchrun's own rendezvous gives each its ranks."""

import ipaddress
import socket
import time
from dataclasses import dataclass
from datetime import timedelta
from threading import Thread

from torch import distributed as dist
from torch.distributed.elastic.rendezvous import RendezvousParameters, rendezvous_handler_registry
from torch.distributed.elastic.rendezvous.c10d_rendezvous_backend import create_backend
from torch.distributed.elastic.rendezvous.dynamic_rendezvous import DynamicRendezvousHandler, RendezvousTimeout

from deepmark.errors import DeepmarkError
from deepmark.train.distributed.addresses import RETRY_SECONDS, address_towards, wait_for_port

BACKEND = "c10d-once"

_UNREACHABLE = (OSError, dist.DistError)
"""What a store raises that is not there yet, or no longer."""


class _MeetOnce(DynamicRendezvousHandler):
    """torchrun's c10d rendezvous, but for machines that stay the same from the start to the end.

    Whatever asks a store later, on a machine that was lost, gets its answer never, and not within any timeout.
    """

    def get_backend(self) -> str:
        return BACKEND

    def _start_heartbeats(self) -> None:
        pass

    def num_nodes_waiting(self) -> int:
        return 0

    def shutdown(self) -> bool:
        return True


def _meet_once(params: RendezvousParameters) -> DynamicRendezvousHandler:
    backend, store = create_backend(params)
    timeout = RendezvousTimeout(join=timedelta(seconds=params.config["timeout"]))
    return _MeetOnce.from_backend(
        params.run_id, store, backend, params.min_nodes, params.max_nodes, params.local_addr, timeout
    )


rendezvous_handler_registry.register(BACKEND, _meet_once)


def listed(store: dist.Store, key: str) -> list[str]:
    """Who has signed the list, in the order of coming."""
    return list(dict.fromkeys(store.get(key).decode().splitlines())) if store.check([key]) else []


def sign(store: dist.Store, key: str, line: str, *, wanted: int, seconds: float) -> list[str]:
    """Put our line on the list and wait until `wanted` are on it; those that are when it is so, or the time is over."""
    store.append(key, f"{line}\n")  # type: ignore[attr-defined]  # torch's own stubs lack it
    deadline = time.monotonic() + seconds
    while len(found := listed(store, key)) < wanted and time.monotonic() < deadline:
        time.sleep(RETRY_SECONDS / 5)
    return found


@dataclass(frozen=True, kw_only=True, slots=True)
class Meeting:
    """Where this machine met the others."""

    store: dist.TCPStore
    """Held as long as the training runs: torchrun's own rendezvous shares its server."""

    is_host: bool
    address: str
    """Of this machine, for the others."""


def _client(host: str, port: int, seconds: float) -> dist.TCPStore:
    """A store somebody else keeps. A thread gives up what does not: torch waits for its answer without end."""
    ends: list[dist.TCPStore | Exception] = []

    def connect() -> None:
        try:
            ends.append(dist.TCPStore(host, port, is_master=False, timeout=timedelta(seconds=seconds)))
        except _UNREACHABLE as error:
            ends.append(error)

    wait_for_port(host, port, seconds=seconds)
    thread = Thread(target=connect, daemon=True)
    thread.start()
    thread.join(seconds)
    end = ends[0] if ends else ConnectionError("what answers there is no training")
    if isinstance(end, Exception):
        raise end
    return end


def _open(host: str, port: int, seconds: float) -> Meeting:
    address = address_towards(host)
    loopback = ipaddress.ip_address(address).is_loopback
    is_host = loopback or address in {info[4][0] for info in socket.getaddrinfo(host, port)}
    if is_host:
        limit = timedelta(seconds=seconds)
        store = dist.TCPStore(host, port, is_master=True, wait_for_workers=False, multi_tenant=True, timeout=limit)
    else:
        store = _client(host, port, seconds)
    # By its name, where its own /etc/hosts calls that a loopback address: the others know the name.
    return Meeting(store=store, is_host=is_host, address=host if loopback else address)


def meet(endpoint: str, *, run_id: str, machines: int, seconds: float) -> Meeting:
    """Wait at host:port until all machines of this training are there; the one that has the address keeps the store.

    Raises DeepmarkError naming who came, when the time is over.
    """
    host, _, port = endpoint.rpartition(":")
    deadline = time.monotonic() + seconds
    key, name = f"deepmark/{run_id}/machines", socket.gethostname()
    found: list[str] = [name]
    why = "no other machine came"
    while (left := deadline - time.monotonic()) > 0:
        try:
            meeting = _open(host.strip("[]"), int(port), left)
            if len(listed(meeting.store, key)) >= machines:
                raise ConnectionError("the training before this one, which lost this machine, has not ended there yet")
            left = deadline - time.monotonic()
            found = sign(meeting.store, key, f"{name} ({meeting.address})", wanted=machines, seconds=left)
            if len(found) >= machines:
                return meeting
        except _UNREACHABLE as error:
            why = str(error).splitlines()[0]
            time.sleep(RETRY_SECONDS)
    raise DeepmarkError(
        f"only {len(found)} of {machines} machines met at {endpoint} within {seconds:g} s: {', '.join(found)} ({why}). "
        "Start the same command, with the same workspace, on every machine; the port must be open between them."
    )
