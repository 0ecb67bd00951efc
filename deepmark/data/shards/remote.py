"""A folder on other storage, named by an fsspec URL such as s3://bucket/shards; reads and writes with several attempts.

Credentials and endpoints are taken from where every tool for that storage looks: for S3 the environment
(AWS_ACCESS_KEY_ID, AWS_PROFILE, AWS_ENDPOINT_URL …) or the files in ~/.aws.
"""

import errno
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import suppress
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any, TypeVar
from uuid import uuid4

from deepmark.errors import DeepmarkError, install_extra
from deepmark.files import UNFINISHED, unique_file

BLOCK_BYTES = 16 * 2**20
"""Bytes per request; a lost connection costs at most this much again."""

_WAITS = (0.5, 1.0, 2.0, 4.0, 8.0, 16.0)
"""Seconds before each further attempt."""

_FINAL = {errno.EINVAL, errno.ENOENT, errno.EACCES, errno.EPERM, errno.ENOTDIR, errno.EISDIR}
"""Failures that another attempt cannot change; all others, of the network or the server, may be temporary."""

_OBJECT_STORES = {"s3", "s3a", "gs", "gcs", "az", "abfs", "abfss", "adl"}
"""Protocols whose objects appear when they are complete; elsewhere a file is renamed when it is."""

_T = TypeVar("_T")


def is_url(place: str) -> bool:
    """Whether `place` is a URL, and not a path on this machine."""
    return "://" in place


class MissingFileError(DeepmarkError):
    """The storage answered, and has no such file."""


@dataclass(frozen=True, kw_only=True)
class RemoteFolder:
    """A folder that an fsspec URL names.

    Every method raises DeepmarkError, which names the object, if the object or the credentials are missing, or if the
    storage still fails at the last attempt.
    """

    url: str
    timeout_seconds: float = 60.0
    """How long S3 may be silent within an answer before the request is repeated."""

    waits: tuple[float, ...] = _WAITS
    """Seconds before each further attempt."""

    def name(self, file: str) -> str:
        """The URL of a file in the folder."""
        return f"{self.url.rstrip('/')}/{file}"

    def read(self, file: str) -> bytes:
        """The content of a file."""

        def ask(system: Any, path: str) -> bytes:
            system.invalidate_cache()  # of names, which may be older than the file
            return system.cat_file(path)

        return self._retry(file, ask)

    def sizes(self) -> dict[str, int | None]:
        """The sizes of the files in the folder in bytes; None where the storage does not tell."""

        def ask(system: Any, path: str) -> dict[str, int | None]:
            system.invalidate_cache()
            entries = system.ls(path.rstrip("/"), detail=True)
            return {entry["name"].rstrip("/").rpartition("/")[2]: entry["size"] for entry in entries}

        return self._retry("", ask)

    def blocks(self, file: str, size: int) -> Iterator[bytes]:
        """The content of a file of `size` bytes, block by block."""
        for start in range(0, size, BLOCK_BYTES):
            stop = min(start + BLOCK_BYTES, size)
            yield self._retry(file, partial(_whole_block, start=start, stop=stop))

    def size(self, file: str) -> int | None:
        """The size of a file in bytes; None where the storage does not tell."""

        def ask(system: Any, path: str) -> int | None:
            system.invalidate_cache()
            return system.info(path)["size"]

        return self._retry(file, ask)

    def write(self, file: str, content: bytes) -> None:
        """Write a file, which is seen whole or not at all; on S3 by one request, up to the 5 GB that it may have."""
        self._retry(file, partial(_write, content=content), writing=True)

    def delete(self, file: str) -> None:
        """Delete a file, if it is there."""
        with suppress(MissingFileError):
            self._retry(file, lambda system, path: system.rm_file(path), writing=True)

    def _retry(self, file: str, ask: Callable[[Any, str], _T], *, writing: bool = False) -> _T:
        """The result of `ask`, which gets the file system and the path in it, with further attempts after failures."""
        for wait in (*self.waits, None):
            try:
                system, path = self._open(file)
                return ask(system, path)
            except _failures() as error:
                if wait is None or not _may_pass(error):
                    raise self._explain(file, error, writing) from None
                time.sleep(wait)
        raise AssertionError("the last attempt returns or raises")

    def _open(self, file: str) -> tuple[Any, str]:
        """The file system and the path in it; asked for each time, because connections do not survive a fork.

        fsspec caches file systems by process, so this is cheap.
        """
        from fsspec.core import url_to_fs

        try:
            system, path = url_to_fs(self.name(file), **self._options())
        except ImportError as error:
            raise DeepmarkError(
                f"{self.url}: {error}. S3 needs {install_extra('s3')}; other storage its own package."
            ) from None
        except ValueError as error:
            raise DeepmarkError(f"{self.url}: {error}. Expected a URL such as s3://bucket/shards.") from None
        if hasattr(system, "retries"):
            system.retries = 1  # _retry counts the attempts
        return system, path

    def _options(self) -> dict[str, Any]:
        if not self.url.startswith(("s3://", "s3a://")):
            return {}
        limits = {"connect_timeout": self.timeout_seconds, "read_timeout": self.timeout_seconds}
        return {"config_kwargs": {**limits, "retries": {"total_max_attempts": 1}}}

    def _explain(self, file: str, error: BaseException, writing: bool) -> DeepmarkError:
        name, text = self.name(file), " ".join(str(error).split()) or type(error).__name__
        if isinstance(error, FileNotFoundError) and writing:
            return MissingFileError(
                f"{name}: cannot be written ({text}). Make the bucket, or correct params.yaml: storage: shards."
            )
        if isinstance(error, FileNotFoundError):
            return MissingFileError(
                f"{name}: is not there ({text}). `deepmark shard` writes the shards to where params.yaml: storage: "
                "shards says; run it, or correct that line."
            )
        if not _may_pass(error):
            return DeepmarkError(
                f"{name}: may not be {'written' if writing else 'read'} ({text}). Give credentials that may, for S3 by "
                "AWS_PROFILE or AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY, and AWS_ENDPOINT_URL where it is not "
                "Amazon's."
            )
        return DeepmarkError(
            f"{name}: no good answer in {len(self.waits) + 1} attempts, the last: {text}. "
            f"Try again when the storage is well; what was {'written' if writing else 'fetched'} is kept."
        )


