"""Four systems that people use today for data on servers, each beside ours, as a script or a window has it.

S1 frames of an ND2 file, in parallel by 64 workers; S2 NWB files opened by h5py over remfile; S3 existing PNG
files as one array, by fsspec's reference file system; S4 LINDI. The server is on this machine, 50 or 150 ms
away.
"""

from __future__ import annotations

import importlib.util
import os
import subprocess
import sys
import threading
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from typing import TYPE_CHECKING, Any

import numpy as np

from tests.nd2_writer import time_loop, write_nd2
from tests.range_server import RangeServer
from tests.reference_files import ReferenceWriter

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
    """40 raw frames, by `planes` and by `to_xarray`.

    Against 64 workers that do nothing but ranged reads, and 64 that read over fsspec, as the system does.
    """
    _need("aiohttp", "fsspec")
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
                "over fsspec": partial(_over_fsspec, server, wanted),
            }
            ms = medians(calls, rounds=_ROUNDS, warm_up=2)
            peers = {name: ms.pop(name) for name in ("64 workers", "over fsspec")}
            for way, ours in ms.items():
                for peer, theirs in peers.items():
                    what = f"40 ND2 frames at {rtt * 1e3:.0f} ms, {way} ÷ {peer}"
                    yield at_most("S1", what, ours, "ms", 1, ours / theirs, peers={peer: theirs})
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
    """Each worker reads a range over a connection of its own and makes an array of it."""

    def read(each: Wanted) -> Any:
        return np.frombuffer(read_range(server, each), np.uint16).reshape(_SHAPE)

    with ThreadPoolExecutor(_WORKERS) as pool:
        return np.stack(list(pool.map(read, wanted)))


def _over_fsspec(server: RangeServer, wanted: Sequence[Wanted]) -> np.ndarray:
    """As ``read_frames`` does: each worker opens the file once, reads frames from it and copies them."""
    import fsspec

    opened = threading.local()
    files: list[Any] = []

    def read(each: Wanted) -> Any:
        if not hasattr(opened, "file"):
            opened.file = fsspec.open(server.url(each.name), "rb").open()
            files.append(opened.file)
        opened.file.seek(each.offset)
        return np.frombuffer(opened.file.read(each.length), np.uint16).reshape(_SHAPE).copy()

    with ThreadPoolExecutor(_WORKERS) as pool:
        frames = list(pool.map(read, wanted))
    for file in files:
        file.close()
    return np.stack(frames)


# ---- S2: NWB --------------------------------------------------------------------------------------


def s2(folder: Path) -> Iterator[Figure]:
    """An NWB file of 40 series opened, against h5py over remfile, which is told where the images are."""
    _need("remfile")
    from tests.stress_remote_gc import write_many_series

    write_many_series(folder / "many.nwb")
    with RangeServer(folder) as server:
        url, kept = server.url("many.nwb"), {"cache_dir": str(folder / "cache")}
        for rtt in _RTTS_S:
            server.set(latency_s=rtt)
            calls: dict[str, Callable[[], object]] = {
                "ours": partial(_open_and_close, url, {"disk_cache": "no"}),
                "remfile": partial(_by_remfile, url, "acquisition/images/data"),
                "searched": partial(_searched_by_remfile, url),
            }
            ms = medians(calls, rounds=_ROUNDS, warm_up=1)
            ours = ms.pop("ours")
            what = f"NWB of 40 series opened at {rtt * 1e3:.0f} ms ÷ h5py over remfile"
            yield at_most("S2", what, ours, "ms", 1, ours / ms["remfile"], peers=ms)
        _open_and_close(url, kept)
        again = _requests(server, _RTTS_S[0], partial(_open_and_close, url, kept))
        yield at_most("S2", "requests to open it again, from the disk cache", float(again), "", 1)


def _open_and_close(url: str, options: dict[str, str]) -> None:
    from ndviewer_light import open_dataset

    open_dataset(url, storage_options=options).close()


def _by_remfile(url: str, path: str) -> Any:
    import h5py
    import remfile

    with h5py.File(remfile.File(url), "r") as file:
        return file[path].shape


def _searched_by_remfile(url: str) -> Any:
    """The images found by their type, as ours are."""
    import h5py
    import remfile

    with h5py.File(remfile.File(url), "r") as file:
        series = file["acquisition"].values()
        return next(each["data"].shape for each in series if "Photon" in each.attrs["neurodata_type"])


# ---- S3: existing images --------------------------------------------------------------------------

_PICTURE = (512, 640, 3)


