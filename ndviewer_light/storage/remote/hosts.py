"""Whether a URL's host, as interpreted by the client, belongs to the local network.

A document on a public server, or a redirect from one, must not make this program
contact hosts that only it can reach (a router, a cloud metadata service, a local web server).
Addresses typed by the user may be anywhere.

Covered: every spelling of an address that URLs allow, addresses embedded in IPv6, and names that resolve to
an internal address when checked. Not covered: obstore resolves a name again when it connects, so a name
whose address changes in between (DNS rebinding) is not seen; behind a proxy only that knows the addresses.
"""

from __future__ import annotations

import ipaddress
import re
import socket
import time
from typing import TYPE_CHECKING
from urllib.parse import unquote, urlsplit

from ...errors import MetadataError

if TYPE_CHECKING:
    from collections.abc import Callable

    Address = ipaddress.IPv4Address | ipaddress.IPv6Address

_AUTHORITY = re.compile(r"[^/]*/*[^/?#]*")  # of a URL, the part up to its path
_FORBIDDEN = re.compile(r"[\x00-\x20\x7f\\]")  # characters that clients treat as a slash, or drop
_CONTROL = re.compile(r"[\x00-\x1f\x7f]")
_HOST = re.compile(r"[a-z0-9._~!$&'()*+,;=-]+")
_INSIDE_NAMES = (".localhost", ".local", ".internal", ".intranet", ".lan", ".home.arpa", ".corp", ".home")
_NAT64 = ipaddress.ip_network("64:ff9b::/96")
_COMPATIBLE = ipaddress.ip_network("::/96")
_RESOLVED_SECONDS = 60.0


def host_as_clients_read_it(url: str) -> str:
    """The host of an http(s) URL: lower case, no escapes, addresses in their usual form, IPv6 in brackets.

    ``http://0x7f.1``, ``http://%31%32%37.0.0.1`` and ``http://127.1.`` name "127.0.0.1" (WHATWG URL Standard,
    host parsing). Raises `MetadataError` for a URL that clients may interpret differently.
    """
    authority = _AUTHORITY.match(url)  # file names may have blanks
    assert authority is not None, "it matches anything"
    if _FORBIDDEN.search(authority.group()) or _CONTROL.search(url):
        raise MetadataError("an address must not contain blanks, backslashes or control characters")
    try:
        parts = urlsplit(url)
        host = parts.hostname or ""
    except ValueError:
        raise MetadataError("the address has an invalid host") from None
    if ":" in host or "[" in parts.netloc:  # brackets are for IPv6; Python 3.10 takes anything in them
        try:
            return f"[{ipaddress.IPv6Address(host.replace('%', '/'))}]"  # a zone (%eth0) is none of ours
        except ValueError:
            raise MetadataError("the address has an invalid host") from None
    try:
        host = unquote(host, errors="strict").encode("idna").decode("ascii").lower().removesuffix(".")
    except UnicodeError:
        raise MetadataError("the address has an invalid host") from None
    if not _HOST.fullmatch(host):
        raise MetadataError("the address has an invalid host")
    return _dotted(host) if _ends_in_number(host) else host


def _ends_in_number(host: str) -> bool:
    last = host.rpartition(".")[2]
    return last.isdigit() or re.fullmatch(r"0x[0-9a-f]*", last) is not None


def _dotted(host: str) -> str:
    """An IPv4 address from one to four numbers, decimal, octal or hexadecimal."""
    parts = host.split(".")
    try:
        numbers = [_number(part) for part in parts]
    except ValueError:
        raise MetadataError("the address has an invalid host") from None
    if len(parts) > 4 or any(n > 255 for n in numbers[:-1]) or numbers[-1] >= 256 ** (5 - len(numbers)):
        raise MetadataError("the address has an invalid host")
    value = numbers[-1] + sum(n * 256 ** (3 - i) for i, n in enumerate(numbers[:-1]))
    return str(ipaddress.IPv4Address(value))


