"""Two hosts on one machine: each with a name, an address and a network of its own, one cable between them."""

import os
import shutil
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import pytest

from deepmark.workspace.environment import child_environment, tool

ADDRESSES = {"left-host": "10.213.0.1", "right-host": "10.213.0.2"}
CABLE = "cable"


@dataclass(frozen=True, kw_only=True)
class Host:
    """Network and host name of its own, held open by one sleeping process."""

    name: str
    address: str
    holder: int

    def command(self, *words: object) -> list[str]:
        user = [] if os.geteuid() == 0 else ["--user", "--preserve-credentials"]
        return ["nsenter", "--target", str(self.holder), *user, "--net", "--uts", "--", *map(str, words)]

    def run(self, *words: object) -> None:
        subprocess.run(self.command(*words), check=True, capture_output=True, text=True)

    def train(self, workspace: Path, **variables: str) -> subprocess.Popen[str]:
        """`deepmark train --json` on this host, under way."""
        words = self.command(tool("deepmark"), "train", "--json", "--workspace", workspace)
        pipe = subprocess.PIPE
        return subprocess.Popen(words, env=child_environment() | variables, stdout=pipe, stderr=pipe, text=True)

    def cut_cable(self) -> None:
        """From now on nothing arrives here or leaves, not even the word that a connection is closed."""
        self.run("ip", "link", "set", CABLE, "down")

    def join_cable(self) -> None:
        self.run("ip", "link", "set", CABLE, "up")


@contextmanager
def _holding(name: str, *, beside: Host | None = None) -> Iterator[Host]:
    """A host without a cable; for an ordinary user, both live in one user namespace, or no cable could join them."""
    words = ["unshare", "--net", "--uts", "sh", "-c", f"hostname {name} && echo held && exec sleep 1000"]
    if os.geteuid() != 0 and beside is None:
        words[1:1] = ["--user", "--map-root-user"]
    elif os.geteuid() != 0 and beside is not None:
        words = ["nsenter", "--target", str(beside.holder), "--user", "--preserve-credentials", "--", *words]
    with subprocess.Popen(words, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True) as holder:
        assert holder.stdout is not None
        assert holder.stderr is not None
        try:
            if holder.stdout.readline().strip() != "held":
                pytest.skip(f"this machine allows no network namespaces: {holder.stderr.read().strip()}")
            yield Host(name=name, address=ADDRESSES[name], holder=holder.pid)
        finally:
            holder.kill()


@contextmanager
def two_hosts() -> Iterator[tuple[Host, Host]]:
    """Both hosts, joined; skips the test where that cannot be had."""
    missing = [word for word in ("ip", "unshare", "nsenter", "hostname") if shutil.which(word) is None]
    if missing:
        pytest.skip(f"two hosts on one machine need {', '.join(missing)} (Debian: iproute2, util-linux, hostname)")
    left_name, right_name = ADDRESSES
    with _holding(left_name) as left, _holding(right_name, beside=left) as right:
        ends = ["ip", "link", "add", CABLE, "type", "veth", "peer", "name", CABLE, "netns", right.holder]
        done = subprocess.run(left.command(*ends), capture_output=True, text=True, check=False)
        if done.returncode:
            pytest.skip(f"this machine allows no virtual network cables: {done.stderr.strip()}")
        for host in (left, right):
            host.run("ip", "address", "add", f"{host.address}/24", "dev", CABLE)
            host.run("ip", "link", "set", CABLE, "up")
            host.run("ip", "link", "set", "lo", "up")
        yield left, right
