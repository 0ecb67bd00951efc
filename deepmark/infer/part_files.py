"""The parts of a prediction as files, which are kept until all of them are there."""

import fcntl
import hashlib
import json
import os
import shutil
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import pyarrow as pa

from deepmark.digests import NO_DIGEST, check_digest, new_file_with_digest
from deepmark.errors import DeepmarkError
from deepmark.infer.predict import Timing


@dataclass(frozen=True, kw_only=True)
class Part:
    """The predictions of a part, as `data.predictions.to_table` makes them."""

    table: pa.Table
    timing: Timing
    device: str
    notes: tuple[str, ...] = ()
    """What the caller should tell: a damaged part that was made again."""

    waiting: int = 0
    """Images that `progress` has not counted yet."""


def write_part(file: Path, part: Part) -> None:
    """Write a part, whole or not at all."""
    facts = {"timing": json.dumps(asdict(part.timing)), "device": part.device, "digest": NO_DIGEST}
    table = part.table.replace_schema_metadata({**(part.table.schema.metadata or {}), **facts})
    with new_file_with_digest(file) as draft, pa.ipc.new_stream(str(draft), table.schema) as writer:
        writer.write_table(table)


def read_part(file: Path) -> Part:
    """A part that was kept; FileNotFoundError where it was not, DeepmarkError where it is damaged."""
    remedy = "It is predicted again."
    check_digest(file, remedy)
    try:
        with pa.OSFile(str(file)) as source:
            table = pa.ipc.open_stream(source).read_all()
        metadata = dict(table.schema.metadata)
        timing, device = Timing(**json.loads(metadata.pop(b"timing"))), metadata.pop(b"device").decode()
        metadata.pop(b"digest")
    except FileNotFoundError:
        raise
    except (pa.ArrowException, OSError, KeyError, ValueError, TypeError) as error:
        raise DeepmarkError(f"{file}: damaged ({error}). {remedy}") from None
    return Part(table=table.replace_schema_metadata(metadata), timing=timing, device=device, waiting=len(table))


@contextmanager
def kept_parts(folder: Path, strategy: str, identity: Mapping[str, Any]) -> Iterator[Path]:
    """The folder below `folder` for the parts of one file, which `identity` tells from others; removed in the end.

    It stays where the block fails or the process is killed. Those of the same strategy that are of something else, and
    that no process holds, are removed first: nothing would ever use them.
    """
    digest = hashlib.sha256(json.dumps(identity, sort_keys=True).encode()).hexdigest()
    own = folder / f"{strategy}-{digest[:16]}"
    held = _hold(own)
    try:
        for other in folder.glob(f"{strategy}-*"):
            if other != own and _is_free(other):
                shutil.rmtree(other, ignore_errors=True)
        yield own
    finally:
        os.close(held)
    if _is_free(own):  # otherwise another process makes the same file, and removes it
        shutil.rmtree(own, ignore_errors=True)


def _hold(folder: Path) -> int:
    """A descriptor of the folder, which is made where it is missing, with a lock that other processes may share."""
    while True:
        folder.mkdir(parents=True, exist_ok=True)
        with suppress(FileNotFoundError):  # another process has just removed it
            held = os.open(folder, os.O_RDONLY | os.O_DIRECTORY)
            with suppress(OSError):  # a file system without locks
                fcntl.flock(held, fcntl.LOCK_SH)
            return held


def _is_free(folder: Path) -> bool:
    try:
        descriptor = os.open(folder, os.O_RDONLY | os.O_DIRECTORY)
    except OSError:
        return False
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    except OSError:
        return True
    finally:
        os.close(descriptor)
    return True
