"""Which machine was lost, when one is: each process holds a connection to the first process of every other machine.

A collective that fails says at best which socket broke, and under NCCL often nothing. These connections carry nothing
until their end. One that closes without a word belonged to a machine whose processes were killed; one that the kernel's
keep-alive gives up belonged to a machine that went down or off the network; a word says why a process left.
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
from torch.distributed.elastic.multiprocessing.errors import get_error_handler

from deepmark.errors import DeepmarkError

_ENDED_WELL = "well"
_LOST_TOUCH = "lost touch"
"""The word of a process whose collective failed, and which does not know why."""

_SETTLE_SECONDS = 5.0
"""For the word of another machine to arrive, and for a process to end by itself when it has."""


class LostMachineError(DeepmarkError):
    """Another machine left the training; the message names it."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Peer:
    """One process, as all others know it."""

    rank: int
    machine: str
    address: str
    port: int
    """Where it waits for the others' connections; 0 if it is not the first of its machine."""

    def shares_machine(self, other: "Peer") -> bool:
        return (self.machine, self.address) == (other.machine, other.address)


def listen(address: str) -> socket.socket:
    """A socket for the other machines' processes; its port is the system's choice."""
    family = socket.AF_INET6 if ipaddress.ip_address(address).version == 6 else socket.AF_INET
    return socket.create_server((address, 0), family=family, backlog=4096)


def _keep_alive(connection: socket.socket, seconds: float) -> None:
    """The kernel notices within half of `seconds` that the other side is silent, whatever this process is doing."""
    connection.setsockopt(socket.SOL_SOCKET, socket.SO_KEEPALIVE, 1)
    if sys.platform == "linux":
        connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_KEEPIDLE, max(1, int(seconds / 4)))
        connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_KEEPINTVL, max(1, int(seconds / 16)))
        connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_KEEPCNT, 4)


class Watch:
    """The connections to the other machines, and what became of them."""

    def __init__(self, own: Peer, peers: Sequence[Peer], listener: socket.socket | None, *, seconds: float) -> None:
        """Connect to all, and be connected to. Raises DeepmarkError naming who cannot be reached."""
        self._own, self._peers = own, peers
        self._cause, self._ended_well = "", False
        self._knows, self._left = Event(), Event()
        others = [peer for peer in peers if not peer.shares_machine(own)]
        self._connections = {peer: self._connect(peer, seconds) for peer in others if peer.port}
        self._followers: list[socket.socket] = []
        if listener is not None:
            listener.settimeout(seconds)
            self._followers = [listener.accept()[0] for _ in others]
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
        """Until every machine has ended well, or one has not."""
        waiting = selectors.DefaultSelector()
        for peer, connection in self._connections.items():
            waiting.register(connection, selectors.EVENT_READ, peer)
        while waiting.get_map():
            for key, _ in waiting.select():
                waiting.unregister(key.fileobj)
                cause = self._hear(key.data)
                if cause not in (_ENDED_WELL, _LOST_TOUCH):
                    self._cause = cause
                    self._knows.set()
                    self._end_if_stuck()
                    return

    def _hear(self, peer: Peer) -> str:
        """The last word of a machine, or what its silence means."""
        try:
            with self._connections[peer].makefile(encoding="utf-8") as words:
                if word := words.read():
                    return word
            how = "its processes were killed, or it was switched off"
        except OSError as error:
            how = f"it does not answer: {error.strerror}"
        return (
            f"{self._name(peer)} was lost: {how}. The same command on every machine goes on from the last checkpoint."
        )

    def _end_if_stuck(self) -> None:
        """A collective may wait for the lost machine for ever, and under NCCL nothing else may be done meanwhile.

        To abort it would let this process go on for a moment, with half of a sum.
        """
        if self._left.wait(_SETTLE_SECONDS):
            if self._ended_well:
                return
            time.sleep(_SETTLE_SECONDS)  # for the rest of an orderly end
        else:
            error = LostMachineError(self._cause)
            if os.environ.get("TORCHELASTIC_ERROR_FILE"):
                get_error_handler().record_exception(error)
            else:
                print(f"deepmark train: {error}", file=sys.stderr, flush=True)
            self.leave(self._cause)
        os._exit(1)

    def cause_of(self, error: BaseException) -> str:
        """Why another machine is the reason for an error here; empty if it is not."""
        with suppress(SystemExit, KeyboardInterrupt):  # torchrun ends a process while it finds out
            self._knows.wait(_SETTLE_SECONDS if isinstance(error, RuntimeError) else _SETTLE_SECONDS / 10)
        return self._cause

    def leave(self, word: str) -> None:
        """Tell the other machines why this process ends."""
        self._ended_well = word == _ENDED_WELL
        self._left.set()
        for follower in self._followers:
            with suppress(OSError):
                follower.sendall(word.encode())
            follower.close()

    def farewell(self, error: BaseException) -> str:
        """What the other machines should know about an error that began here."""
        if isinstance(error, SystemExit | KeyboardInterrupt):
            return f"{self._name(self._own)} was told to end. The same command on every machine goes on from there."
        if type(error) is RuntimeError or isinstance(error, dist.DistError):
            return _LOST_TOUCH
        return f"{self._name(self._own)} failed: {type(error).__name__}: {error}"


@contextmanager
def watched(watch: Watch | None) -> Iterator[None]:
    """What is done within ends with LostMachineError, naming the machine, if it fails because another machine did."""
    if watch is None:
        yield
        return
    try:
        yield
    except BaseException as error:
        cause = watch.cause_of(error)
        watch.leave(cause or watch.farewell(error))
        if cause:
            raise LostMachineError(cause) from None
        raise
    watch.leave(_ENDED_WELL)
