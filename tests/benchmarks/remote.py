"""Files on a server 50 ms away: all of one (R1, R2), one plane among many that are no longer needed (R3),
and a server that often fails (R4). The server is on this machine, in a process of its own.
"""

from __future__ import annotations

import asyncio
import os
import threading
import time
from typing import TYPE_CHECKING, Any

from tests.range_server import RangeServer

from .measure import Figure, at_least, at_most, medians
from .raw_client import Wanted, by_aiohttp, by_threads

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence
    from pathlib import Path

    from ndviewer_light.storage.bytes import Bytes

_PLANES, _PLANE = 96, 1024**2
_RTT_S = 0.05
_CONNECTION_BYTES_PER_S = 10e6
_RANGES = [(number * _PLANE, _PLANE) for number in range(_PLANES)]
_WANTED = [Wanted("a.bin", *each) for each in _RANGES]
_NUMBERED = list(enumerate(_RANGES))
_FAULTS = ("drop", "503", "truncate", "short", "no_range", "wrong_range")


def r1(folder: Path) -> Iterator[Figure]:
    """The whole volume, against all its ranges at once by a raw client."""
    with _served(folder) as server:
        server.set(latency_s=_RTT_S)
        with _Loop() as loop:
            file = _open(server)
            calls: dict[str, Callable[[], object]] = {
                "ours": lambda: file.read_many(_RANGES),
                "ideal": lambda: by_aiohttp(server, _WANTED),
                "threads": lambda: by_threads(server, _WANTED),
                "obstore": lambda: loop.run(_by_obstore(server, _RANGES)),
                "get_ranges": lambda: loop.run(_get_ranges(server)),
            }
            ms = medians(calls, rounds=7)
            server.set(latency_s=_RTT_S)
            file.read_many(_RANGES)
            sent = server.counts()["bytes"]
            file.close()
    ours, ideal = ms.pop("ours"), ms["ideal"]
    yield at_most("R1", "96 planes of 1 MiB ÷ ideal", ours, "ms", 1.3, ours / ideal, peers=ms)
    needed = _PLANES * _PLANE
    yield at_most("R1", "bytes transferred ÷ needed", sent / 1e6, "MB", 1.1, sent / needed)


def r2(folder: Path) -> Iterator[Figure]:
    """The same where a connection brings 10 MB/s, against few large blocks (256 KiB gaps, 20 MB)."""
    with _served(folder) as server:
        server.set(latency_s=_RTT_S, bytes_per_s=_CONNECTION_BYTES_PER_S)
        with _Loop() as loop:
            file = _open(server)
            large = [(at, min(20_000_000, _PLANES * _PLANE - at)) for at in range(0, 96 * _PLANE, 20_000_000)]
            calls: dict[str, Callable[[], object]] = {
                "ours": lambda: file.read_many(_RANGES),
                "one plane": lambda: file.read(7 * _PLANE, 8 * _PLANE),
                "ideal": lambda: by_threads(server, _WANTED),
                "large": lambda: loop.run(_by_obstore(server, large)),
            }
            ms = medians(calls, rounds=3, warm_up=1)
            file.close()
    gain = ms["large"] / ms["ours"]
    peers = {"blocks of 20 MB": ms["large"], "ideal": ms["ideal"]}
    yield at_least("R2", "blocks of 20 MB ÷ 96 planes, 10 MB/s", ms["ours"], "ms", 2, gain, peers=peers)
    alone = (_RTT_S + 8 * _PLANE / _CONNECTION_BYTES_PER_S) * 1e3
    yield at_least(
        "R2",
        "one request ÷ one plane of 8 MiB, 10 MB/s",
        ms["one plane"],
        "ms",
        2,
        alone / ms["one plane"],
        peers={"one request": alone},
    )


