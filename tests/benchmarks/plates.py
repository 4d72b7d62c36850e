"""Large plates: what it costs to open one (P3), and one plane of its lazy array (P4)."""

from __future__ import annotations

import gc
import json
import statistics
from typing import TYPE_CHECKING, Any

import numpy as np

from . import stores
from .children import run_child
from .measure import Figure, at_most, medians, rss_bytes, timed

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

_WELLS, _FIELDS = 384, 25
_SHAPE = (1, 4, 1, 64, 64)
_SMALL_WELLS, _SMALL_FIELDS = 24, 4


def p3(folder: Path) -> Iterator[Figure]:
    """Open 9,600 fields of view; the first picture of them in the widget, against that of 96."""
    large = stores.write_plate(folder / "large.ome.zarr", _WELLS, _FIELDS, _SHAPE)
    small = stores.write_plate(folder / "small.ome.zarr", _SMALL_WELLS, _SMALL_FIELDS, _SHAPE)
    opened = run_child("tests.benchmarks.plates", "open_plate", str(large), str(small))
    ratio = opened["open"] / opened["read JSON"]
    peers = {"read JSON": opened["read JSON"], "open 16 stores": opened["open 16 stores"]}
    yield at_most("P3", "open 9,600 FOVs ÷ reading its JSON", opened["open"], "ms", 2, ratio, peers=peers)
    yield at_most("P3", "… added to the process's memory", opened["MB"], "MB", 60)
    shown = run_child("tests.benchmarks.plates", "first_frames", str(large), str(small))
    large_ms, small_ms = statistics.median(shown["large"]), statistics.median(shown["small"])
    yield at_most(
        "P3",
        "first picture at 9,600 ÷ at 96",
        large_ms,
        "ms",
        1.5,
        large_ms / small_ms,
        peers={"at 96": small_ms},
    )
    yield at_most("P3", "… added to the widget's process", shown["MB"], "MB", 60)


def open_plate(path: str, another: str) -> dict[str, float]:
    """Open a plate again and again, after another one; in a process of its own."""
    from pathlib import Path

    from ndviewer_light import open_dataset

    plate = Path(path)
    open_dataset(another).close()  # what is imported for it is not of a plate

    before = rss_bytes()
    kept = open_dataset(plate)
    added = rss_bytes() - before
    assert kept.info.sizes["p"] == _WELLS * _FIELDS, kept.info.sizes
    stores_of_first = [plate / "A" / "1" / str(i) for i in range(16)]
    ms = medians(
        {
            "read JSON": lambda: _read_json(plate),
            "open": lambda: open_dataset(plate).close(),
            "open 16 stores": lambda: [stores.open_array(store) for store in stores_of_first],
        },
        rounds=9,
    )
    return {**ms, "MB": added / 1e6}


def _read_json(plate: Path) -> list[Any]:
    """What there is to read: the plate's metadata, and each well's."""
    content = json.loads((plate / "zarr.json").read_bytes())
    wells = content["attributes"]["ome"]["plate"]["wells"]
    return [json.loads((plate / well["path"] / "zarr.json").read_bytes()) for well in wells]


def first_frames(large: str, small: str) -> dict[str, Any]:
    """Open two plates in turn in one widget; ms until the first picture of each."""
    from .widget import Window

    window = Window()
    times: dict[str, list[float]] = {"large": [], "small": []}
    paths = {"large": large, "small": small}
    for _ in range(2):  # what a first change of datasets takes is not of a plate
        window.open(small)
    before = _kept_bytes()
    window.open(large)
    added = _kept_bytes() - before
    for _ in range(7):
        for name, path in paths.items():
            times[name].append(timed(lambda path=path: window.open(path)))  # type: ignore[misc]
    window.close()
    return {**times, "MB": added / 1e6}


def _kept_bytes() -> int:
    """Memory without what the collector has still to free: 6 MB of the canvas of the plate before."""
    gc.collect()
    return rss_bytes()


# ---- one plane of the lazy array ---------------------------------------------------------------


def p4(folder: Path) -> Iterator[Figure]:
    """What `to_xarray()` costs to make, and adds to reading one plane, at 9,600 positions and at 96."""
    shape = (3, 4, 5, 16, 16)
    costs = {
        n: _lazy_costs(stores.write_plate(folder / f"{wells}.ome.zarr", wells, n // wells, shape))
        for wells, n in ((_SMALL_WELLS, 96), (_WELLS, 9600))
    }
    few, many = costs[96], costs[9600]
    default = _default_from_array_ms()
    added = many["plane"] - many["read"]
    added_few = max(few["plane"] - few["read"], 1e-3)
    peers = {"at 96": added_few, "dask from_array": default}
    yield at_most("P4", "to_xarray() plane at 9,600 ÷ at 96", added, "ms", 2, added / added_few, peers=peers)
    yield at_most("P4", "… a plane", added, "ms", 2, peers=peers)
    yield at_most("P4", "… making the array", many["build"], "ms", 20, peers={"at 96": few["build"]})


def _lazy_costs(path: Path) -> dict[str, float]:
    from ndviewer_light import open_dataset

    with open_dataset(path) as ds:
        array = ds.to_xarray()
        ds.plane()  # from here on it is in memory: what is timed is the way to it
        return medians(
            {
                "build": ds.to_xarray,
                "plane": lambda: array.isel(fov=0, channel=0, time=0, z=0).values,
                "read": ds.plane,
            },
            rounds=40,
        )


def _default_from_array_ms() -> float:
    """One plane of as many in dask's default way, pixels already in memory."""
    import dask.array as da

    class Planes:
        shape = (3, _WELLS * _FIELDS, 5, 4, 16, 16)
        dtype = np.dtype(np.uint16)
        ndim = 6

        def __getitem__(self, index: tuple[slice, ...]) -> np.ndarray:
            return np.zeros((1, 1, 1, 1, 16, 16), np.uint16)

    array = da.from_array(Planes(), chunks=(1, 1, 1, 1, 16, 16), name=False, asarray=False)
    return medians({"plane": lambda: array[0, 0, 0, 0].compute()}, rounds=3, warm_up=1)["plane"]
