"""An ND2 file on a server 50 ms away: its first plane and all 96 (N1), and beside the nd2 library (N2)."""

from __future__ import annotations

import importlib.util
import zlib
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from tests.nd2_writer import time_loop, write_nd2
from tests.range_server import RangeServer

from .measure import Figure, at_least, at_most, medians, timed
from .raw_client import Wanted, by_aiohttp, by_threads

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from ndviewer_light.engine.dataset import Dataset

_PLANES, _SHAPE = 96, (512, 1024)  # of 1 MiB
_RTT_S = 0.05
_THREADS = 64


def n1(folder: Path) -> Iterator[Figure]:
    """The first plane; a whole volume by dask, against all its ranges at once by a raw client."""
    for kind in ("raw", "deflated"):
        file = _written(folder, kind)
        with RangeServer(folder) as server:
            server.set(latency_s=_RTT_S)
            ms = timed(_First(server, file))
            counts = server.counts()
            requests = float(counts["requests"] + counts["heads"])
            yield at_most("N1", f"{kind}: requests until the first plane", requests, "", 5, peers={"ms": ms})
            with _opened(server, file) as dataset:
                yield from _volume_figures(server, file, dataset)


def _volume_figures(server: RangeServer, file: _File, dataset: Dataset) -> Iterator[Figure]:
    assert (_everything(dataset) == _volume()).all()
    wanted = [Wanted(file.name, *place) for place in file.places]
    calls = {
        "ours": lambda: _everything(dataset),
        "opened": lambda: _opened_and_read(server, file),
        "threads": lambda: by_threads(server, wanted, zlib.decompress if file.kind == "deflated" else len),
        "ideal": lambda: by_aiohttp(server, wanted),
    }
    ms = medians(calls, rounds=5, warm_up=1)
    opened = ms.pop("opened")
    what = f"{file.kind}: opened and 96 planes of 1 MiB ÷ ideal"
    ideal = ms["ideal" if file.kind == "raw" else "threads"]  # which inflates as well
    yield at_most("N1", what, opened, "ms", 2, opened / ideal, peers=ms)
    server.set(latency_s=_RTT_S)
    _opened_and_read(server, file)
    sent, needed = server.counts()["bytes"], sum(length for _, length in file.places)
    yield at_most("N1", f"{file.kind}: bytes transferred ÷ needed", sent / 1e6, "MB", 1.1, sent / needed)


def n2(folder: Path) -> Iterator[Figure]:
    """Opened, and all planes read, against the nd2 library at the same URL."""
    if importlib.util.find_spec("aiohttp") is None:
        raise RuntimeError("the nd2 library reads from servers with: pip install 'fsspec[http]'")
    for kind in ("raw", "deflated"):
        file = _written(folder, kind)
        with RangeServer(folder) as server:
            server.set(latency_s=_RTT_S)
            calls = {
                "ours": lambda server=server, file=file: _opened_and_read(server, file),
                "nd2": lambda server=server, file=file: _by_library(server, file),
            }
            ms = medians(calls, rounds=2, warm_up=0)
        what, gain = f"{kind}: nd2 ÷ opened and all 96 planes", ms["nd2"] / ms["ours"]
        peers = {"nd2.ND2File(url)": ms["nd2"]}
        yield at_least("N2", what, ms["ours"], "ms", 5, gain, peers=peers)


# ---- the file -----------------------------------------------------------------------------------


@dataclass(frozen=True)
class _File:
    """A file of 96 planes: "raw" or "deflated", its name, and where its frames lie: (offset, length)."""

    kind: str
    name: str
    places: tuple[tuple[int, int], ...]


def _volume() -> np.ndarray:
    """Planes that deflate by a quarter, as pictures of a camera do."""
    return np.random.default_rng(0).integers(0, 4096, (_PLANES, *_SHAPE), np.uint16)


def _written(folder: Path, kind: str) -> _File:
    path, volume, places = folder / f"{kind}.nd2", _volume(), []
    write_nd2(path, lambda i: volume[i], [time_loop(_PLANES)], compressed=kind == "deflated")
    data = path.read_bytes()
    for i in range(_PLANES):
        at = data.index(b"ImageDataSeq|%d!" % i) - 16
        places.append((at + 4096, int.from_bytes(data[at + 8 : at + 16], "little") - 8))
    return _File(kind, path.name, tuple(places))


# ---- who reads it -------------------------------------------------------------------------------


def _opened(server: RangeServer, file: _File) -> Dataset:
    from ndviewer_light import open_dataset

    return open_dataset(server.url(file.name), cache_bytes=0, storage_options={"disk_cache": "no"})


@dataclass(frozen=True)
class _First:
    server: RangeServer
    file: _File

    def __call__(self) -> np.ndarray:
        with _opened(self.server, self.file) as dataset:
            return dataset.plane()


def _everything(dataset: Dataset) -> np.ndarray:
    import dask

    with dask.config.set(scheduler="threads", num_workers=_THREADS):
        volume: np.ndarray = dataset.to_xarray().squeeze().to_numpy()
    return volume


def _opened_and_read(server: RangeServer, file: _File) -> np.ndarray:
    with _opened(server, file) as dataset:
        return _everything(dataset)


def _by_library(server: RangeServer, file: _File) -> Any:
    import nd2

    with nd2.ND2File(server.url(file.name)) as opened:
        return opened.asarray()
