"""Downloads image files over http and https, limited in bytes, time and redirects."""

import socket
import ssl
import threading
import time
import urllib.request
from http import HTTPStatus
from http.client import HTTPException
from queue import Empty, SimpleQueue
from typing import Any
from urllib.error import HTTPError, URLError
from urllib.parse import quote, urlsplit

from deepmark.errors import DeepmarkError
from deepmark.version import __version__

MAX_DOWNLOAD = 64_000_000
"""Bytes; photographs of 50 megapixels take half of it."""

SECONDS = 30.0
"""For one download, from the look-up of the host's name to the last byte."""

MOST_REDIRECTS = 5

_PART = 2**16
_ANSWERS: dict[int, str] = {
    HTTPStatus.UNAUTHORIZED: "asks for a login. Download the image yourself.",
    HTTPStatus.FORBIDDEN: "does not allow it. Download the image yourself.",
    HTTPStatus.NOT_FOUND: "has nothing there. Check the address.",
    HTTPStatus.GONE: "has nothing there any more. Check the address.",
    HTTPStatus.TOO_MANY_REQUESTS: "has had too many requests. Try again later.",
}


def download(url: str) -> bytes:
    """The bytes behind an http or https URL; the proxies of the environment are used.

    Raises DeepmarkError for other schemes, and where nothing, an error, or too much comes back, or not in time.
    """
    if urlsplit(url).scheme.lower() not in ("http", "https"):
        raise DeepmarkError(f"{url}: only http and https are read. Download the image, and give its path.")
    outcome: SimpleQueue[bytes | Exception] = SimpleQueue()
    # On a thread, since the look-up of a name and a header that drips in know no limit of time.
    threading.Thread(target=_fetch, args=(url, time.monotonic() + SECONDS, outcome.put), daemon=True).start()
    try:
        result = outcome.get(timeout=SECONDS)
    except Empty:
        result = TimeoutError()
    if isinstance(result, DeepmarkError):
        raise result
    if isinstance(result, Exception):
        raise DeepmarkError(f"{url}: {_reason(result)}") from None
    return result


def _fetch(url: str, deadline: float, put: Any) -> None:
    try:
        put(_read(url, deadline))
    except (DeepmarkError, OSError, HTTPException, ValueError) as error:  # ValueError, for an address that is none
        put(error)


def _read(url: str, deadline: float) -> bytes:
    request = urllib.request.Request(_encoded(url), headers={"User-Agent": f"deepmark/{__version__}"})
    with urllib.request.build_opener(_Redirects).open(request, timeout=SECONDS) as answer:
        announced = int(answer.headers.get("Content-Length") or 0)
        if announced > MAX_DOWNLOAD:
            raise DeepmarkError(f"{url}: {announced:,} bytes, more than {MAX_DOWNLOAD:,}. Shrink the image first.")
        parts, length = [], 0
        while part := answer.read1(_PART):
            parts.append(part)
            length += len(part)
            if length > MAX_DOWNLOAD:
                raise DeepmarkError(f"{url}: more than {MAX_DOWNLOAD:,} bytes. Shrink the image first.")
            if time.monotonic() > deadline:
                raise TimeoutError
    if length < announced:
        raise DeepmarkError(f"{url}: the connection ended after {length:,} of {announced:,} bytes. Try again.")
    return b"".join(parts)


def _encoded(url: str) -> str:
    """The URL in ASCII, as a browser would send it."""
    parts = urlsplit(url)
    host = parts.netloc if parts.netloc.isascii() else parts.netloc.encode("idna").decode()
    path, query = (quote(part, safe="/%:@!$&'()*+,;=~?-._") for part in (parts.path, parts.query))
    return parts._replace(netloc=host, path=path, query=query, fragment="").geturl()


class _Redirects(urllib.request.HTTPRedirectHandler):
    max_redirections = MOST_REDIRECTS
    max_repeats = MOST_REDIRECTS

    def redirect_request(self, req: Any, fp: Any, code: int, msg: str, headers: Any, newurl: str) -> Any:
        if urlsplit(newurl).scheme not in ("http", "https"):
            raise HTTPError(req.full_url, code, msg, headers, fp)  # as urllib does for all others but ftp
        return super().redirect_request(req, fp, code, msg, headers, newurl)


def _reason(error: Exception) -> str:
    if isinstance(error, HTTPError):
        error.close()
        if 300 <= error.code < 400:
            return (
                f"leads on more than {MOST_REDIRECTS} times, or to no http or https address. Download the image "
                "yourself."
            )
        told = "has a fault. Try again later." if error.code >= 500 else "refuses. Check the address."
        return f"the server answers {error.code}: it {_ANSWERS.get(error.code, told)}"
    cause = error.reason if isinstance(error, URLError) else error
    if isinstance(cause, TimeoutError):
        return f"no answer within {SECONDS:g} seconds. Check the address and the network, or try again later."
    if isinstance(cause, socket.gaierror):
        return "there is no host of this name, or no network. Check both."
    if isinstance(cause, ssl.SSLCertVerificationError):
        return f"the server's certificate is not trusted ({cause.verify_message}). Download the image yourself."
    if isinstance(cause, ConnectionRefusedError):
        return "the server does not accept connections. Check the address, or try again later."
    detail = str(getattr(cause, "strerror", None) or cause).rstrip(".")
    return f"it cannot be downloaded ({detail}). Check the address and the network."
