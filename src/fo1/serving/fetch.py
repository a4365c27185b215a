"""`Fetcher`: images from web addresses that a stranger names, without reaching into the server's own network.

Every address, also after a redirect, is resolved once, checked, and connected to as that number: a name that
resolves differently a moment later (DNS rebinding) gains nothing.
"""

from __future__ import annotations

import http.client
import socket
import ssl
import time
from collections.abc import Callable
from dataclasses import dataclass
from ipaddress import IPv6Address, IPv6Network, ip_address
from urllib.parse import SplitResult, urljoin, urlsplit

from fo1.errors import ImageError

REDIRECTS = 3
CHUNK = 1 << 16
_NAT64 = IPv6Network("64:ff9b::/96")


def is_public(address: str) -> bool:
    """Is it anybody's on the internet? Not private, loopback, link-local, multicast, nor one of these inside
    an IPv6 address."""
    number = ip_address(address.partition("%")[0])
    if isinstance(number, IPv6Address):
        inner = number.ipv4_mapped or number.sixtofour
        if number in _NAT64:
            return is_public(str(ip_address(int(number) & 0xFFFFFFFF)))
        if inner is not None:
            return is_public(str(inner))
    return number.is_global and not number.is_multicast


@dataclass(frozen=True)
class Fetcher:
    """Downloads. limit: bytes of an answer. timeout: seconds for it all, redirects too."""

    limit: int
    timeout: float = 10.0
    allowed: Callable[[str], bool] = is_public

    def fetch(self, url: str) -> bytes:
        """Raises `ImageError` naming the URL."""
        until = time.monotonic() + self.timeout
        place = url
        for _ in range(REDIRECTS + 1):
            connection = self._connection(place, until)
            try:
                answer = self._ask(connection, place)
                if answer.status in (301, 302, 303, 307, 308):
                    place = urljoin(place, answer.getheader("Location") or "")
                    continue
                if answer.status != 200:
                    raise ImageError(f"{place[:200]} answers {answer.status}; check the address")
                return self._body(connection, answer, place, until)
            except (OSError, http.client.HTTPException, ValueError) as error:
                if isinstance(error, ImageError):
                    raise
                raise ImageError(f"{place[:200]} cannot be downloaded ({error})") from error
            finally:
                connection.close()
        raise ImageError(f"{url[:200]} leads on and on; at most {REDIRECTS} redirects are followed")

    def _connection(self, url: str, until: float) -> http.client.HTTPConnection:
        """To the checked number, not the name."""
        parts, host, port = _parts(url)
        addresses = _resolved(host, port, url)
        refused = [address for address in addresses if not self.allowed(address)]
        if refused or not addresses:
            raise ImageError(
                f"{url[:200]} is no public address; send the image itself, as a data URL or upload"
            )
        left = _left(until, url)
        try:
            plain = socket.create_connection((addresses[0], port), timeout=left)
        except OSError as error:
            raise ImageError(f"{url[:200]} cannot be reached ({error})") from error
        connection = http.client.HTTPConnection(host, port, timeout=left)
        if parts.scheme == "https":
            try:
                connection.sock = ssl.create_default_context().wrap_socket(plain, server_hostname=host)
            except OSError as error:
                plain.close()
                raise ImageError(f"{url[:200]} cannot be reached safely ({error})") from error
        else:
            connection.sock = plain
        return connection

    def _ask(self, connection: http.client.HTTPConnection, url: str) -> http.client.HTTPResponse:
        parts, _, _ = _parts(url)
        path = (parts.path or "/") + (f"?{parts.query}" if parts.query else "")
        connection.putrequest("GET", path, skip_host=True, skip_accept_encoding=True)
        connection.putheader("Host", parts.netloc)
        connection.putheader("User-Agent", "fo1")
        connection.putheader("Accept", "image/*")
        connection.endheaders()
        return connection.getresponse()

    def _body(
        self, connection: http.client.HTTPConnection, answer: http.client.HTTPResponse, url: str, until: float
    ) -> bytes:
        data = bytearray()
        while True:
            if connection.sock is not None:  # gone once the answer says that it is the last
                connection.sock.settimeout(_left(until, url))
            _left(until, url)
            chunk = answer.read1(CHUNK)
            if not chunk:
                return bytes(data)
            data += chunk
            if len(data) > self.limit:
                raise ImageError(f"{url[:200]} is larger than {self.limit:,} bytes")


def _parts(url: str) -> tuple[SplitResult, str, int]:
    try:
        parts = urlsplit(url)
        host, port = parts.hostname, parts.port
        url.encode("ascii")
    except ValueError as error:
        raise ImageError(f"{url[:200]!r} is no address: {error}") from error
    if parts.scheme not in ("http", "https") or not host or parts.username is not None:
        raise ImageError(f"{url[:200]!r} must be http:// or https://, a host and a path")
    if any(sign.isspace() or not sign.isprintable() for sign in url):
        raise ImageError(f"{url[:200]!r} holds white space")
    return parts, host, port or (443 if parts.scheme == "https" else 80)


def _resolved(host: str, port: int, url: str) -> list[str]:
    try:
        found = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)
    except (OSError, UnicodeError) as error:
        raise ImageError(f"{url[:200]}: the host is not known ({error})") from error
    return [str(where[0]) for *_, where in found]


def _left(until: float, url: str) -> float:
    left = until - time.monotonic()
    if left <= 0:
        raise ImageError(f"{url[:200]} takes too long")
    return left
