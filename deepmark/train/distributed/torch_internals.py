"""Everything here that torch does not promise to keep: private methods, torchrun's variables and its error files.

Read in torch 2.13. With another version, compare this file with torch.distributed.elastic; nothing else depends on it.
"""

import json
import os
from dataclasses import dataclass
from datetime import timedelta
from pathlib import Path

from torch import distributed as dist
from torch.distributed.elastic.multiprocessing.errors import get_error_handler
from torch.distributed.elastic.rendezvous import RendezvousParameters, rendezvous_handler_registry
from torch.distributed.elastic.rendezvous.c10d_rendezvous_backend import create_backend
from torch.distributed.elastic.rendezvous.dynamic_rendezvous import DynamicRendezvousHandler, RendezvousTimeout

TORCH_VERSION = "2.13"

RENDEZVOUS_BACKEND = "c10d-once"
"""The name of `_FixedMembersHandler` for torchrun."""

LAUNCHER_LOGGER = "torch.distributed.elastic.multiprocessing.api"
"""The logger that reports failed processes."""

_ERROR_FILE = "TORCHELASTIC_ERROR_FILE"


class _FixedMembersHandler(DynamicRendezvousHandler):
    """torchrun's c10d rendezvous for machines that stay the same from start to end: no heartbeats, no later arrivals.

    A request to the store of a machine that was lost never returns, whatever its timeout, so none is made after the
    rendezvous.
    """

    def get_backend(self) -> str:
        return RENDEZVOUS_BACKEND

    def _start_heartbeats(self) -> None:
        pass

    def num_nodes_waiting(self) -> int:
        return 0

    def shutdown(self) -> bool:
        return True


def _make_handler(params: RendezvousParameters) -> DynamicRendezvousHandler:
    backend, store = create_backend(params)
    timeout = RendezvousTimeout(join=timedelta(seconds=params.config["timeout"]))
    return _FixedMembersHandler.from_backend(
        params.run_id, store, backend, params.min_nodes, params.max_nodes, params.local_addr, timeout
    )


rendezvous_handler_registry.register(RENDEZVOUS_BACKEND, _make_handler)


def append_line(store: dist.Store, key: str, line: str) -> None:
    """Append a line to a value of the store, which all processes may do at once."""
    store.append(key, f"{line}\n")  # type: ignore[attr-defined]  # missing in torch's own stubs


def launcher_keeps_store() -> bool:
    """Whether torchrun, and not the process of rank 0, keeps the store at MASTER_ADDR:MASTER_PORT."""
    return os.environ.get("TORCHELASTIC_USE_AGENT_STORE") == str(True)


def restart_count() -> str:
    """How often torchrun has restarted this process's group."""
    return os.environ.get("TORCHELASTIC_RESTART_COUNT", "0")


def has_launcher() -> bool:
    """Whether torchrun started this process, and wants to know why it fails."""
    return bool(os.environ.get(_ERROR_FILE))


def write_error(error: BaseException) -> None:
    """Tell torchrun why this process fails."""
    get_error_handler().record_exception(error)


def error_is_written() -> bool:
    """Whether torchrun knows why this process fails."""
    return Path(os.environ.get(_ERROR_FILE, "none")).is_file()


@dataclass(frozen=True, kw_only=True, slots=True)
class RankFailure:
    """Why a rank failed, as it told torchrun."""

    local_rank: int
    kind: str
    """The name of the exception's class."""

    message: str
    traceback: str


def read_errors(folder: Path) -> list[RankFailure]:
    """The failures that the ranks of this machine wrote into torchrun's log folder, the first to fail first."""
    files = sorted(folder.rglob("error.json"), key=lambda file: file.stat().st_mtime_ns)
    return [_read_error(file) for file in files]


def _read_error(file: Path) -> RankFailure:
    message = json.loads(file.read_text("utf-8"))["message"]
    kind, _, text = message["message"].partition(": ")
    traceback = message["extraInfo"]["py_callstack"]
    return RankFailure(local_rank=int(file.parent.name), kind=kind, message=text, traceback=traceback)
