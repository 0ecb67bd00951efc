"""Runs the application on uvicorn until SIGTERM or Ctrl-C, and then finishes what was taken."""

import copy
import ipaddress
import os
import signal
import socket
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path

import uvicorn
from fastapi import FastAPI
from uvicorn.config import LOGGING_CONFIG

from deepmark.errors import DeepmarkError

TOKEN = "DEEPMARK_TOKEN"
"""The environment variable that may hold the token."""

LEAST_TOKEN = 16
"""Characters; a shorter token could be guessed."""


def is_loopback(host: str) -> bool:
    """Whether only this machine can reach a server at this address. Raises DeepmarkError where it is none."""
    try:
        found = socket.getaddrinfo(host, None, type=socket.SOCK_STREAM)
    except OSError as error:
        raise DeepmarkError(f"--host {host}: no address of this machine ({error.strerror}). Give 127.0.0.1.") from None
    return all(ipaddress.ip_address(str(address[0]).partition("%")[0]).is_loopback for *_, address in found)


def read_token(file: Path | None) -> str | None:
    """The token in a file, or in the environment variable TOKEN; None where there is neither.

    Raises DeepmarkError where it cannot be read, is too short, or holds what a header cannot.
    """
    if file is not None:
        try:
            where, token = f"--token-file {file}", file.read_text("utf-8").strip()
        except (OSError, UnicodeDecodeError) as error:
            reason = getattr(error, "strerror", None) or "not text"
            raise DeepmarkError(f"--token-file {file}: cannot be read ({reason}). Give a file with one line.") from None
    else:
        where, token = TOKEN, os.environ.get(TOKEN, "").strip()
        if not token:
            return None
    if len(token) < LEAST_TOKEN or not token.isascii() or not token.isprintable() or " " in token:
        raise DeepmarkError(
            f"{where}: a token has at least {LEAST_TOKEN} characters, without spaces. "
            "`python -c 'import secrets; print(secrets.token_urlsafe())'` makes one."
        )
    return token


def check_reachable(host: str, token: str | None) -> None:
    """Raise DeepmarkError where others could reach the server without a token."""
    if token is None and not is_loopback(host):
        raise DeepmarkError(
            f"--host {host}: other machines could ask this server. Give a token (--token-file, or {TOKEN} in the "
            "environment), or leave --host out."
        )


def listen(host: str, port: int) -> socket.socket:
    """A socket at this address; raises DeepmarkError where it cannot be had."""
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    try:
        return socket.create_server((host, port), family=family, backlog=2048)
    except OSError as error:
        reason = error.strerror or str(error)
        raise DeepmarkError(f"{host} port {port}: {reason.lower()}. Name another with --port or --host.") from None


class _Server(uvicorn.Server):
    """Says when it can be asked."""

    def __init__(self, config: uvicorn.Config, on_start: Callable[[], None]) -> None:
        super().__init__(config)
        self._on_start = on_start

    async def startup(self, sockets: list[socket.socket] | None = None) -> None:
        await super().startup(sockets)
        if self.started:
            self._on_start()


def run_app(app: FastAPI, listener: socket.socket, *, finish_within: float, started: Callable[[], None]) -> None:
    """Serve until SIGTERM or Ctrl-C; requests that were taken get their answers, but no longer than `finish_within`.

    `started` is called when the server can be asked.
    """

    logging = copy.deepcopy(LOGGING_CONFIG)
    logging["handlers"]["access"]["stream"] = "ext://sys.stderr"  # standard output is for facts
    config = uvicorn.Config(
        app, log_config=logging, timeout_graceful_shutdown=max(1, round(finish_within)), server_header=False, ws="none"
    )
    # uvicorn raises the signal again when it is done: an end that was asked for is no failure.
    before = {sign: signal.signal(sign, lambda *_: None) for sign in (signal.SIGTERM, signal.SIGINT)}
    try:
        _Server(config, started).run(sockets=[listener])
    finally:
        for sign, handler in before.items():
            signal.signal(sign, handler)
        with suppress(OSError):
            listener.close()
