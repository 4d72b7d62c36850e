"""The whole run at a glance: plates and mosaics of many fields, path to complete picture (O1–O7)."""

from __future__ import annotations

import json
import os
import statistics
import subprocess
import sys
import time
from typing import TYPE_CHECKING, Any

import numpy as np

from tests.range_server import RangeServer

from . import stores
from .children import run_child
from .measure import Figure, at_least, at_most, percentile, rss_bytes, slope, timed

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path


def write_fields(
    folder: Path,
    wells: int,
    fields: int = 1,
    size: int = 256,
    levels: int = 3,
    um: float = 1.3,
    compression: str = "none",
) -> Path:
    """A plate in which every field has pixels: uint16, one channel, `levels` of one chunk each."""
    columns = {6: 3, 96: 12, 384: 24, 1536: 48}.get(wells, 24)
    names = [(_row(i // columns), str(1 + i % columns)) for i in range(wells)]
    plate = {
        "version": "0.5",
        "rows": [{"name": row} for row in dict.fromkeys(row for row, _ in names)],
        "columns": [{"name": str(1 + i)} for i in range(columns)],
        "wells": [
            {"path": f"{row}/{column}", "rowIndex": i // columns, "columnIndex": i % columns}
            for i, (row, column) in enumerate(names)
        ],
    }
    stores.write_group(folder, {"ome": {"version": "0.5", "plate": plate}})
    well = {"ome": {"version": "0.5", "well": {"images": [{"path": str(i)} for i in range(fields)]}}}
    group, arrays = _pyramid_metadata(size, levels, um, compression)
    pixels = _pyramid(size, levels)
    if compression != "none":
        pixels = [_stored(folder, plane, compression) for plane in pixels]
    for number, (row, column) in enumerate(names):
        stores.write_group(folder / row / column, well)
        for field in range(fields):
            place = folder / row / column / str(field)
            brightness = 1 + (number * fields + field) % 40 if compression == "none" else 0
            _write_field(place, group, arrays, pixels, brightness)
    return folder


def _stored(folder: Path, plane: np.ndarray, compression: str) -> np.ndarray:
    """The bytes of a chunk, as tensorstore compresses it."""
    image = folder.with_name("one.zarr")
    shape = (1, 1, 1, *plane.shape)
    stores.write_image_metadata(image, shape, compression, transposed=False)
    stores.open_array(image)[0, 0, 0].write(plane).result()
    (chunk,) = (path for path in (image / "0" / "c").rglob("*") if path.is_file())
    return np.frombuffer(chunk.read_bytes(), np.uint8)


def _row(row: int) -> str:
    return chr(65 + row) if row < 26 else "A" + chr(65 + row - 26)


def _pyramid_metadata(size: int, levels: int, um: float, compression: str = "none") -> tuple[str, list[str]]:
    attributes = stores.image_attributes((1, 1, 1, size, size))
    (multiscale,) = attributes["ome"]["multiscales"]
    multiscale["datasets"] = [
        {
            "path": str(level),
            "coordinateTransformations": [
                {"type": "scale", "scale": [1.0, 1.0, 1.0, um * 2**level, um * 2**level]}
            ],
        }
        for level in range(levels)
    ]
    group = json.dumps({"zarr_format": 3, "node_type": "group", "attributes": attributes})
    shapes = [(1, 1, 1, size >> level, size >> level) for level in range(levels)]
    return group, [
        json.dumps(stores.array_metadata(shape, compression, transposed=False)) for shape in shapes
    ]


def _pyramid(size: int, levels: int) -> list[np.ndarray]:
    largest = stores.camera_noise(size)
    return [largest[:: 1 << level, :: 1 << level].copy() for level in range(levels)]


def _write_field(
    place: Path, group: str, arrays: list[str], pixels: list[np.ndarray], brightness: int
) -> None:
    """Chunks are written as they are stored, without compression: a tenth of the time."""
    place.mkdir(parents=True)
    (place / "zarr.json").write_text(group)
    for level, (array, plane) in enumerate(zip(arrays, pixels, strict=True)):
        chunk = place / str(level) / "c" / "0" / "0" / "0" / "0"
        chunk.mkdir(parents=True)
        (place / str(level) / "zarr.json").write_text(array)
        brighter = plane if plane.dtype == np.uint8 else plane + np.uint16(brightness * 100)
        (chunk / "0").write_bytes(brighter.tobytes())


def write_mosaic(folder: Path, n: int, size: int = 256, levels: int = 3, um: float = 1.0) -> Path:
    """`n` fields that overlap by a tenth, as OME-Zarr images with translations, below one group."""
    side = round(n**0.5)
    _, arrays = _pyramid_metadata(size, levels, um)
    pixels = _pyramid(size, levels)
    stores.write_group(folder, {})
    for i in range(n):
        step = 0.9 * size * um
        group = _placed_group(size, levels, um, (i // side * step, i % side * step))
        _write_field(folder / f"tile_{i:04d}", group, arrays, pixels, 1 + i % 40)
    return folder


def _placed_group(size: int, levels: int, um: float, at: tuple[float, float]) -> str:
    group = json.loads(_pyramid_metadata(size, levels, um)[0])
    for dataset in group["attributes"]["ome"]["multiscales"][0]["datasets"]:
        move = {"type": "translation", "translation": [0.0, 0.0, 0.0, *at]}
        dataset["coordinateTransformations"].append(move)
    return json.dumps(group)


# ---- rows ----------------------------------------------------------------------------------------------


def o1(folder: Path) -> Iterator[Figure]:
    """384 wells × 1 field, 3 levels: path → complete overview; beside it the same pixels by tensorstore."""
    plate = write_fields(folder / "p.ome.zarr", 384)
    ours = _median_shown(plate)
    yield at_most("O1", "384 wells: path → complete overview", ours, "ms", 800, peers=_bare(plate))
    if place := os.environ.get("NAPARI_PACKAGES", ""):
        theirs = _by_napari(plate, place)
        what = "… napari-ome-zarr, without a picture ÷ ours"
        yield at_least("O1", what, ours, "ms", 10, theirs / ours, peers={"napari-ome-zarr": theirs})


def o2(folder: Path) -> Iterator[Figure]:
    """The same of 1,536 wells."""
    plate = write_fields(folder / "p.ome.zarr", 1536)
    yield at_most(
        "O2", "1,536 wells: path → complete overview", _median_shown(plate), "ms", 2500, peers=_bare(plate)
    )


def o3(folder: Path) -> Iterator[Figure]:
    """384 wells on a server that takes 20 ms for each request."""
    write_fields(folder / "p.ome.zarr", 384)
    with RangeServer(folder) as server:
        server.set(latency_s=0.02)
        ms = statistics.median(
            run_child("tests.benchmarks.scenes", "shown", server.url("p.ome.zarr"))["all"] for _ in range(3)
        )
        requests = server.counts()["requests"] / 3
    yield at_most(
        "O3", "384 wells over 20 ms: path → complete overview", ms, "ms", 3000, peers={"requests": requests}
    )


def o4(folder: Path) -> Iterator[Figure]:
    """384 wells × 9 fields of 512² without pyramid: averages are worked out."""
    plate = write_fields(folder / "p.ome.zarr", 384, 9, 512, 1, compression="fast")
    _settle(plate)
    caches = [{"XDG_CACHE_HOME": str(folder / f"cache {i}")} for i in range(4)]  # nothing is kept there
    found, theirs = [], []
    for each in caches[:3]:  # in turn, so that a busy moment hits both
        found.append(run_child("tests.benchmarks.scenes", "shown", str(plate), "6", env=each))
        theirs.append(_bare(plate)["tensorstore"])
    first, whole = (statistics.median(each[name] for each in found) for name in ("first", "all"))
    gap = run_child("tests.benchmarks.scenes", "away", str(plate), env=caches[3])
    again = run_child("tests.benchmarks.scenes", "shown", str(plate), env=caches[0])["all"]
    bare = statistics.median(theirs)
    yield at_most("O4", "384 × 9 fields without pyramid: first wells", first, "ms", 1000)
    yield at_most("O4", "… the GUI thread computed at once, at most", gap, "ms", 50)
    share = bare / whole
    peers = {"tensorstore": bare, "at least": min(theirs), "at most": max(theirs), "ours again": again}
    yield at_least("O4", "… tensorstore's time ÷ path → complete", whole, "ms", 0.8, share, peers=peers)


def o5(folder: Path) -> Iterator[Figure]:
    """A mosaic of 2,500 fields by stage coordinates."""
    mosaic = write_mosaic(folder / "m.zarr", 2500)
    found = run_child("tests.benchmarks.scenes", "panned", str(mosaic), "4")
    yield at_most("O5", "2,500 fields by stage: path → complete overview", found["all"], "ms", 3000)
    yield at_most("O5", "… pan, a frame: until something is drawn (p95)", found["frame"], "ms", 50)
    yield at_most("O5", "… until it is sharp (p95)", found["sharp"], "ms", 500)


def o6(folder: Path) -> Iterator[Figure]:
    """What 1,536 wells take in memory during a minute of panning and zooming."""
    plate = write_fields(folder / "p.ome.zarr", 1536)
    found = run_child("tests.benchmarks.scenes", "panned", str(plate), "60")
    yield at_most("O6", "1,536 wells, 60 s of panning: memory added", found["MB"], "MB", 400)
    yield at_most("O6", "… its rise per minute in the second half", found["rise"], "MB", 10)


def o7(folder: Path) -> Iterator[Figure]:
    """A run of 96 fields, 20 planes a second: written → in the overview."""
    found = run_child("tests.benchmarks.scenes", "live", str(folder))
    yield at_most("O7", "live, 20 planes/s: written → in the overview (p95)", found["p95"], "ms", 500)
    yield at_most("O7", "… fields missing at the end", found["missing"], "", 0)


_NAPARI = """
import statistics, sys, time
sys.path.append(sys.argv[1])  # after our packages
from napari_ome_zarr import napari_get_reader
times = []
for _ in range(3):
    start = time.perf_counter()
    levels = napari_get_reader(sys.argv[2])(sys.argv[2])[0][0]
    fitting = [level for level in levels if level.shape[-1] >= 1200 and level.shape[-2] >= 850]
    min(fitting, key=lambda level: level.shape[-1])[..., :, :].compute()
    times.append((time.perf_counter() - start) * 1e3)
print(statistics.median(times))
"""


def _by_napari(plate: Path, place: str) -> float:
    """Ms in which napari-ome-zarr reads the level of a plate that fits the window, in its own process.

    Importing it is not counted. `place`: the folder of ``pip install --target FOLDER napari-ome-zarr``.
    """
    command = [sys.executable, "-c", _NAPARI, place, str(plate)]
    said = subprocess.run(command, capture_output=True, text=True, check=True).stdout
    return float(said.split()[-1])  # it prints metadata, too


def _median_shown(plate: Path) -> float:
    found = [run_child("tests.benchmarks.scenes", "shown", str(plate))["all"] for _ in range(5)]
    return float(statistics.median(found))


def _bare(plate: Path) -> dict[str, float]:
    """Ms in which tensorstore reads the smallest level of every field, all at once, without a picture."""
    return {"tensorstore": run_child("tests.benchmarks.scenes", "by_tensorstore", str(plate))}


def by_tensorstore(plate: str) -> float:
    """Read the smallest level of every field; the median of three."""
    from pathlib import Path

    import tensorstore as ts

    arrays = [max(image.parent.glob("[0-9]*")) for image in sorted(Path(plate).glob("*/*/*/zarr.json"))]

    def read() -> None:
        specs = [{"driver": "zarr3", "kvstore": {"driver": "file", "path": f"{at}/"}} for at in arrays]
        opening = [ts.open(spec, open=True, read=True) for spec in specs]
        reading = [each.result()[0, 0, 0].read() for each in opening]
        for each in reading:
            each.result()

    return statistics.median(timed(read) for _ in range(3))


def _settle(folder: Path) -> None:
    """Wait until what was written is on the disk, and read it: all who are measured find it in memory.

    While a gigabyte is still being written, reading takes up to four times as long.
    """
    os.sync()
    for path in folder.rglob("*"):
        if path.is_file():
            path.read_bytes()


def _open_window() -> Any:
    """A window that has been open for some seconds: there is a spare reader process, as there always is."""
    from ndviewer_light.isolation.spare import prestart

    from .widget import Window

    prestart()  # at once, as `run` does
    window = Window(1200, 850)
    window.rest(3.0)
    return window


def _overview(window: Any, path: str) -> Any:
    """Open a dataset, and ask for its overview while it is opened, as by the key W."""
    overview = window.viewer._screen.tools.scene
    window.viewer.load_dataset(path)
    overview.toggle()
    window.wait(lambda: overview.is_shown)
    return overview


def _is_complete(overview: Any) -> bool:
    canvas = overview.canvas
    return canvas.scene is not None and not overview.is_busy and len(canvas.images) >= len(canvas.scene)


def away(path: str) -> float:
    """For how many ms the GUI thread computed at once, at most, until an overview was complete."""
    from .heartbeat import Heartbeat
    from .widget import Window

    window = Window(1200, 850)
    window.open(path)
    beat, overview = Heartbeat(), window.viewer._screen.tools.scene
    overview.show()
    window.wait(lambda: _is_complete(overview), 120)
    beat.stop()
    window.close()
    return max(beat.cpu)


def shown(path: str, rest_s: str = "0") -> dict[str, float]:
    """Times (ms) from the path until the first field is drawn, and until all are.

    Then it stays open for `rest_s`: what is kept on disk is written once nobody waits.
    """
    window = _open_window()
    start, first = time.perf_counter(), [0.0]
    overview = _overview(window, path)

    def ready() -> bool:
        if not first[0] and len(overview.canvas.images):
            first[0] = (time.perf_counter() - start) * 1e3
        return _is_complete(overview)

    window.wait(ready, 120)
    whole = (time.perf_counter() - start) * 1e3
    window.rest(float(rest_s))
    window.close()
    return {"first": first[0], "all": whole}


def panned(path: str, seconds: str) -> dict[str, float]:
    """Open, then pan and zoom for so long; ms until a frame is painted and until it is sharp, MB added."""
    import math

    from qtpy.QtCore import QPointF

    window = _open_window()
    start = time.perf_counter()
    overview = _overview(window, path)
    window.wait(lambda: _is_complete(overview), 120)
    whole = (time.perf_counter() - start) * 1e3
    canvas, before = overview.canvas, rss_bytes()
    frames: list[float] = []
    sharp: list[float] = []
    memory = [(time.monotonic(), before)]
    end, step = time.monotonic() + float(seconds), 0
    while time.monotonic() < end:
        step += 1
        began = time.perf_counter()
        if step % 12 == 0:
            canvas.zoom(2.0 if step % 48 else 1 / 8, QPointF(500, 400))
        else:
            shift, viewport = math.sin(step) * 160, canvas.viewport
            moved = viewport._replace(
                x=viewport.x + round(shift) * viewport.um_per_px,
                y=viewport.y + round(shift / 2) * viewport.um_per_px,
            )
            canvas._look_at(moved)
        canvas.repaint()
        frames.append((time.perf_counter() - began) * 1e3)
        window.wait(lambda: not overview.is_busy, 30)
        sharp.append((time.perf_counter() - began) * 1e3)
        if step % 5 == 0:
            memory.append((time.monotonic(), rss_bytes()))
    half = memory[len(memory) // 2 :]
    seconds_of_half = max(half[-1][0] - half[0][0], 1.0)
    rise = slope([size for _, size in half]) * (len(half) - 1) * 60 / seconds_of_half if half[1:] else 0.0
    added = max(size for _, size in memory) - before
    window.close()
    return {
        "all": whole,
        "frame": percentile(frames, 95),
        "sharp": percentile(sharp, 95),
        "MB": added / 1e6,
        "rise": rise / 1e6,
    }


def live(folder: str) -> dict[str, float]:
    """Push 96 fields, 20 planes a second, written by another process; ms until each is in the overview."""
    import subprocess
    import sys
    import threading
    from pathlib import Path

    from simulate_acquisition import Run, WrittenPlane, announce_run, notify_plane

    from .widget import Window

    regions = tuple(f"{row}{column}" for row in "ABCDEFGH" for column in range(1, 13))
    run = Run(Path(folder, "run"), regions=regions, fovs=(1,) * 96, channels=("DAPI",), n_t=1, n_z=1)
    window = Window(1200, 850)
    announce_run(window.viewer, run)
    window.wait(lambda: window.viewer.stage.dataset is not None)
    overview = window.viewer._screen.tools.scene
    overview.show()
    known = overview.canvas.marks_of
    window.wait(lambda: all(known(p) is not None for p in range(96)))  # as pending
    command = [sys.executable, "simulate_acquisition.py", str(run.folder), "--no-view", "--report"]
    command += ["--layout", run.layout, "--regions", *regions, "--fovs", *map(str, run.fovs)]
    command += ["--channels", *run.channels, "--n-t", "1", "--n-z", "1", "--rate", "20"]
    command += ["--size", str(run.height), str(run.width)]
    writer = subprocess.Popen(command, stdout=subprocess.PIPE, text=True)
    written: dict[int, float] = {}
    seen: dict[int, float] = {}

    def push() -> None:
        assert writer.stdout is not None
        for line in writer.stdout:
            plane = WrittenPlane(**json.loads(line))
            notify_plane(window.viewer, run, plane)
            written[plane.fov] = time.perf_counter()

    pushing = threading.Thread(target=push)
    pushing.start()

    def all_seen() -> bool:
        now = time.perf_counter()
        for p in list(written):
            if p not in seen and overview.canvas.image_of(p) is not None and overview.canvas.is_complete:
                seen[p] = now
        return not pushing.is_alive() and len(seen) == 96

    window.wait(all_seen, 90)
    writer.wait()
    window.close()
    return {
        "p95": percentile([(seen[p] - written[p]) * 1e3 for p in seen], 95),
        "missing": float(96 - len(seen)),
    }
