"""HDF5: a file on a server 50 ms away, its first plane and all 96 (D1), beside h5py over fsspec and remfile
(D2), and a file of this machine, beside h5py (D3).
"""

from __future__ import annotations

import importlib.util
import threading
from concurrent.futures import ThreadPoolExecutor
from typing import TYPE_CHECKING, Any, NamedTuple

import h5py
import numpy as np

from tests.range_server import RangeServer

from .measure import Figure, at_least, at_most, medians, timed
from .raw_client import Wanted, by_aiohttp, by_threads

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

    from ndviewer_light.sources.hdf5.source import HDF5Source

_PLANES, _SHAPE = 96, (512, 1024)  # of 1 MiB
_PLANE_BYTES = 1024**2
_RTT_S = 0.05
_THREADS = 64
_GZIP = {"compression": "gzip", "shuffle": True}
_KINDS: dict[str, dict[str, Any]] = {
    "gzip": {"chunks": (1, *_SHAPE), **_GZIP},
    "gzip, 32 tiles a plane": {"chunks": (1, 128, 128), **_GZIP},
    "gzip, newest layout": {"chunks": (1, *_SHAPE), "libver": "latest", **_GZIP},
    "raw": {"chunks": (1, *_SHAPE)},
    "one piece": {},
}
_MANY = 20_000


class _File(NamedTuple):
    """A file of 96 planes: its name, how many bytes its pixels take, where they begin if in one piece."""

    name: str
    stored_bytes: int
    start: int


# ---- rows --------------------------------------------------------------------------------------


def d1(folder: Path) -> Iterator[Figure]:
    """The first plane; the whole volume, against as many pixels at once by a client that decodes nothing."""
    with RangeServer(folder) as server:
        pixels = _written(folder, "one piece")
        for kind in ("gzip", "gzip, newest layout", "raw", "one piece"):
            yield from _figures(server, _written(folder, kind), pixels, kind)
        yield from _many_chunks(folder, server)


def _figures(server: RangeServer, file: _File, pixels: _File, kind: str) -> Iterator[Figure]:
    server.set(latency_s=_RTT_S)
    ms = timed(lambda: _first_plane(server, file.name))
    requests = float(_requests(server))
    yield at_most("D1", f"{kind}: requests until the first plane", requests, "", 6, peers={"ms": ms})
    assert (_opened_and_read(server, file) == _volume()).all()
    wanted = [Wanted(pixels.name, pixels.start + n * _PLANE_BYTES, _PLANE_BYTES) for n in range(_PLANES)]
    assert b"".join(by_aiohttp(server, wanted)) == _volume().tobytes()
    with _opened(server, file.name) as source:
        calls: dict[str, Callable[[], object]] = {
            "ours": lambda: _all_planes(source),
            "opened": lambda: _opened_and_read(server, file),
            "ideal": lambda: by_aiohttp(server, wanted),
            "threads": lambda: by_threads(server, wanted),
        }
        ms_of = medians(calls, rounds=5, warm_up=1)
    ours = ms_of.pop("opened")
    what = f"{kind}: opened and 96 planes of 1 MiB ÷ ideal"
    yield at_most("D1", what, ours, "ms", 2.5, ours / ms_of["ideal"], peers=ms_of)
    server.set(latency_s=_RTT_S)
    _opened_and_read(server, file)
    sent = server.counts()["bytes"]
    needed = file.stored_bytes
    yield at_most("D1", f"{kind}: bytes transferred ÷ needed", sent / 1e6, "MB", 1.1, sent / needed)


def _many_chunks(folder: Path, server: RangeServer) -> Iterator[Figure]:
    with h5py.File(folder / "many.h5", "w") as file:
        data = file.create_dataset("a", (0, 64, 64), "u2", chunks=(1, 64, 64), maxshape=(None, 64, 64))
        for i in range(_MANY):
            data.resize(i + 1, axis=0)
            data[i] = i
    server.set(latency_s=_RTT_S)
    ms = timed(lambda: _first_plane(server, "many.h5", t=10_000))
    requests = float(_requests(server))
    what = f"{_MANY} chunks: requests until the first plane"
    yield at_most("D1", what, requests, "", 6, peers={"ms": ms})
    with _opened(server, "many.h5") as source:
        server.set(latency_s=_RTT_S)
        ms = timed(lambda: source._shot._index.scan(threading.Event()))
        peers = {"requests": float(_requests(server))}
        yield at_most("D1", f"{_MANY} chunks: where all of them are", ms / 1e3, "s", 2, peers=peers)


