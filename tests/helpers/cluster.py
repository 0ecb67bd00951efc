"""A Ray cluster of three machines on this one: each has a name, an address and a network of its own.

The head works on no pieces; drivers run beside it. A machine is killed by SIGKILL to all of its processes, and its
cable is cut by taking its network interface down. All share the disk, as the machines of a cluster share a folder.

    with cluster() as three:
        process = three.driver("deepmark", "ingest", "--split", "train", cwd=workspace)
        three.b.kill()
"""

import os
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Iterator, Mapping
from contextlib import ExitStack, contextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path

import pytest
from processes import wait_until
from ray_head import RAY, ray_variables, short_folder, wait_for_start

CABLE = "cable"
PIECE = b"ray::run_piece"
"""What Ray calls a process while it works on a piece of a stage."""

HEAD = "10.214.0.1"
PORT = 6379
PIECE_SECONDS = 60
"""How long a machine may take to begin with a piece: it starts a process of Python first."""

MEMORY = 100_000_000
"""Bytes of a machine's object store, which is memory of this machine."""


def _user(holder: int) -> list[str]:
    """What `nsenter` needs of an ordinary user, whose machines live in a user namespace."""
    return ["--target", str(holder), *([] if os.geteuid() == 0 else ["--user", "--preserve-credentials"])]


@dataclass(frozen=True, kw_only=True)
class Host:
    """A machine, held open by a sleeping process."""

    name: str
    address: str
    holder: int
    network: int
    """The number of its network namespace, by which its processes are known also after the holder has ended."""

    def command(self, *words: object) -> list[str]:
        return ["nsenter", *_user(self.holder), "--net", "--uts", "--", *map(str, words)]

    def run(self, *words: object) -> None:
        done = subprocess.run(self.command(*words), capture_output=True, text=True, check=False)
        assert done.returncode == 0, done.stderr

    def processes(self) -> list[int]:
        """The ids of all processes on this machine, but for the one that holds it."""
        found = []
        for folder in Path("/proc").glob("[0-9]*"):
            with suppress(OSError):  # it has ended, or is another user's
                if (folder / "ns/net").stat().st_ino == self.network and int(folder.name) != self.holder:
                    found.append(int(folder.name))
        return found

    def kill(self) -> None:
        """All processes end at once, as where a machine crashes."""
        while found := self.processes():
            for process in found:
                with suppress(ProcessLookupError):
                    os.kill(process, signal.SIGKILL)
            time.sleep(0.05)

    def at_work(self) -> list[int]:
        """The ids of the processes that work on a piece of a stage at this moment."""
        return [process for process in self.processes() if self._is_at_work(process)]

    def _is_at_work(self, process: int) -> bool:
        try:
            return Path(f"/proc/{process}/cmdline").read_bytes().startswith(PIECE)
        except OSError:  # it has ended
            return False

    def stop_work(self) -> bool:
        """Stop the pieces under way in their middle; whether there is one."""
        for process in self.at_work():
            with suppress(ProcessLookupError):
                os.kill(process, signal.SIGSTOP)
                if not self._is_at_work(process):  # it came to the piece's end before
                    os.kill(process, signal.SIGCONT)
        return bool(self.at_work())

    def resume_work(self) -> None:
        for process in self.at_work():
            with suppress(ProcessLookupError):
                os.kill(process, signal.SIGCONT)

    def cut_cable(self) -> None:
        """From now on nothing arrives here or leaves, not even the word that a connection is closed."""
        self.run("ip", "link", "set", CABLE, "down")

    def join_cable(self) -> None:
        self.run("ip", "link", "set", CABLE, "up")