def r3(folder: Path) -> Iterator[Figure]:
    """A plane, with 60 others asked for just before by somebody who has moved on."""
    with _served(folder) as server:
        server.set(latency_s=_RTT_S)
        file = _open(server)
        for dropped in (True, False):
            waits = sorted(_scrubbed(file, dropped) for _ in range(7))
            what = "given up" if dropped else "not given up"
            yield at_most(
                "R3",
                f"wanted plane, 60 stale ones {what}, in RTT",
                waits[3] * 1e3,
                "ms",
                3,
                waits[3] / _RTT_S,
            )
        file.close()


def _scrubbed(file: Bytes, dropped: bool) -> float:
    from ndviewer_light.errors import DatasetError
    from ndviewer_light.storage.cancellation import CancelScope
    from ndviewer_light.storage.remote.scheduler import the_scheduler

    scopes = [CancelScope() for _ in range(60)]

    def read(number: int) -> None:
        try:
            with scopes[number]:
                file.read(number * _PLANE, _PLANE)
        except DatasetError:  # given up
            return

    threads = [threading.Thread(target=read, args=(number,)) for number in range(60)]
    for thread in threads:
        thread.start()
    while the_scheduler().load[1] < 20 and any(thread.is_alive() for thread in threads):
        time.sleep(0.001)
    start = time.perf_counter()
    if dropped:
        for scope in scopes:
            scope.drop()
    file.read(80 * _PLANE, _PLANE)
    took = time.perf_counter() - start
    for thread in threads:
        thread.join()
    return took


def r4(folder: Path) -> Iterator[Figure]:
    """One answer in ten goes wrong, in each way: how many planes are not what they were."""
    from ndviewer_light.errors import DatasetError

    with _served(folder) as server:
        content = (server.folder / "a.bin").read_bytes()
        for fault in _FAULTS:
            wrong = failed = 0
            start = time.perf_counter()
            for seed in range(3):
                server.set(latency_s=_RTT_S)
                file = _open(server)
                server.set(latency_s=_RTT_S, faults={fault: 0.1}, seed=seed)
                try:
                    planes = file.read_many(_RANGES)
                    wrong += sum(planes[number] != content[at : at + n] for number, (at, n) in _NUMBERED)
                except DatasetError:
                    failed += 1
                file.close()
            peers = {"ms each": (time.perf_counter() - start) * 1e3 / 3, "clear errors": float(failed)}
            yield at_most("R4", f"wrong planes, 10 % {fault}", float(wrong), "", 0, peers=peers)


# ---- the server, and others that read from it -------------------------------------------------


def _served(folder: Path) -> RangeServer:
    (folder / "a.bin").write_bytes(os.urandom(_PLANES * _PLANE))
    return RangeServer(folder)


def _open(server: RangeServer) -> Bytes:
    from ndviewer_light.storage.open_bytes import open_bytes

    return open_bytes(server.url("a.bin"))


class _Loop:
    """A loop in a thread, since `asyncio.run` takes long to hand out many bytes on older Pythons."""

    def __enter__(self) -> _Loop:
        self._loop = asyncio.new_event_loop()
        self._thread = threading.Thread(target=self._loop.run_forever, daemon=True)
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._loop.call_soon_threadsafe(self._loop.stop)
        self._thread.join()

    def run(self, work: Any) -> Any:
        """What a coroutine returns."""
        return asyncio.run_coroutine_threadsafe(work, self._loop).result()


_stores: dict[str, Any] = {}


def _store(server: RangeServer) -> Any:
    from obstore.store import HTTPStore

    if server.url() not in _stores:
        _stores[server.url()] = HTTPStore.from_url(server.url(), client_options={"allow_http": True})
    return _stores[server.url()]


async def _by_obstore(server: RangeServer, ranges: Sequence[tuple[int, int]]) -> list[bytes]:
    from obstore import get_range_async

    reads = [get_range_async(_store(server), "a.bin", start=at, length=n) for at, n in ranges]
    return [bytes(buffer) for buffer in await asyncio.gather(*reads)]


async def _get_ranges(server: RangeServer) -> Any:
    from obstore import get_ranges_async

    starts, lengths = [at for at, _ in _RANGES], [n for _, n in _RANGES]
    return await get_ranges_async(_store(server), "a.bin", starts=starts, lengths=lengths)
