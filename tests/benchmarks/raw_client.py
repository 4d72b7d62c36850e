"""What reading from a server is held to: all ranges at once, by clients that do nothing else."""

from __future__ import annotations

import asyncio
import http.client
import importlib.util
from concurrent.futures import ThreadPoolExecutor
from typing import TYPE_CHECKING, Any, NamedTuple
from urllib.parse import quote

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from tests.range_server import RangeServer


class Wanted(NamedTuple):
    """Some bytes of a file on the server."""

    name: str
    offset: int
    length: int

    @property
    def headers(self) -> dict[str, str]:
        """What asks for them."""
        return {"Range": f"bytes={self.offset}-{self.offset + self.length - 1}"}


def by_aiohttp(server: RangeServer, wanted: Sequence[Wanted]) -> list[bytes]:
    """One loop, one connection for each: what the targets were set against."""
    if importlib.util.find_spec("aiohttp") is None:
        raise RuntimeError("to compare with: pip install 'fsspec[http]' (aiohttp is missing)")
    return asyncio.run(_by_aiohttp(server, wanted))


async def _by_aiohttp(server: RangeServer, wanted: Sequence[Wanted]) -> list[bytes]:
    import aiohttp

    async def read(each: Wanted) -> bytes:
        async with session.get(server.url(each.name), headers=each.headers) as answer:
            return await answer.read()

    async with aiohttp.ClientSession(connector=aiohttp.TCPConnector(limit=0)) as session:
        return await asyncio.gather(*map(read, wanted))


def by_threads(
    server: RangeServer, wanted: Sequence[Wanted], then: Callable[[bytearray], Any] = len
) -> list[Any]:
    """A thread and a connection for each, which does `then` with what came: the least there can be."""
    with ThreadPoolExecutor(len(wanted)) as pool:
        return list(pool.map(lambda each: then(read_range(server, each)), wanted))


def read_range(server: RangeServer, wanted: Wanted) -> bytearray:
    """The bytes, over a connection of its own."""
    connection = http.client.HTTPConnection("127.0.0.1", server.port)
    connection.request("GET", "/" + quote(wanted.name), headers=wanted.headers)
    body, at = bytearray(wanted.length), 0
    view = memoryview(body)
    with connection.getresponse() as answer:
        while at < wanted.length and (n := answer.readinto(view[at:])):
            at += n
    connection.close()
    assert at == wanted.length
    return body