@dataclass(frozen=True, kw_only=True)
class Cluster:
    """The machines, and what their processes have in their environment."""

    head: Host
    a: Host
    b: Host
    folder: Path
    variables: Mapping[str, str]
    cores: int
    """Of a machine."""

    started: list[subprocess.Popen[str]] = field(default_factory=list)
    """Processes that are waited for at the end."""

    @property
    def address(self) -> str:
        return f"{self.head.address}:{PORT}"

    def start_head(self) -> None:
        """`ray start` on the machine where drivers run, and where no pieces are worked on."""
        place = ["--head", f"--port={PORT}", "--include-dashboard=false", "--num-cpus=0"]
        wait_for_start(self._start(self.head, *place))

    def start(self, *hosts: Host) -> None:
        """`ray start` on machines that have none running; returns when all belong to the cluster."""
        for log in [self._start(host, f"--address={self.address}", f"--num-cpus={self.cores}") for host in hosts]:
            wait_for_start(log)

    def hold_a_piece(self, host: Host) -> None:
        """Stop a piece on this machine in its middle, so that it is sure to be lost with the machine.

        The other machine does not go on meanwhile, for it might do all that is left.
        """
        (other,) = {self.a, self.b} - {host}
        held = wait_until(lambda: (other.stop_work(), host.stop_work())[1], seconds=PIECE_SECONDS)
        other.resume_work()
        assert held, f"no piece came to {host.name} within {PIECE_SECONDS} s"

    def restart(self, host: Host) -> None:
        """A machine that was lost comes back, with nothing left from before."""
        host.kill()
        host.join_cable()
        self.start(host)

    def _start(self, host: Host, *words: str) -> Path:
        place = self.folder / host.name
        shutil.rmtree(place, ignore_errors=True)
        place.mkdir()
        own = [f"--node-ip-address={host.address}", f"--temp-dir={place}", f"--object-store-memory={MEMORY}"]
        command = host.command(sys.executable, RAY, "start", "--block", *own, *words)
        with (place / "start.log").open("w") as log:
            process = subprocess.Popen(
                command, env=dict(self.variables), stdout=log, stderr=log, text=True, start_new_session=True
            )
        self.started.append(process)
        return place / "start.log"

    def driver(self, *words: object, cwd: Path, **variables: str) -> subprocess.Popen[str]:
        """A command of our environment, such as `deepmark train`, on the head's machine, under way."""
        name, *rest = words
        tool = Path(sys.executable).with_name(str(name))
        env = dict(self.variables) | {"RAY_ADDRESS": self.address} | variables
        pipe, command = subprocess.PIPE, self.head.command(tool, *rest)
        process = subprocess.Popen(
            command, cwd=cwd, env=env, stdout=pipe, stderr=pipe, text=True, start_new_session=True
        )
        self.started.append(process)
        return process

    def end(self) -> None:
        """End all processes of all machines."""
        for host in (self.b, self.a, self.head):
            host.kill()
        for process in self.started:
            with process:
                process.kill()


@contextmanager
def _holding(name: str, address: str, beside: Host | None) -> Iterator[Host]:
    """A machine without a cable; those of an ordinary user live in the user namespace of the first."""
    words = ["unshare", "--net", "--uts", "sh", "-c", f"hostname {name} && echo held && exec sleep 10000"]
    if os.geteuid() != 0 and beside is None:
        words[1:1] = ["--user", "--map-root-user"]
    elif beside is not None and os.geteuid() != 0:
        words = ["nsenter", *_user(beside.holder), "--", *words]
    pipe = subprocess.PIPE
    with subprocess.Popen(words, stdout=pipe, stderr=pipe, text=True, start_new_session=True) as holder:
        assert holder.stdout is not None
        assert holder.stderr is not None
        try:
            if holder.stdout.readline().strip() != "held":
                pytest.skip(f"this machine allows no network namespaces: {holder.stderr.read().strip()}")
            network = Path(f"/proc/{holder.pid}/ns/net").stat().st_ino
            host = Host(name=name, address=address, holder=holder.pid, network=network)
            yield host
            host.kill()
        finally:
            holder.kill()


def _connect(head: Host, others: list[Host]) -> None:
    """A switch on the head's machine, and a cable from it to each of the others."""
    first = subprocess.run(
        head.command("ip", "link", "add", CABLE, "type", "bridge"), capture_output=True, text=True, check=False
    )
    if first.returncode:
        pytest.skip(f"this machine allows no virtual network bridges: {first.stderr.strip()}")
    for number, host in enumerate(others):
        end = f"port{number}"
        head.run("ip", "link", "add", end, "type", "veth", "peer", "name", CABLE, "netns", host.holder)
        head.run("ip", "link", "set", end, "master", CABLE, "up")
    for host in (head, *others):
        host.run("ip", "address", "add", f"{host.address}/24", "dev", CABLE)
        host.run("ip", "link", "set", CABLE, "up")
        host.run("ip", "link", "set", "lo", "up")


@contextmanager
def cluster(*, cores: int = 1, started: bool = True, **variables: str) -> Iterator[Cluster]:
    """The head, and the machines a and b with as many cores each; skips the test where that cannot be had.

    Where it is not to be started, there are three machines on which Ray does not run.
    """
    pytest.importorskip("ray", reason="Ray is not installed (the extra `cluster`)", exc_type=ImportError)
    missing = [word for word in ("ip", "unshare", "nsenter", "hostname") if shutil.which(word) is None]
    if missing:
        pytest.skip(f"three machines on one need {', '.join(missing)} (Debian: iproute2, util-linux, hostname)")
    with ExitStack() as stack:
        folder = short_folder()
        stack.callback(shutil.rmtree, folder, ignore_errors=True)
        head = stack.enter_context(_holding("head", HEAD, None))
        a = stack.enter_context(_holding("machine-a", "10.214.0.2", head))
        b = stack.enter_context(_holding("machine-b", "10.214.0.3", head))
        _connect(head, [a, b])
        own = {"GLOO_SOCKET_IFNAME": CABLE}
        environment = ray_variables(folder) | own | variables
        made = Cluster(head=head, a=a, b=b, folder=folder, variables=environment, cores=cores)
        stack.callback(made.end)
        if started:
            made.start_head()
            made.start(a, b)
        yield made