def _write(system: Any, path: str, *, content: bytes) -> None:
    from fsspec.implementations.local import LocalFileSystem

    protocols = {system.protocol} if isinstance(system.protocol, str) else set(system.protocol)
    if isinstance(system, LocalFileSystem):
        Path(path).parent.mkdir(parents=True, exist_ok=True)
        with unique_file(Path(path)) as file:
            file.write(content)
    elif protocols & _OBJECT_STORES:
        # s3fs cuts what is not smaller than two of these into several requests.
        one_request = {"chunksize": len(content)} if "s3" in protocols else {}
        system.pipe_file(path, content, **one_request)
    else:
        draft = f"{path}.{uuid4().hex}{UNFINISHED}"
        system.makedirs(path.rpartition("/")[0], exist_ok=True)
        system.pipe_file(draft, content)
        system.mv(draft, path)


def _whole_block(system: Any, path: str, *, start: int, stop: int) -> bytes:
    block = system.cat_file(path, start=start, end=stop)
    if len(block) != stop - start:
        raise OSError(errno.EIO, f"{len(block):,} bytes came of {stop - start:,}")
    return block


def _failures() -> tuple[type[BaseException], ...]:
    """The exceptions of file systems; those of botocore and aiohttp only if these libraries are loaded."""
    failures: list[type[BaseException]] = [OSError]
    for module, name in (("botocore.exceptions", "BotoCoreError"), ("aiohttp", "ClientError")):
        if module in sys.modules:
            failures.append(getattr(sys.modules[module], name))
    return tuple(failures)


def _may_pass(error: BaseException) -> bool:
    """Whether the failure may be temporary, so that another attempt can succeed."""
    if isinstance(error, OSError):
        return not isinstance(error, FileNotFoundError | PermissionError) and error.errno not in _FINAL
    if "botocore.exceptions" in sys.modules:
        botocore = sys.modules["botocore.exceptions"]
        if isinstance(error, botocore.BotoCoreError):  # most others are about credentials and profiles
            return isinstance(error, botocore.HTTPClientError | botocore.ConnectionError)
    return True
