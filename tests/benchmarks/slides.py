"""Slides: the first picture of 20,000² on a server 50 ms away (L1), of 100,000² on this machine (L2).

Both have levels. The ideal is a client that knows which level it wants: the metadata of the image, that of
the level's array, its chunks at once.
"""

from __future__ import annotations

import statistics
from typing import TYPE_CHECKING

from ndviewer_light.model import PlaneKey
from tests.range_server import RangeServer
from tests.slides import CHUNK, side_of, write_slide

from .children import run_child
from .measure import Figure, at_most, medians, timed
from .raw_client import Wanted, by_threads

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

_RTT_S = 0.05
_SCREEN = (800, 1100)
_FITTING_LEVEL = 4  # of 20,000²: 1250²
_OPTIONS = {"anonymous": "yes", "disk_cache": "no"}


def l1(folder: Path) -> Iterator[Figure]:
    """Opened over HTTP and the picture read, against an ideal client; requests."""
    write_slide(folder / "slide.zarr", 20_000, 6)
    level = f"slide.zarr/{_FITTING_LEVEL}"
    n = -(-side_of(20_000, _FITTING_LEVEL) // CHUNK)
    chunks = [f"{level}/c/0/{row}/{column}" for row in range(n) for column in range(n)]
    steps = [
        [_whole(folder, name) for name in names]
        for names in (["slide.zarr/zarr.json"], [f"{level}/zarr.json"], chunks)
    ]
    with RangeServer(folder) as server:
        server.set(latency_s=_RTT_S)
        ms = medians(
            {
                "ours": lambda: _first_picture(server.url("slide.zarr")),
                "ideal": lambda: [by_threads(server, step) for step in steps],
            },
            rounds=9,
        )
        server.set(latency_s=_RTT_S)
        _first_picture(server.url("slide.zarr"))
        requests = server.counts()["requests"]
    ratio = ms["ours"] / ms["ideal"]
    peers = {"ideal": ms["ideal"]}
    yield at_most("L1", "20,000² by HTTP, first picture ÷ ideal", ms["ours"], "ms", 1.5, ratio, peers=peers)
    over = requests - len(chunks)
    yield at_most("L1", "… requests beyond the level's chunks", requests, "", 4, over)


def _whole(folder: Path, name: str) -> Wanted:
    return Wanted(name, 0, (folder / name).stat().st_size)


def _first_picture(path: str) -> None:
    from ndviewer_light import open_dataset

    with open_dataset(path, storage_options=_OPTIONS) as dataset:
        drawn = dataset.drawn_level(0, *_SCREEN)
        (plane,) = dataset.planes([PlaneKey()], drawn.level, None)
        assert plane.pixels is not None and plane.pixels.shape == drawn.shape, plane


def l2(folder: Path) -> Iterator[Figure]:
    """Opened from disk: in a script, with a reader process; and drawn in the widget, next to 2048²."""
    write_slide(folder / "large.zarr", 100_000, 8)
    write_slide(folder / "small.zarr", 2048)
    paths = str(folder / "large.zarr"), str(folder / "small.zarr")
    script = run_child("tests.benchmarks.slides", "opened", *paths)
    yield at_most(
        "L2",
        "100,000² on disk, opened and the picture read ÷ 2048²",
        script["large"],
        "ms",
        1.5,
        script["large"] / script["small"],
        peers={"2048²": script["small"], "with a reader process": script["isolated"]},
    )
    shown = run_child("tests.benchmarks.slides", "first_frames", *paths)
    large, small = statistics.median(shown["large"]), statistics.median(shown["small"])
    yield at_most("L2", "… first picture in the widget", large, "ms", 1000, peers={"2048²": small})


def opened(large: str, small: str) -> dict[str, float]:
    """Open both and read what is drawn of them; in a process of its own."""
    from ndviewer_light import open_dataset

    def picture(path: str, *, isolate: bool = False) -> None:
        with open_dataset(path, isolate=isolate) as dataset:
            drawn = dataset.drawn_level(0, *_SCREEN)
            (plane,) = dataset.planes([PlaneKey()], drawn.level, None)
            assert plane.pixels is not None and plane.pixels.shape == drawn.shape, plane

    return medians(
        {
            "large": lambda: picture(large),
            "small": lambda: picture(small),
            "isolated": lambda: picture(large, isolate=True),
        },
        rounds=7,
    )


def first_frames(large: str, small: str) -> dict[str, list[float]]:
    """Open both in turn in one widget; ms until the first picture of each."""
    from .widget import Window

    window = Window()
    paths = {"large": large, "small": small}
    for path in paths.values():
        window.open(path)
    times = {name: [] for name in paths}
    for _ in range(7):
        for name, path in paths.items():
            times[name].append(timed(lambda path=path: window.open(path)))  # type: ignore[misc]
    window.close()
    return times