def _number(part: str) -> int:
    if part.startswith("0x"):
        return int(part[2:] or "0", 16)
    return int(part, 8) if len(part) > 1 and part.startswith("0") else int(part)


def _embedded(address: Address) -> list[Address]:
    """The IPv4 addresses to which an IPv6 address leads."""
    if isinstance(address, ipaddress.IPv4Address):
        return []
    embedded = [address.ipv4_mapped, address.sixtofour, *(address.teredo or ())]
    if address in _NAT64 or address in _COMPATIBLE:
        embedded.append(ipaddress.IPv4Address(int(address) & 0xFFFFFFFF))
    return [inner for inner in embedded if inner is not None]


def _kinds(address: Address) -> set[str]:
    kinds = set().union(*map(_kinds, _embedded(address)))
    if address.is_loopback or address.is_unspecified:  # systems connect to themselves at 0.0.0.0
        kinds.add("loopback")
    return kinds | ({"link-local"} if address.is_link_local else set())


def is_inside_address(address: Address) -> bool:
    """Whether an address is not on the public internet, or embeds one that is not."""
    if any(map(is_inside_address, _embedded(address))):
        return True
    if isinstance(address, ipaddress.IPv6Address) and address.ipv4_mapped is not None:
        return False
    return not address.is_global or address.is_multicast or address.is_reserved


def is_inside_name(host: str) -> bool:
    """Whether a host, as returned by `host_as_clients_read_it`, is internal judging by its name. No I/O."""
    if host in ("", "localhost") or host.endswith(_INSIDE_NAMES):
        return True
    literal = _literal(host)
    return is_inside_address(literal) if literal is not None else "." not in host


def _literal(host: str) -> Address | None:
    try:
        return ipaddress.ip_address(host.strip("[]"))
    except ValueError:
        return None


class HostJudge:
    """Decides which hosts are internal; resolved names are cached for a minute. Any thread."""

    def __init__(self, resolve: Callable[[str], list[Address]] | None = None) -> None:
        self._resolve = resolve or addresses_of
        self._known: dict[str, tuple[float, list[Address]]] = {}

    def is_inside(self, host: str) -> bool:
        """Whether a host is internal by its name or one of its addresses, which it resolves.

        An unresolvable name is not: it cannot be reached either.
        """
        if is_inside_name(host):
            return True
        return _literal(host) is None and any(map(is_inside_address, self._addresses(host)))

    def is_here(self, host: str) -> bool:
        """Whether a host is this machine, by its name or address."""
        return "loopback" in self._near_here(host)

    def may_follow(self, from_url: str, to_url: str) -> bool:
        """Whether a URL or redirect target may be contacted: public hosts must not lead to internal ones.

        Nor may internal ones lead to this computer, or to addresses that mean something else on every network
        (link-local, where clouds have their metadata), unless they are such themselves.
        """
        start, end = host_as_clients_read_it(from_url), host_as_clients_read_it(to_url)
        if start == end or not self.is_inside(end):
            return True
        return self.is_inside(start) and self._near_here(end) <= self._near_here(start)

    def _near_here(self, host: str) -> set[str]:
        """Which kinds of addresses a host has that are not the same for everyone on a network."""
        if host == "localhost" or host.endswith(".localhost"):
            return {"loopback"}
        literal = _literal(host)
        return set().union(*map(_kinds, self._addresses(host) if literal is None else [literal]))

    def _addresses(self, host: str) -> list[Address]:
        at, addresses = self._known.get(host, (0.0, []))
        if not at or time.monotonic() - at > _RESOLVED_SECONDS:
            addresses = self._resolve(host)
            self._known[host] = time.monotonic(), addresses
        return addresses


def addresses_of(host: str) -> list[Address]:
    """The addresses a name resolves to; [] if none. Uses the network."""
    try:
        found = socket.getaddrinfo(host, None, type=socket.SOCK_STREAM)
    except (OSError, UnicodeError):
        return []
    texts = {str(each[4][0]).partition("%")[0] for each in found}
    return [ipaddress.ip_address(text) for text in sorted(texts)]


the_judge = HostJudge()
"""The instance of this process."""
