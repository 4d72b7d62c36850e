"""OME-Zarr on a server 50 ms away: all of a volume (Z1), the same over slow connections (Z2), the first plane
(Z3), a plate (Z4), one plane after many that were passed (Z5). The server is on this machine, in a process of
its own; zarr-python reads the same.
"""

from __future__ import annotations

import statistics
import time
from concurrent.futures import ThreadPoolExecutor
from typing import TYPE_CHECKING, Any

import numpy as np

from ndviewer_light.model import PlaneKey
from tests.range_server import RangeServer

from . import stores
from .measure import Figure, at_least, at_most, medians
from .raw_client import Wanted, by_aiohttp, by_threads

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

    from ndviewer_light.engine.dataset import Dataset

_PLANES, _SHAPE = 96, (512, 1024)
_MIB = 1024**2
_RTT_S = 0.05
_CONNECTION_BYTES_PER_S = 10e6
_THREADS = 32
_OPTIONS = {"anonymous": "yes", "disk_cache": "no"}
_WELLS, _FIELDS = 96, 4


def z1(folder: Path) -> Iterator[Figure]:
    """The whole volume by 32 threads, against all its chunks at once by a raw client."""
    with _served(folder) as server:
        server.set(latency_s=_RTT_S)
        chunks = [Wanted(f"raw.zarr/0/c/{z}/0/0", 0, _MIB) for z in range(_PLANES)]
        ms = medians(
            {
                "ours": lambda: _all_planes(server),
                "open": lambda: _opened(server).close(),
                "lazy": lambda: _lazily(server),
                "zstd": lambda: _all_planes(server, "zstd.zarr"),
                "shards": lambda: _all_planes(server, "shards.zarr"),
                "ideal": lambda: by_aiohttp(server, chunks),
                "threads": lambda: by_threads(server, chunks),
                "zarr": lambda: _by_zarr_python(server, 10),
                "zarr at its best": lambda: _by_zarr_python(server, 96),
            },
            rounds=5,
            warm_up=1,
        )
        server.set(latency_s=_RTT_S)
        dataset = _opened(server)
        before = server.counts()["bytes"]
        _read(dataset)
        sent = server.counts()["bytes"] - before
        dataset.close()
    ideal = ms["ideal"]
    peers = {name: ms[name] for name in ("ideal", "threads", "open")}
    peers |= {"zarr-python + fsspec": ms["zarr"], "… 96 at once": ms["zarr at its best"]}
    yield at_most(
        "Z1", "opened and 96 planes of 1 MiB ÷ ideal", ms["ours"], "ms", 1.3, ms["ours"] / ideal, peers=peers
    )
    yield at_least("Z1", "zarr-python ÷ ours, opening included", ms["ours"], "ms", 1, ms["zarr"] / ms["ours"])
    yield at_most("Z1", "… by to_xarray() ÷ by planes", ms["lazy"], "ms", 1.5, ms["lazy"] / ms["ours"])
    more = {"zstd": ms["zstd"], "4 planes a shard": ms["shards"]}
    yield at_least(
        "Z1",
        "zarr-python at its best ÷ ours",
        ms["ours"],
        "ms",
        1,
        ms["zarr at its best"] / ms["ours"],
        peers=more,
    )
    needed = _PLANES * _MIB
    yield at_most("Z1", "bytes transferred ÷ needed", sent / 1e6, "MB", 1.1, sent / needed)


def z2(folder: Path) -> Iterator[Figure]:
    """The same where a connection brings 10 MB/s: against a few blocks of 20 MB, as others cut them."""
    with _served(folder) as server:
        server.set(latency_s=_RTT_S, bytes_per_s=_CONNECTION_BYTES_PER_S)
        ms = medians(
            {"ours": lambda: _all_planes(server), "zarr": lambda: _by_zarr_python(server, 10)},
            rounds=3,
            warm_up=1,
        )
    blocks = (_RTT_S + 20e6 / _CONNECTION_BYTES_PER_S) * 1e3  # five of them at once
    peers = {"zarr-python + fsspec": ms["zarr"], "blocks of 20 MB": blocks}
    yield at_least(
        "Z2", "blocks of 20 MB ÷ 96 planes, 10 MB/s", ms["ours"], "ms", 2, blocks / ms["ours"], peers=peers
    )