def d2(folder: Path) -> Iterator[Figure]:
    """Opened, and all planes read, against h5py over file objects of others at the same URL."""
    missing = [name for name in ("aiohttp", "fsspec", "remfile") if importlib.util.find_spec(name) is None]
    if missing:
        raise RuntimeError(f"to compare with: pip install 'fsspec[http]' remfile ({missing[0]} is missing)")
    file = _written(folder, "gzip")
    with RangeServer(folder) as server:
        server.set(latency_s=_RTT_S)
        url = server.url(file.name)
        calls: dict[str, Callable[[], object]] = {
            "ours": lambda: _opened_and_read(server, file),
            "fsspec": lambda: _by_fsspec(url, slice(None)),
            "remfile": lambda: _by_remfile(url, slice(None)),
        }
        volume = medians(calls, rounds=3, warm_up=0)
        calls = {
            "ours": lambda: _first_plane(server, file.name),
            "fsspec": lambda: _by_fsspec(url, 0),
            "remfile": lambda: _by_remfile(url, 0),
        }
        first = medians(calls, rounds=5, warm_up=1)
    for peer, least in (("fsspec", 1), ("remfile", 2)):
        gain, what = volume[peer] / volume["ours"], f"h5py over {peer} ÷ opened and all 96 planes, gzip"
        yield at_least("D2", what, volume["ours"], "ms", least, gain, peers={peer: volume[peer]})
    best = min(first["fsspec"], first["remfile"])
    what = "opened and the first plane ÷ the better of the two"
    yield at_most("D2", what, first["ours"], "ms", 1.5, first["ours"] / best, peers=first)


def d3(folder: Path) -> Iterator[Figure]:
    """Planes of a file of this machine by four threads, against h5py, which reads one at a time."""
    for kind in ("gzip", "gzip, 32 tiles a plane", "raw", "one piece"):
        path = folder / _written(folder, kind).name
        with _Closing(str(path)) as source, h5py.File(path, rdcc_nbytes=0) as by_h5py:
            calls: dict[str, Callable[[], object]] = {
                "ours": lambda source=source: _threads(lambda z: source.read_plane((0, 0, 0, z)), 4),
                "h5py": lambda by_h5py=by_h5py: _threads(lambda z: by_h5py["a"][z], 4),
            }
            ms = medians(calls, rounds=7)
        gain = ms["ours"] / ms["h5py"]
        yield at_most("D3", f"{kind}: 96 local planes ÷ h5py", ms["ours"], "ms", 1.2, gain, peers=ms)


# ---- the files -----------------------------------------------------------------------------------


def _volume() -> np.ndarray:
    """Planes that compress to less than half, as pictures of a camera do."""
    return np.random.default_rng(0).poisson(400, (_PLANES, *_SHAPE)).astype(np.uint16)


def _written(folder: Path, kind: str) -> _File:
    path = folder / f"{kind}.h5"
    how = dict(_KINDS[kind])
    if not path.exists():
        with h5py.File(path, "w", libver=how.pop("libver", None)) as file:
            file.create_dataset("a", data=_volume(), **how)
    with h5py.File(path) as file:
        data = file["a"]
        return _File(path.name, data.id.get_storage_size(), data.id.get_offset() or 0)


# ---- who reads them ------------------------------------------------------------------------------


def _opened(server: RangeServer, name: str) -> _Closing:
    return _Closing(server.url(name))


class _Closing:
    """A source between ``with`` and its end."""

    def __init__(self, path: str) -> None:
        self._path = path

    def __enter__(self) -> HDF5Source:
        from ndviewer_light.sources.hdf5.source import HDF5Source

        self._source = HDF5Source.open(self._path)
        return self._source

    def __exit__(self, *_: object) -> None:
        self._source.close()


def _requests(server: RangeServer) -> int:
    counts = server.counts()
    return counts["requests"] + counts["heads"]


def _threads(read: Callable[[int], np.ndarray], count: int) -> np.ndarray:
    volume = np.empty((_PLANES, *_SHAPE), np.uint16)

    def one(z: int) -> None:
        volume[z] = read(z)

    with ThreadPoolExecutor(count) as pool:
        list(pool.map(one, range(_PLANES)))
    return volume


def _first_plane(server: RangeServer, name: str, t: int = 0) -> np.ndarray:
    with _opened(server, name) as source:
        source._shot._stop.set()  # the index, which is built behind the first plane, is not counted
        return source.read_plane((t, 0, 0, 0))


def _all_planes(source: HDF5Source) -> np.ndarray:
    return _threads(lambda z: source.read_plane((0, 0, 0, z)), _THREADS)


def _opened_and_read(server: RangeServer, file: _File) -> np.ndarray:
    with _opened(server, file.name) as source:
        return _all_planes(source)


def _by_fsspec(url: str, which: Any) -> np.ndarray:
    import fsspec

    with fsspec.filesystem("http", skip_instance_cache=True).open(url) as stream, h5py.File(stream) as file:
        return file["a"][which]


def _by_remfile(url: str, which: Any) -> np.ndarray:
    import remfile

    with h5py.File(remfile.File(url)) as file:
        return file["a"][which]
