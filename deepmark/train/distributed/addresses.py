"""Network addresses: the one that other machines reach this machine by, and whether a port of theirs is open."""

import ipaddress
import socket
import time

import psutil

RETRY_SECONDS = 0.5

_ELSEWHERE = "192.0.2.1"
"""An address reserved for documentation (RFC 5737): its route leads out of this machine, and no packet is sent."""


def address_towards(host: str) -> str:
    """This machine's own address on the route to `host`; a loopback address where `host` is a name of this machine.

    Raises OSError where the name cannot be resolved or there is no route.
    """
    family, kind, _, _, where = socket.getaddrinfo(host, 1, type=socket.SOCK_DGRAM)[0]
    with socket.socket(family, kind) as probe:
        probe.connect(where)
        return str(probe.getsockname()[0])


def outer_address(host: str) -> str:
    """The same, but not a loopback address where this machine has one that other machines can use."""
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
    """Wait until a process listens there; torch would wait as well, but print a page of messages meanwhile.

    Raises OSError, the last reason, when the time is over.
    """
    deadline = time.monotonic() + seconds
    while True:
        try:
            socket.create_connection((host, port), timeout=max(0.1, deadline - time.monotonic())).close()
            return
        except OSError:
            if time.monotonic() + RETRY_SECONDS > deadline:
                raise
            time.sleep(RETRY_SECONDS)