def z3(folder: Path) -> Iterator[Figure]:
    """Open, and the first plane: time and requests."""
    with _served(folder) as server:
        server.set(latency_s=_RTT_S)
        ms = medians(
            {
                "ours": lambda: _first_plane(server, "raw.zarr"),
                "v2": lambda: _first_plane(server, "v2.zarr"),
                "archive": lambda: _first_plane(server, "raw.ozx"),
                "zarr": lambda: _first_by_zarr_python(server),
            },
            rounds=7,
        )
        requests = {name: _requests(server, name) for name in ("raw.zarr", "v2.zarr", "raw.ozx")}
        theirs = _requests_of(server, lambda: _first_by_zarr_python(server))
    ratio = ms["ours"] / ms["zarr"]
    peers = {"zarr-python + fsspec": ms["zarr"], "zarr v2": ms["v2"], "in an archive": ms["archive"]}
    yield at_most("Z3", "first plane ÷ zarr-python", ms["ours"], "ms", 1.5, ratio, peers=peers)
    yield at_most("Z3", "first plane, requests", requests["raw.zarr"], "", 4, peers={"zarr-python": theirs})
    yield at_most("Z3", "… of zarr v2", requests["v2.zarr"], "", 4)
    yield at_most("Z3", "… in an archive", requests["raw.ozx"], "", 4)


def z4(folder: Path) -> Iterator[Figure]:
    """Open a plate of 96 wells, in round trips: its wells are asked for together."""
    stores.write_plate(folder / "plate.ome.zarr", _WELLS, _FIELDS, (1, 4, 1, 64, 64))
    with RangeServer(folder) as server:
        server.set(latency_s=_RTT_S)
        ms = medians({"ours": lambda: _opened(server, "plate.ome.zarr").close()}, rounds=7)["ours"]
        requests = _requests_of(server, lambda: _opened(server, "plate.ome.zarr").close())
    yield at_most(
        "Z4",
        "open 96 wells, in RTT",
        ms,
        "ms",
        10,
        ms / _RTT_S / 1e3,
        peers={"requests": float(requests)},
    )


def z5(folder: Path) -> Iterator[Figure]:
    """Scrub past 60 planes, 60 a second, through the reader process as the widget does; wait for the last."""
    from ndviewer_light.engine.dataset import Dataset
    from ndviewer_light.isolation.client import IsolatedSource

    with _served(folder) as server:
        for name in ("raw.zarr", "raw.ozx"):
            waits = []
            for _ in range(7):
                server.set(latency_s=_RTT_S)
                with Dataset(IsolatedSource.open(server.url(name), _OPTIONS)) as dataset:
                    waits.append(_scrubbed(dataset))
            ms = statistics.median(waits)
            yield at_most("Z5", f"{name}: the plane after 60 others, in RTT", ms, "ms", 3, ms / _RTT_S / 1e3)


def _scrubbed(dataset: Dataset) -> float:
    """How many ms the plane takes at which somebody stops who has not waited for any before."""
    keys = [PlaneKey(z=z) for z in range(61)]
    for key in keys[:-1]:
        dataset.planes([key], wait=0)
        time.sleep(1 / 60)
    start = time.perf_counter()
    [plane] = dataset.planes([keys[-1]], wait=None)
    assert plane.pixels is not None, plane.reason
    return (time.perf_counter() - start) * 1e3


# ---- what is served --------------------------------------------------------------------------------


