"""The settings of a client: address, token, TLS, limits. Arguments override the variables of the environment."""

import os
import ssl
import urllib.parse
from typing import Mapping, Optional, Tuple

from hub.client.errors import Refused

__all__ = ["Address", "Settings"]

# The address at which a dispatcher serves the HTTP API by default.
DEFAULT_URL = "http://127.0.0.1:8420"
# Default time limit of a request in seconds.
DEFAULT_TIMEOUT = 30.0
# Default number of repetitions of a request that may be repeated.
DEFAULT_RETRIES = 4
# Default maximum size of an answer in bytes.
DEFAULT_MAXIMUM_ANSWER_BYTES = 256 * 1024 * 1024


class Address:
    """A parsed URL of a dispatcher."""

    def __init__(self, url: str) -> None:
        url = url if "://" in url else "http://" + url
        try:
            parts = urllib.parse.urlsplit(url.strip())
            port = parts.port
            # Names with letters beyond ASCII have an encoding.
            host = (parts.hostname or "").encode("idna").decode("ascii")
        except ValueError as error:
            raise Refused("%r is not a URL: %s: write http://HOST:PORT" % (url, error))
        if parts.scheme not in ("http", "https") or not host or parts.query or parts.fragment:
            raise Refused("%r is not the address of a dispatcher: write http://HOST:PORT" % url)
        if parts.username is not None:
            raise Refused("the address must not contain a user or a password: pass token=…")
        self.is_tls = parts.scheme == "https"
        self.host = host
        self.port = port if port is not None else (443 if self.is_tls else 80)
        path = parts.path.rstrip("/")
        for end in ("/api/v1", "/api"):
            # The address of the API, as in the log of the dispatcher, is accepted, too.
            path = path[: -len(end)] if path.endswith(end) else path
        self.path = urllib.parse.quote(path, safe="/%")
        shown = "[%s]" % host if ":" in host else host
        is_default = port is None or port == (443 if self.is_tls else 80)
        self.authority = shown if is_default else "%s:%d" % (shown, self.port)
        self.url = "%s://%s%s" % (parts.scheme, self.authority, self.path)


class Settings:
    """The settings of a client."""

    def __init__(
        self,
        url: Optional[str],
        token: Optional[str],
        timeout: float,
        retries: int,
        context: Optional[ssl.SSLContext],
        maximum_answer_bytes: int,
        environment: Mapping[str, str] = os.environ,
    ) -> None:
        if not timeout > 0 or timeout == float("inf"):
            raise ValueError("timeout is a number of seconds above 0, not %r" % (timeout,))
        self.address = Address(_url(url, environment))
        self.timeout = float(timeout)
        self.retries = max(0, int(retries))
        self.maximum_answer_bytes = maximum_answer_bytes
        self.context = _context(context, environment) if self.address.is_tls else None
        self.headers = _headers(self.address, token if token is not None else _token(environment))

    def __repr__(self) -> str:
        return self.address.url


def _url(url: Optional[str], environment: Mapping[str, str]) -> str:
    if url is not None:
        return url
    url = environment.get("HUB_BROKER") or DEFAULT_URL
    if not url.startswith(("http://", "https://")):
        why = "HUB_BROKER is the address of a broker, and this client needs the HTTP API of the dispatcher"
        raise Refused("%s: pass Hub('http://HOST:PORT')" % why)
    return url


def _token(environment: Mapping[str, str]) -> Optional[str]:
    """As in hub-client, the file goes before the variable."""
    path = environment.get("HUB_HTTP_TOKEN_FILE")
    if not path:
        return environment.get("HUB_HTTP_TOKEN") or None
    try:
        with open(path, encoding="utf-8") as file:
            return file.read().strip()
    except (OSError, UnicodeDecodeError) as error:
        raise Refused("cannot read the file of the token (HUB_HTTP_TOKEN_FILE): %s" % error)


def _headers(address: Address, token: Optional[str]) -> Tuple[Tuple[str, str], ...]:
    headers = [("Host", address.authority), ("Accept-Encoding", "identity"), ("User-Agent", "hub-python")]
    if token:
        if not token.isascii() or not token.isprintable():
            # The token is not in the message, which may be logged.
            raise Refused("the token has characters that a header cannot have: check for line breaks and letters beyond ASCII")
        headers.append(("Authorization", "Bearer " + token))
    return tuple(headers)


def _context(context: Optional[ssl.SSLContext], environment: Mapping[str, str]) -> ssl.SSLContext:
    if context is not None:
        return context
    context = ssl.create_default_context()
    authorities = environment.get("HUB_CA_FILE")
    if authorities:
        try:
            context.load_verify_locations(authorities)
        except OSError as error:
            raise Refused("cannot read the certificates of HUB_CA_FILE: %s" % error)
    return context
