"""References to a file on a server 50 ms away: the first plane and all 96 (K1), beside zarr-python over
fsspec (K2); a file of a million references (K3); a folder of 100,000 images (K4).
"""

from __future__ import annotations

import functools
import gc
import importlib.util
import json
import os
import resource
import subprocess
import sys
import time
import zlib
from concurrent.futures import ThreadPoolExecutor
from typing import TYPE_CHECKING, Any

import numpy as np

from tests.range_server import RangeServer
from tests.reference_files import ReferenceWriter

from .measure import Figure, at_least, at_most, medians, timed
from .raw_client import Wanted, by_aiohttp, by_threads

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

_PLANES, _SHAPE = 96, (512, 1024)  # of 1 MiB
_RTT_S = 0.05
_THREADS = 64
_FILTERS = [{"id": "shuffle", "elementsize": 2}, {"id": "zlib", "level": 4}]
_KINDS: dict[str, dict[str, Any]] = {
    "gzip": {"chunks": (1, *_SHAPE), "filters": _FILTERS},
    "gzip, 8 tiles a plane": {"chunks": (1, 256, 256), "filters": _FILTERS},
    "raw": {"chunks": (1, *_SHAPE)},
    "raw, one piece": {"chunks": (_PLANES, *_SHAPE)},
}
_MANY = 1_000_000
_IMAGES = 100_000


# ---- rows --------------------------------------------------------------------------------------


def k1(folder: Path) -> Iterator[Figure]:
    """The first plane; the whole volume, against all its pixels at once by a raw client."""
    with RangeServer(folder) as server:
        wanted = [Wanted("raw.bin", *place) for place in _written(folder, "raw")]
        for kind in _KINDS:
            refs = _written(folder, kind)
            url = server.url(f"{kind}.json")
            server.set(latency_s=_RTT_S)
            ms = timed(functools.partial(_first_plane, url))
            counts = server.counts()
            requests = float(counts["requests"] + counts["heads"])
            yield at_most("K1", f"{kind}: requests until the first plane", requests, "", 4, peers={"ms": ms})
            assert (_opened_and_read(url) == _volume()).all()
            source = _opened(url)
            source.read_plane((0, 0, 0, 0))  # as the viewer has done
            calls: dict[str, Callable[[], object]] = {
                "ours": functools.partial(_read, source),
                "opened and read": functools.partial(_opened_and_read, url),
                "ideal": functools.partial(by_aiohttp, server, wanted),
                "threads": functools.partial(by_threads, server, wanted),
            }
            ms_of = medians(calls, rounds=7, warm_up=1)
            source.close()
            ours = ms_of.pop("opened and read")
            what = f"{kind}: opened and 96 planes of 1 MiB ÷ ideal"
            yield at_most("K1", what, ours, "ms", 1.6, ours / ms_of["ideal"], peers=ms_of)
            server.set(latency_s=_RTT_S)
            _opened_and_read(url)
            sent = server.counts()["bytes"]
            needed = sum(length for _, length in refs) + (folder / f"{kind}.json").stat().st_size
            yield at_most("K1", f"{kind}: bytes transferred ÷ needed", sent / 1e6, "MB", 1.1, sent / needed)


def k2(folder: Path) -> Iterator[Figure]:
    """Opened, and all planes read, against zarr-python over fsspec's reference file system."""
    missing = [name for name in ("aiohttp", "fsspec", "zarr") if importlib.util.find_spec(name) is None]
    if missing:
        raise RuntimeError(f"to compare with: pip install 'fsspec[http]' zarr ({missing[0]} is missing)")
    _written(folder, "gzip")
    with RangeServer(folder) as server:
        server.set(latency_s=_RTT_S)
        text = (folder / "gzip.json").read_text().replace("gzip.bin", server.url("gzip.bin"))
        (folder / "there.json").write_text(text)  # others take a name alone for a file of this machine
        url = server.url("there.json")
        first = medians(
            {"ours": lambda: _first_plane(url), "zarr": lambda: _by_zarr(url, 0)}, rounds=5, warm_up=1
        )
        volume = medians(
            {"ours": lambda: _opened_and_read(url), "zarr": lambda: _by_zarr(url, slice(None))},
            rounds=5,
            warm_up=1,
        )
    gain = volume["zarr"] / volume["ours"]
    what = "zarr-python over fsspec ÷ opened and all 96 planes, gzip"
    yield at_least("K2", what, volume["ours"], "ms", 1, gain, peers=volume)
    what = "opened and the first plane ÷ zarr-python over fsspec"
    yield at_most("K2", what, first["ours"], "ms", 1.5, first["ours"] / first["zarr"], peers=first)


def k3(folder: Path) -> Iterator[Figure]:
    """A million references opened, against json alone, in time and in memory beyond the file itself."""
    path = folder / "many.json"
    document = {"zarr_format": 2, "shape": [_MANY, 64, 64], "chunks": [1, 64, 64], "dtype": "<u2"}
    with open(path, "w", encoding="utf-8") as file:
        file.write(
            '{"version": 1, "refs": {".zgroup": "{}", "data/.zarray": ' + json.dumps(json.dumps(document))
        )
        for i in range(_MANY):
            file.write(
                f', "data/{i}.0.0": ["https://example.org/blobs/0123456789abcdef", {4096 + 8192 * i}, 8192]'
            )
        file.write("}}")
    ours, ours_bytes = _child("ours", path)
    others, others_bytes = _child("json", path)
    what = f"{_MANY:,} references opened ÷ json.load"
    yield at_most("K3", what, ours, "s", 2.5, ours / others, peers={"json.load": others})
    what = "memory at most ÷ json.load"
    yield at_most(
        "K3",
        what,
        ours_bytes / 1e6,
        "MB",
        1,
        ours_bytes / others_bytes,
        peers={"json.load": others_bytes / 1e6},
    )


