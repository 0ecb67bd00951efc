"""What a Ray cluster has, machine by machine, and what is wrong with it: software, shared folders, clocks, settings."""

import os
import secrets
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

from deepmark.compute.ray_cluster import NODE_SETTINGS, Machine, join, machines, on_every_machine
from deepmark.compute.software import differences, installed, software
from deepmark.data.shards.remote import is_url
from deepmark.errors import DeepmarkError, explain, extras_named
from deepmark.workspace.layout import Workspace

CLOCK_SECONDS = 5.0
"""By which two clocks may differ: S3 refuses requests of a clock that is minutes wrong, and logs are read in order."""

SILENCE_SECONDS = 60
"""The longest sum of the two keep-alive settings with which a machine that is cut off is noticed in time."""

_KEEP_ALIVE = ("RAY_grpc_client_keepalive_time_ms", "RAY_grpc_client_keepalive_timeout_ms")


@dataclass(frozen=True, kw_only=True)
class Seen:
    """What one machine says of itself."""

    software: dict[str, str]
    torch: str
    settings: dict[str, str]
    unread: dict[str, str]
    """Why a probe file could not be read there, by the place where it lies."""

    clock: float
    """Seconds since 1970, when it answered."""


@dataclass(frozen=True, kw_only=True)
class ClusterCheck:
    machines: list[dict[str, Any]]
    """A row for each: host, address, cores, gpus, gpu, deepmark, python, ray, torch, shared, clock_seconds."""

    places: list[str]
    """The folder, and the URL if shards lie at one, that every machine has to reach."""

    wrong: list[str]
    """What has to be mended, a sentence each, with what to do."""


def look_around(probes: dict[str, str]) -> Seen:
    """What this machine says of itself; `probes` are the contents of files that it should find, by their place."""
    unread = {place: fault for place, content in probes.items() if (fault := _fault_of(place, content))}
    return Seen(
        software=software(),
        torch=installed("torch"),
        settings={name: os.environ.get(name, "") for name in NODE_SETTINGS},
        unread=unread,
        clock=time.time(),
    )


def _fault_of(place: str, content: str) -> str | None:
    try:
        found = _read(place)
    except Exception as error:
        return explain(error) or f"{type(error).__name__}: {error}"
    return None if found == content else "another file lies there"


def _read(place: str) -> str:
    if not is_url(place):
        return Path(place).read_text("utf-8")
    import fsspec

    with fsspec.open(place, "r") as file:
        return str(file.read())


def check_cluster(workspace: Workspace) -> ClusterCheck:
    """The cluster that the workspace's params name.

    Raises DeepmarkError where Ray is missing, no cluster answers or lets this machine in, or a probe file cannot be
    written.
    """
    params = workspace.params
    join(params.compute)
    found = machines()
    places = [str(workspace.root.absolute()), *([params.storage.shards] if is_url(params.storage.shards) else [])]
    with _probes(places) as probes:
        seen = on_every_machine(partial(look_around, probes), found)
    clocks = {machine: _clock_difference(machine) for machine, one in seen.items() if isinstance(one, Seen)}
    wrong = [line for machine in found for line in _faults(machine, seen[machine], clocks.get(machine, 0.0))]
    wrong += _faults_of_all(found)
    return ClusterCheck(
        machines=[_row(machine, seen[machine], clocks.get(machine)) for machine in found], places=places, wrong=wrong
    )


@contextmanager
def _probes(places: list[str]) -> Iterator[dict[str, str]]:
    """A small file in each place, gone at the end; the contents by the files' paths and URLs."""
    name, content = f".deepmark-probe-{secrets.token_hex(4)}", secrets.token_hex(16)
    files = [f"{place.rstrip('/')}/{name}" for place in places]
    with extras_named():
        import fsspec
    try:
        for file in files:
            try:
                with fsspec.open(file, "w") as probe:
                    probe.write(content)
            except Exception as error:
                raise DeepmarkError(f"{file}: a probe file cannot be written: {explain(error) or error}") from error
        yield dict.fromkeys(files, content)
    finally:
        for file in files:
            system, path = fsspec.core.url_to_fs(file)
            if system.exists(path):
                system.rm_file(path)


def _clock_difference(machine: Machine) -> float:
    """By how many seconds the machine's clock is ahead of this one's, asked when its process runs already."""
    before = time.time()
    theirs = on_every_machine(time.time, [machine])[machine]
    return float(theirs) - (before + time.time()) / 2 if isinstance(theirs, float) else 0.0


def _faults(machine: Machine, seen: Any, clock: float) -> Iterator[str]:
    if not isinstance(seen, Seen):
        last = str(seen).strip().splitlines()[-1:] or [type(seen).__name__]
        yield f"{machine.name} cannot run DeepMark ({last[0]}). Install the same release there, then start Ray again."
        return
    if differs := differences(software(), seen.software):
        yield (
            f"{machine.name} has {', '.join(differs)}. Install the same release there, with constraints.txt, then "
            "start Ray again."
        )
    for place, fault in seen.unread.items():
        yield (
            f"{machine.name} does not see {place.rpartition('/')[0]} ({fault}). Mount the same folder under the same "
            "path on every machine; for a URL, give every machine the same credentials."
        )
    if abs(clock) > CLOCK_SECONDS:
        yield f"the clock of {machine.name} differs by {clock:+.0f} s. Let NTP set it (`timedatectl set-ntp true`)."
    if seen.settings["RAY_AUTH_MODE"] != "token":
        yield (
            f"{machine.name} runs Ray without token authentication: whoever reaches its ports can run programs there. "
            "Start Ray again with RAY_AUTH_MODE=token."
        )
    times = [seen.settings[name] for name in _KEEP_ALIVE]
    if not all(one.isdecimal() for one in times) or sum(map(int, times)) > 1000 * SILENCE_SECONDS:
        yield (
            f"{machine.name} runs Ray without {' and '.join(f'{name}={NODE_SETTINGS[name]}' for name in _KEEP_ALIVE)}: "
            "a machine that is cut off would stop a stage for minutes. Start Ray there again with both."
        )


def _faults_of_all(found: list[Machine]) -> Iterator[str]:
    if not any(machine.works for machine in found):
        yield "no machine has a core for pieces of a stage. Start Ray on one with `ray start --address=HEAD:PORT`."
    kinds = sorted({machine.gpu for machine in found if machine.gpu})
    if len(kinds) > 1:
        yield (
            f"the GPUs are of {len(kinds)} kinds ({', '.join(kinds)}), whose results differ in the last bits. Start "
            "Ray with --num-gpus=0 on the machines of one kind."
        )


def _row(machine: Machine, seen: Any, clock: float | None) -> dict[str, Any]:
    row: dict[str, Any] = {
        "host": machine.host,
        "address": machine.address,
        "head": machine.head,
        "cores": int(machine.cores),
        "gpus": int(machine.gpus),
        "gpu": machine.gpu,
    }
    if not isinstance(seen, Seen):
        return row
    versions = {name.lower(): seen.software[name] for name in ("deepmark", "Python", "ray")}
    same = not differences(software(), seen.software)
    return (
        row
        | versions
        | {
            "torch": seen.torch,
            "same_software": same,
            "shared": not seen.unread,
            "clock_seconds": round(clock or 0.0, 3),
        }
    )
