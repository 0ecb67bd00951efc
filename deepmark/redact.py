"""URLs without their secrets, as messages, logs and pages show them."""

import re

_URL = re.compile(r"[A-Za-z][\w+.-]*://[^\s'\"<>]+")
_PASSWORD = re.compile(r"(?<=://)([^\s:/@]*):.*@")
_TOKEN = re.compile(r"(?<=^http://)[^/?:@]+@|(?<=^https://)[^/?:@]+@")
_QUERY_VALUE = re.compile(r"(?<==)[^&;]+")
_HIDDEN = "***"


def redact(text: str) -> str:
    """The text with *** for every password, access token and value of a query in the URLs that it holds.

    A signed URL has its signature in the query, and a database may have its password there; so no value is shown.
    """
    return _URL.sub(_redact_url, text)


def _redact_url(match: re.Match[str]) -> str:
    url = _PASSWORD.sub(rf"\1:{_HIDDEN}@", match[0])
    place, mark, query = _TOKEN.sub(f"{_HIDDEN}@", url).partition("?")
    return place + mark + _QUERY_VALUE.sub(_HIDDEN, query)
