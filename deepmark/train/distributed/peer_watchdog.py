"""Detects lost machines: each process holds a connection to the first process of every other machine.

A failing collective says at best which socket broke, and under NCCL often nothing. These connections are idle until
their owner exits. A message gives the reason for the exit; an end without a message means that the processes were
killed; a keep-alive timeout of the kernel means that the machine is down or unreachable.
"""

import ipaddress
import os
import selectors
import socket
import sys
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from threading import Event, Thread

from torch import distributed as dist

from deepmark.errors import DeepmarkError
from deepmark.train.distributed.torch_internals import has_launcher, write_error

_FINISHED = "finished"
_COLLECTIVE_FAILED = "collective failed"
"""The message of a process whose collective failed for a reason that it does not know."""

_SETTLE_SECONDS = 5.0
"""For the message of another machine to arrive, and for a process to end by itself after it arrived."""


class LostMachineError(DeepmarkError):
    """Another machine left the training; the message names it."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Peer:
    """One process, as it introduces itself to all others."""

    rank: int
    machine: str
    address: str
    port: int
    """The port where it accepts the others' connections; 0 if it is not the first process of its machine."""

    def shares_machine(self, other: "Peer") -> bool:
        return (self.machine, self.address) == (other.machine, other.address)


def listen(address: str) -> socket.socket:
    """A socket for the other machines' processes, on a port that the system chooses."""
    family = socket.AF_INET6 if ipaddress.ip_address(address).version == 6 else socket.AF_INET
    return socket.create_server((address, 0), family=family, backlog=4096)


def _keep_alive(connection: socket.socket, seconds: float) -> None:
    """Let the kernel detect within half of `seconds` that the other side is silent, whatever this process is doing."""
    connection.setsockopt(socket.SOL_SOCKET, socket.SO_KEEPALIVE, 1)
    if sys.platform == "linux":
        connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_KEEPIDLE, max(1, int(seconds / 4)))
        connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_KEEPINTVL, max(1, int(seconds / 16)))
        connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_KEEPCNT, 4)


class PeerWatchdog:
    """Watches the connections to the other machines, in a thread, and knows the reason when one is lost."""

    def __init__(self, own: Peer, peers: Sequence[Peer], listener: socket.socket | None, *, seconds: float) -> None:
        """Connect to all other machines and accept their connections.

        Raises DeepmarkError naming a machine that cannot be reached.
        """
        self._own, self._peers = own, peers
        self._cause, self._finished = "", False
        self._cause_known, self._left = Event(), Event()
        others = [peer for peer in peers if not peer.shares_machine(own)]
        self._connections = {peer: self._connect(peer, seconds) for peer in others if peer.port}
        self._watchers: list[socket.socket] = []
        if listener is not None:
            listener.settimeout(seconds)
            self._watchers = [listener.accept()[0] for _ in others]
            listener.close()
        Thread(target=self._watch, daemon=True).start()

    def _connect(self, peer: Peer, seconds: float) -> socket.socket:
        try:
            connection = socket.create_connection((peer.address, peer.port), timeout=seconds)
        except OSError as error:
            raise DeepmarkError(
                f"{self._name(peer)} cannot be reached at {peer.address}:{peer.port} ({error}). The machines of a "
                "training must reach each other on every port above 1023."
            ) from None
        connection.settimeout(None)
        _keep_alive(connection, seconds)
        return connection

    def _name(self, peer: Peer) -> str:
        ranks = [each.rank for each in self._peers if each.shares_machine(peer)]
        return f"machine {peer.machine} ({peer.address}, rank{'s' * (len(ranks) > 1)} {', '.join(map(str, ranks))})"

    def _watch(self) -> None:
        """Read the connections until every machine has finished, or one was lost."""
        waiting = selectors.DefaultSelector()
        for peer, connection in self._connections.items():
            waiting.register(connection, selectors.EVENT_READ, peer)
        while waiting.get_map():
            for key, _ in waiting.select():
                waiting.unregister(key.fileobj)
                cause = self._exit_reason_of(key.data)
                if cause not in (_FINISHED, _COLLECTIVE_FAILED):
                    self._cause = cause
                    self._cause_known.set()
                    self._end_if_stuck()
                    return

    def _exit_reason_of(self, peer: Peer) -> str:
        """The message that a machine sent when it ended, or what its silence means."""
        try:
            with self._connections[peer].makefile(encoding="utf-8") as message:
                if reason := message.read():
                    return reason
            how = "its processes were killed, or it was switched off"
        except OSError as error:
            how = f"it does not answer: {error.strerror}"
        return (
            f"{self._name(peer)} was lost: {how}. The same command on every machine goes on from the last checkpoint."
        )

    def _end_if_stuck(self) -> None:
        """End this process, which may be waiting in a collective for the lost machine for ever.

        Under NCCL nothing else may be done meanwhile, and to abort the collective would let this process go on for a
        moment with an incomplete sum.
        """
        if self._left.wait(_SETTLE_SECONDS):
            if self._finished:
                return
            time.sleep(_SETTLE_SECONDS)  # for the rest of an orderly exit
        else:
            error = LostMachineError(self._cause)
            if has_launcher():
                write_error(error)
            else:
                print(f"deepmark train: {error}", file=sys.stderr, flush=True)
            self.leave(self._cause)
        os._exit(1)

    def cause_of(self, error: BaseException) -> str:
        """Why another machine is the reason for an error in this process; empty if none is."""
        with suppress(SystemExit, KeyboardInterrupt):  # torchrun may end this process while it waits
            self._cause_known.wait(_SETTLE_SECONDS if isinstance(error, RuntimeError) else _SETTLE_SECONDS / 10)
        return self._cause

    def leave(self, reason: str) -> None:
        """Tell the other machines why this process ends."""
        self._finished = reason == _FINISHED
        self._left.set()
        for watcher in self._watchers:
            with suppress(OSError):
                watcher.sendall(reason.encode())
            watcher.close()

    def exit_reason(self, error: BaseException) -> str:
        """The message to the other machines about an error of this process."""
        if isinstance(error, SystemExit | KeyboardInterrupt):
            return f"{self._name(self._own)} was told to end. The same command on every machine goes on from there."
        if type(error) is RuntimeError or isinstance(error, dist.DistError):
            return _COLLECTIVE_FAILED
        return f"{self._name(self._own)} failed: {type(error).__name__}: {error}"


@contextmanager
def guarded_by(watchdog: PeerWatchdog | None) -> Iterator[None]:
    """Tell the other machines about errors within; where another machine is the cause, raise LostMachineError."""
    if watchdog is None:
        yield
        return
    try:
        yield
    except BaseException as error:
        cause = watchdog.cause_of(error)
        watchdog.leave(cause or watchdog.exit_reason(error))
        if cause:
            raise LostMachineError(cause) from None
        raise
    watchdog.leave(_FINISHED)