def k4(folder: Path) -> Iterator[Figure]:
    """A folder of images opened, against listing it; how many files are opened for that."""
    images = folder / "images"
    images.mkdir()
    import PIL.Image

    first = images / "A01_s1_w1_t000.png"
    PIL.Image.fromarray(np.zeros((64, 64), np.uint8)).save(first)
    names = (
        f"{row}{column:02d}_s{site}_w{channel}_t{t:03d}.png"
        for row in "ABCDEFGH"
        for column in range(1, 13)
        for site in range(1, 6)
        for channel in range(1, 5)
        for t in range(_IMAGES // (96 * 5 * 4))
    )
    for name in names:
        if name != first.name:
            (images / name).touch()
    calls: dict[str, Callable[[], object]] = {
        "ours": lambda: _opened_images(images),
        "scandir": lambda: [(entry.name, entry.is_dir()) for entry in os.scandir(images)],
    }
    ms = medians(calls, rounds=3, warm_up=1)
    n = len(os.listdir(images))
    per_file = (ms["ours"] - ms["scandir"]) / n * 1e3
    what = f"{n:,} images opened, beyond listing, µs each"
    yield at_most("K4", what, ms["ours"], "ms", 40, per_file, peers={"os.scandir": ms["scandir"]})


# ---- the files -----------------------------------------------------------------------------------


@functools.cache
def _volume() -> np.ndarray:
    """Planes that compress to less than half, as pictures of a camera do."""
    return np.random.default_rng(0).poisson(400, (_PLANES, *_SHAPE)).astype("<u2")


def _written(folder: Path, kind: str) -> list[tuple[int, int]]:
    """References to one file, and that file; (offset, length) of all chunks."""
    how = _KINDS[kind]
    path = folder / f"{kind}.json"
    if not path.exists():
        writer = ReferenceWriter(folder, f"{kind}.bin")
        encode = _shuffled_and_deflated if "filters" in how else None
        writer.add("data", _volume(), how["chunks"], encode=encode, filters=how.get("filters"))
        writer.write(path.name)
    refs = json.loads(path.read_text())["refs"]
    return [(ref[1], ref[2]) for ref in refs.values() if isinstance(ref, list)]


def _shuffled_and_deflated(raw: bytes) -> bytes:
    return zlib.compress(np.frombuffer(raw, np.uint8).reshape(-1, 2).T.tobytes(), 4)


# ---- who reads them ------------------------------------------------------------------------------


def _opened(url: str) -> Any:
    from ndviewer_light.sources.references.source import ReferencesSource

    return ReferencesSource.open(url)


def _first_plane(url: str) -> None:
    source = _opened(url)
    source.read_plane((0, 0, 0, 0))
    source.close()


def _opened_and_read(url: str) -> np.ndarray:
    source = _opened(url)
    volume = _read(source)
    source.close()
    return volume


def _read(source: Any) -> np.ndarray:
    volume = np.empty((_PLANES, *_SHAPE), np.uint16)

    def one(z: int) -> None:
        volume[z] = source.read_plane((0, 0, 0, z))

    with ThreadPoolExecutor(_THREADS) as pool:
        list(pool.map(one, range(_PLANES)))
    return volume


def _by_zarr(url: str, which: Any) -> np.ndarray:
    import fsspec
    import zarr

    options = {"skip_instance_cache": True, "asynchronous": True}
    system = fsspec.filesystem("reference", fo=url, remote_protocol="http", remote_options=options, **options)
    store = zarr.storage.FsspecStore(system, read_only=True)
    pixels: np.ndarray = zarr.open_group(store, mode="r", zarr_format=2)["data"][which]
    return pixels


def _opened_images(folder: Path) -> None:
    from ndviewer_light.sources.images.source import ImagesSource

    source = ImagesSource.open(str(folder))
    assert source.info.sizes["c"] == 4
    source.close()
    del source
    gc.collect()


def _child(who: str, path: Path) -> tuple[float, int]:
    """Seconds and bytes of memory at most that a process of its own takes to open a file of references."""
    command = [sys.executable, "-m", __name__, who, str(path)]
    said = subprocess.run(command, capture_output=True, text=True, check=True).stdout
    seconds, most = said.split()
    return float(seconds), int(most)


def _open_in_child(who: str, path: str) -> None:
    from ndviewer_light.sources.references.source import ReferencesSource

    start = time.perf_counter()
    if who == "ours":
        ReferencesSource.open(path).close()
    else:
        with open(path, encoding="utf-8") as file:
            json.load(file)
    most = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024
    sys.stdout.write(f"{time.perf_counter() - start} {most}")


if __name__ == "__main__":
    _open_in_child(*sys.argv[1:])
