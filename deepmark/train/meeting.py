"""How machines that train together find each other: by which address, and on one list that all sign."""

import ipaddress
import socket
import time
from dataclasses import dataclass
from datetime import timedelta
from threading import Thread

import psutil
from torch import distributed as dist

from deepmark.errors import DeepmarkError

_RETRY_SECONDS = 0.5
_ELSEWHERE = "192.0.2.1"
"""An address of documentation (RFC 5737): the way to it is the way out of this machine, and no packet is sent."""

_UNREACHABLE = (OSError, dist.DistError)
"""What a store raises that is not there yet, or no longer."""


def address_towards(host: str) -> str:
    """This machine's own address on the way to `host`; a loopback address where `host` is this machine by name.

    Raises OSError where the name or the way is not known.
    """
    family, kind, _, _, where = socket.getaddrinfo(host, 1, type=socket.SOCK_DGRAM)[0]
    with socket.socket(family, kind) as probe:
        probe.connect(where)
        return str(probe.getsockname()[0])


def outer_address(host: str) -> str:
    """The same, and never a loopback address if this machine has any other: one that other machines can use."""
    address = address_towards(host)
    if ipaddress.ip_address(address).is_loopback:
        try:
            return address_towards(_ELSEWHERE)
        except OSError:
            return address
    return address


def interface_of(address: str) -> str | None:
    """The network interface that has an address."""
    cards = psutil.net_if_addrs().items()
    return next((name for name, addresses in cards if any(each.address == address for each in addresses)), None)


def wait_for_port(host: str, port: int, *, seconds: float) -> None:
    """Until somebody listens there; torch would wait as well, but print a page while it does.

    Raises OSError, the last reason, when the time is over.
    """
    deadline = time.monotonic() + seconds
    while True:
        try:
            socket.create_connection((host, port), timeout=max(0.1, deadline - time.monotonic())).close()
            return
        except OSError:
            if time.monotonic() + _RETRY_SECONDS > deadline:
                raise
            time.sleep(_RETRY_SECONDS)


def listed(store: dist.Store, key: str) -> list[str]:
    """Who has signed the list, in the order of coming."""
    return list(dict.fromkeys(store.get(key).decode().splitlines())) if store.check([key]) else []


def sign(store: dist.Store, key: str, line: str, *, wanted: int, seconds: float) -> list[str]:
    """Put our line on the list and wait until `wanted` are on it; those that are when it is so, or the time is over."""
    store.append(key, f"{line}\n")  # type: ignore[attr-defined]  # torch's own stubs lack it
    deadline = time.monotonic() + seconds
    while len(found := listed(store, key)) < wanted and time.monotonic() < deadline:
        time.sleep(_RETRY_SECONDS / 5)
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
            time.sleep(_RETRY_SECONDS)
    raise DeepmarkError(
        f"only {len(found)} of {machines} machines met at {endpoint} within {seconds:g} s: {', '.join(found)} ({why}). "
        "Start the same command, with the same workspace, on every machine; the port must be open between them."
    )
