"""Addresses: by which one the other machines know this one, and whether somebody listens at theirs."""

import ipaddress
import socket
import time

import psutil

RETRY_SECONDS = 0.5

_ELSEWHERE = "192.0.2.1"
"""An address of documentation (RFC 5737): the way to it is the way out of this machine, and no packet is sent."""


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
            if time.monotonic() + RETRY_SECONDS > deadline:
                raise
            time.sleep(RETRY_SECONDS)
