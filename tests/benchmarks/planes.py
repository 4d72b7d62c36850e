"""One plane: how long it takes to have it (P1), and to have it again (P2)."""

from __future__ import annotations

import itertools
import struct
from collections import deque
from typing import TYPE_CHECKING, Any

import numpy as np

from . import stores
from .measure import Figure, at_least, at_most, medians

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

_AGAIN = 1000
_KEPT = 4
_SIZE = 2048
_SHAPE = (1, 4, 4, _SIZE, _SIZE)
_NAMES = {"none": "uncompressed", "fast": "lz4", "balanced": "zstd sharded"}


def p1(folder: Path) -> Iterator[Figure]:
    """Read one plane, from files the system has in memory; every call another of sixteen planes."""
    for compression, name in _NAMES.items():
        for transposed in (True, False):
            image = folder / f"{compression}-{transposed}"
            stores.write_image(image, _SHAPE, compression, transposed=transposed)
            yield from _plane_figures(image, compression, transposed, f"{name}, {_order(transposed)}")


def _order(transposed: bool) -> str:
    return "transposed (Squid)" if transposed else "in C order (others)"


def _plane_figures(image: Path, compression: str, transposed: bool, name: str) -> Iterator[Figure]:
    from ndviewer_light import open_dataset
    from ndviewer_light.model import PlaneKey

    with open_dataset(image, cache_bytes=0) as ds, open_dataset(image, cache_bytes=0, isolate=True) as walled:
        array, dask_array = stores.open_array(image), _dask(image)
        source = ds._source
        order = "F" if transposed else "C"
        reads: dict[str, Callable[[int, int], object]] = {
            "limit": lambda c, z: _limit(image, compression, c, z),
            "stored": lambda c, z: source.read_plane(PlaneKey(0, 0, c, z)),
            "plane": lambda c, z: ds.plane(c=c, z=z),
            "walled": lambda c, z: walled.plane(c=c, z=z),
            "raw stored": lambda c, z: array[0, c, z].read(order=order).result(),
            "raw C": lambda c, z: array[0, c, z].read().result(),
            "dask": lambda c, z: dask_array[0, c, z].compute(),
        }
        ms = medians({name: _each(read) for name, read in reads.items()}, rounds=25)
    limit = ms["limit"]
    peers = {"limit": limit, "raw stored": ms["raw stored"], "raw C": ms["raw C"], "dask": ms["dask"]}
    yield at_most(
        "P1", f"{name}: as stored ÷ limit", ms["stored"], "ms", 1.5, ms["stored"] / limit, peers=peers
    )
    yield at_most("P1", f"{name}: plane() ÷ limit", ms["plane"], "ms", 3, ms["plane"] / limit, peers=peers)
    if transposed:
        yield at_least(
            "P1", f"{name}: raw C ÷ plane()", ms["plane"], "ms", 3, ms["raw C"] / ms["plane"], peers=peers
        )
    yield at_most(
        "P1",
        f"{name}: reader process − plane()",
        ms["walled"],
        "ms",
        10,
        ms["walled"] - ms["plane"],
        peers=peers,
    )


def _each(read: Callable[[int, int], object]) -> Callable[[], object]:
    """A call that reads the next plane each time, and keeps it for a while as a cache would.

    Without keeping, whoever comes next gets memory that is still warm: 1 ms in favour of chance. Each way
    keeps its own, so that none gets what another has given back.
    """
    planes = itertools.cycle([(c, z) for z in range(_SHAPE[2]) for c in range(_SHAPE[1])])
    kept: deque[object] = deque(maxlen=_KEPT)
    return lambda: kept.append(read(*next(planes)))


def _dask(image: Path) -> Any:
    import dask.array as da

    return da.from_zarr(str(image / "0"))


# ---- the limit: the bytes of a plane in memory, decompressed, in any order --------------------


def _limit(image: Path, compression: str, c: int, z: int) -> np.ndarray:
    from numcodecs import blosc

    out = np.empty((_SIZE, _SIZE), np.uint16)
    if compression == "none":
        with open(image / "0" / "c" / "0" / str(c) / str(z) / "0" / "0", "rb", buffering=0) as file:
            file.readinto(out)  # type: ignore[arg-type]
        return out
    blosc.set_nthreads(1)  # a plane is one chunk, and every reader decodes a chunk in one thread
    stored = _shard_part(image, c, z) if compression == "balanced" else _chunk(image, c, z)
    blosc.decompress(stored, out)
    return out


def _chunk(image: Path, c: int, z: int) -> bytes:
    return (image / "0" / "c" / "0" / str(c) / str(z) / "0" / "0").read_bytes()


def _shard_part(image: Path, c: int, z: int) -> bytes:
    with open(image / "0" / "c" / "0" / "0" / str(z) / "0" / "0", "rb", buffering=0) as file:
        file.seek(-(_SHAPE[1] * 16 + 4), 2)  # (offset, length) of each chunk, then a checksum
        offset, length = struct.unpack_from("<QQ", file.read(_SHAPE[1] * 16), c * 16)
        file.seek(offset)
        return file.read(length)


# ---- again ----------------------------------------------------------------------------------


def p2(folder: Path) -> Iterator[Figure]:
    """Read a plane that was read before."""
    from ndviewer_light import open_dataset

    stores.write_image(folder / "image", (1, 1, 1, _SIZE, _SIZE), "fast")
    array = stores.open_array(folder / "image")
    with open_dataset(folder / "image") as ds:
        same = ds.plane() is ds.plane()
        many = {"ours": lambda: [ds.plane() for _ in range(_AGAIN)]}
        ms = medians({**many, "first": ds.plane, "raw C": lambda: array[0, 0, 0].read().result()}, rounds=30)
    ours = ms["ours"] * 1e3 / _AGAIN
    peers = {"right after another": ms["first"] * 1e3, "raw C": ms["raw C"] * 1e3}
    yield at_most("P2", "the same plane again and again", ours, "µs", 50, peers=peers)
    yield at_least("P2", "… is the same array (1: no copy)", float(same), "", 1)