def s3(folder: Path) -> Iterator[Figure]:
    """40 RGB PNGs by references, against fsspec's reference file system and imagecodecs."""
    _need("aiohttp", "imagecodecs")
    import PIL.Image

    from ndviewer_light.cli.references import write_references

    rng = np.random.default_rng(0)
    smooth = np.add.outer(np.arange(_PICTURE[0]), np.arange(_PICTURE[1])) // 8 % 200
    (folder / "images").mkdir()
    for i in range(_FRAMES):
        noisy = smooth[..., None] + rng.integers(0, 24, _PICTURE)
        PIL.Image.fromarray(noisy.astype(np.uint8)).save(folder / "images" / f"img_t{i:02}.png")
    with RangeServer(folder) as server:
        with open(folder / "refs.json", "w") as file:
            write_references(str(folder / "images"), file, root=server.url("images"))
        url = server.url("refs.json")
        assert (_ours_by_references(url) == _by_reference_file_system(url)).all()
        for rtt in _RTTS_S:
            server.set(latency_s=rtt)
            calls: dict[str, Callable[[], object]] = {
                "ours": partial(_ours_by_references, url),
                "fsspec": partial(_by_reference_file_system, url),
            }
            ms = medians(calls, rounds=_ROUNDS, warm_up=1)
            what = f"40 RGB PNGs by references at {rtt * 1e3:.0f} ms ÷ ReferenceFileSystem"
            yield at_most("S3", what, ms["ours"], "ms", 1, ms["ours"] / ms["fsspec"], peers=ms)
        sent = _requests(server, _RTTS_S[0], partial(_ours_by_references, url))
        yield at_most(
            "S3", "requests for them, each file once, and the references", float(sent), "", _FRAMES + 1
        )


def _ours_by_references(url: str) -> np.ndarray:
    """Opened and read, (t, y, x, s)."""
    with _opened(url) as dataset:
        planes = dataset.read_planes([(t, 0, c, 0) for t in range(_FRAMES) for c in range(3)])
    return np.moveaxis(np.stack(planes).reshape(_FRAMES, 3, *_PICTURE[:2]), 1, -1)


def _by_reference_file_system(url: str) -> np.ndarray:
    """The same: all files fetched together, decoded by as many threads as there are cores."""
    import fsspec
    from imagecodecs import png_decode

    system = fsspec.filesystem("reference", fo=url, remote_protocol="http", skip_instance_cache=True)
    names = [name for name in system.find("") if name.startswith("0/") and not name.startswith("0/.")]
    names.sort(key=lambda name: [int(part) for part in name.removeprefix("0/").split(".")])
    found = system.cat(names)
    with ThreadPoolExecutor() as pool:
        return np.stack(list(pool.map(lambda name: png_decode(found[name]), names)))


# ---- S4: LINDI ------------------------------------------------------------------------------------

_BY_LINDI = """
import sys, time, statistics
sys.path.insert(0, sys.argv[1])
import lindi
times = []
for _ in range(int(sys.argv[4])):
    start = time.perf_counter()
    lindi.LindiH5pyFile.from_lindi_file(sys.argv[2])[sys.argv[3]].shape
    times.append((time.perf_counter() - start) * 1e3)
print(statistics.median(times[1:]))
"""


def s4(folder: Path) -> Iterator[Figure]:
    """A LINDI file of 40 series opened, against lindi in an environment of its own: it needs zarr 2."""
    place = os.environ.get("LINDI_PACKAGES", "")
    if not place:
        raise RuntimeError("set LINDI_PACKAGES to the folder of: pip install --target FOLDER lindi")
    writer = ReferenceWriter(folder)
    series = np.arange(4 * 64 * 64, dtype=np.uint16).reshape(4, 64, 64)
    for i in range(40):
        writer.group(f"acquisition/s{i:02}", {"neurodata_type": "TimeSeries"})
        writer.add(f"acquisition/s{i:02}/data", series, (1, 64, 64))
    writer.group("acquisition", {})
    writer.group("acquisition/images", {"neurodata_type": "TwoPhotonSeries"})
    writer.add("acquisition/images/data", series, (1, 64, 64))
    writer.write_lindi("many.lindi.json")
    with RangeServer(folder) as server:
        server.set(latency_s=_RTTS_S[0])
        url, path = server.url("many.lindi.json"), "acquisition/images/data"
        ms = medians({"ours": partial(_open_and_close, url, {"disk_cache": "no"})}, _ROUNDS, warm_up=1)
        command = [sys.executable, "-c", _BY_LINDI, place, url, path, str(_ROUNDS + 1)]
        said = subprocess.run(command, capture_output=True, text=True, check=True).stdout
    what = "LINDI of 41 series opened at 50 ms ÷ lindi"
    yield at_most("S4", what, ms["ours"], "ms", 1, ms["ours"] / float(said), peers={"lindi": float(said)})
