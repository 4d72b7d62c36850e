"""Four systems that people use today for data on servers, each beside ours, as a script or a window has it.

S1 frames of an ND2 file, in parallel by 64 workers; S2 NWB files opened by h5py over remfile; S3 existing PNG
files as one array, by fsspec's reference file system; S4 LINDI. The server is on this machine, 50 or 150 ms
away.
"""

from __future__ import annotations

import importlib.util
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from typing import TYPE_CHECKING, Any

import numpy as np

from tests.nd2_writer import time_loop, write_nd2
from tests.range_server import RangeServer

from .measure import Figure, at_most, medians
from .raw_client import Wanted, read_range

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence
    from pathlib import Path

    from ndviewer_light.engine.dataset import Dataset

_FRAMES, _SHAPE = 40, (512, 1024)  # of 1 MiB
_RTTS_S = (0.05, 0.15)
_WORKERS = 64
_ROUNDS = 9


def _need(*libraries: str) -> None:
    missing = [name for name in libraries if importlib.util.find_spec(name) is None]
    if missing:
        raise RuntimeError(f"to compare with: pip install {' '.join(libraries)} ({missing[0]} is missing)")


def _requests(server: RangeServer, latency_s: float, call: Callable[[], object]) -> int:
    server.set(latency_s=latency_s)
    call()
    counts = server.counts()
    return counts["requests"] + counts["heads"]


# ---- S1: ND2 --------------------------------------------------------------------------------------


def s1(folder: Path) -> Iterator[Figure]:
    """40 raw frames, by `planes` and by `to_xarray`, against 64 workers that do nothing but ranged reads."""
    volume = np.random.default_rng(0).integers(0, 4096, (_FRAMES, *_SHAPE), np.uint16)
    path = folder / "raw.nd2"
    write_nd2(path, lambda i: volume[i], [time_loop(_FRAMES)])
    wanted = [Wanted(path.name, *place) for place in _frame_places(path.read_bytes())]
    with RangeServer(folder) as server, _opened(server.url(path.name)) as dataset:
        assert (np.stack(_by_planes(dataset)) == volume).all()
        assert (dataset.to_xarray().to_numpy().squeeze() == volume).all()
        for rtt in _RTTS_S:
            server.set(latency_s=rtt)
            calls: dict[str, Callable[[], object]] = {
                "planes": partial(_by_planes, dataset),
                "to_xarray": lambda: dataset.to_xarray().to_numpy(),
                "64 workers": partial(_by_workers, server, wanted),
            }
            ms = medians(calls, rounds=_ROUNDS, warm_up=2)
            peer = ms.pop("64 workers")
            for way, ours in ms.items():
                what = f"40 ND2 frames at {rtt * 1e3:.0f} ms, {way} ÷ 64 workers"
                yield at_most("S1", what, ours, "ms", 1, ours / peer, peers={"64 workers": peer})
                sent = _requests(server, rtt, calls[way])
                yield at_most("S1", f"requests of {way} ÷ those of 64 workers", sent, "", 1, sent / _FRAMES)


def _frame_places(data: bytes) -> list[tuple[int, int]]:
    starts = [data.index(b"ImageDataSeq|%d!" % i) - 16 for i in range(_FRAMES)]
    return [(at + 4096, int.from_bytes(data[at + 8 : at + 16], "little") - 8) for at in starts]


def _opened(url: str) -> Dataset:
    from ndviewer_light import open_dataset

    return open_dataset(url, cache_bytes=0, storage_options={"disk_cache": "no"})


def _by_planes(dataset: Dataset) -> list[np.ndarray]:
    from ndviewer_light import PlaneKey

    keys = [PlaneKey(t=t) for t in range(_FRAMES)]
    return [plane.pixels for plane in dataset.planes(keys, wait=None) if plane.pixels is not None]


def _by_workers(server: RangeServer, wanted: Sequence[Wanted]) -> np.ndarray:
    """As ``read_frames`` does: each worker reads a range and makes an array of it."""

    def read(each: Wanted) -> Any:
        return np.frombuffer(read_range(server, each), np.uint16).reshape(_SHAPE)

    with ThreadPoolExecutor(_WORKERS) as pool:
        return np.stack(list(pool.map(read, wanted)))