def _served(folder: Path) -> RangeServer:
    import tensorstore as ts

    little = {"name": "bytes", "configuration": {"endian": "little"}}
    zstd = {"name": "zstd", "configuration": {"level": 1}}
    chunk = [1, *_SHAPE]
    sharding = {"chunk_shape": chunk, "codecs": [little, zstd]}
    kinds: dict[str, tuple[list[int], list[Any]]] = {
        "raw.zarr": (chunk, [little]),
        "zstd.zarr": (chunk, [little, zstd]),
        "shards.zarr": ([4, *_SHAPE], [{"name": "sharding_indexed", "configuration": sharding}]),
    }
    volume = np.stack([np.resize(stores.camera_noise(512, seed=z), _SHAPE) for z in range(_PLANES)])
    for name, (stored, codecs) in kinds.items():
        _write_image(folder / name, {"chunk_shape": stored}, codecs, volume, ts)
    v2 = {"shape": list(volume.shape), "chunks": chunk, "dtype": "<u2", "compressor": None}
    spec = {"driver": "zarr", "kvstore": {"driver": "file", "path": f"{folder}/v2.zarr/0/"}, "metadata": v2}
    ts.open({**spec, "create": True}).result()[...] = volume
    (folder / "v2.zarr" / ".zgroup").write_text('{"zarr_format": 2}')
    (folder / "v2.zarr" / ".zattrs").write_text(_json(_attributes()["ome"]))
    _pack(folder / "raw.zarr", folder / "raw.ozx")
    return RangeServer(folder)


def _write_image(folder: Path, grid: dict[str, Any], codecs: list[Any], volume: np.ndarray, ts: Any) -> None:
    metadata = {
        "shape": list(volume.shape),
        "data_type": "uint16",
        "chunk_grid": {"name": "regular", "configuration": grid},
        "codecs": codecs,
    }
    spec = {"driver": "zarr3", "kvstore": {"driver": "file", "path": f"{folder}/0/"}, "metadata": metadata}
    ts.open({**spec, "create": True}).result()[...] = volume
    stores.write_group(folder, _attributes())


def _attributes() -> dict[str, Any]:
    axes = [{"name": axis, "type": "space", "unit": "micrometer"} for axis in "zyx"]
    return {"ome": {"version": "0.5", "multiscales": [{"axes": axes, "datasets": [{"path": "0"}]}]}}


def _json(value: object) -> str:
    import json

    return json.dumps(value)


def _pack(folder: Path, archive: Path) -> None:
    import zipfile

    with zipfile.ZipFile(archive, "w") as packed:
        for file in sorted(folder.rglob("*")):
            if file.is_file():
                packed.write(file, file.relative_to(folder).as_posix())


# ---- who reads it ----------------------------------------------------------------------------------

_pool = ThreadPoolExecutor(_THREADS)


def _opened(server: RangeServer, name: str = "raw.zarr") -> Any:
    from ndviewer_light import open_dataset

    return open_dataset(server.url(name), cache_bytes=1, storage_options=_OPTIONS)


def _read(dataset: Any) -> None:
    list(_pool.map(lambda z: dataset.plane(z=z), range(_PLANES)))


def _all_planes(server: RangeServer, name: str = "raw.zarr") -> None:
    with _opened(server, name) as dataset:
        _read(dataset)


def _lazily(server: RangeServer) -> None:
    import dask

    with _opened(server) as dataset, dask.config.set(pool=_pool):
        dataset.to_xarray().values  # noqa: B018


def _first_plane(server: RangeServer, name: str) -> None:
    with _opened(server, name) as dataset:
        dataset.plane()


def _requests(server: RangeServer, name: str) -> int:
    return _requests_of(server, lambda: _first_plane(server, name))


def _requests_of(server: RangeServer, call: Callable[[], object]) -> int:
    server.set()
    call()
    counts = server.counts()
    return counts["requests"] + counts["heads"]


def _zarr_array(server: RangeServer) -> Any:
    import fsspec
    import zarr

    fsspec.filesystem("http").clear_instance_cache()
    return zarr.open_group(server.url("raw.zarr"), mode="r")["0"]


def _by_zarr_python(server: RangeServer, at_once: int) -> None:
    import zarr

    with zarr.config.set({"async.concurrency": at_once}):
        _zarr_array(server)[:]


def _first_by_zarr_python(server: RangeServer) -> None:
    _zarr_array(server)[0]
