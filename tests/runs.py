"""Simulated runs for the tests of the widget: written by another process, opened or followed."""

from __future__ import annotations

import dataclasses
import json
import shutil
import subprocess
import sys
import tempfile
import threading
from pathlib import Path
from typing import TYPE_CHECKING

from simulate_acquisition import Run, WrittenPlane, notify_plane, plane_pixels

if TYPE_CHECKING:
    import numpy as np
    from pytestqt.qtbot import QtBot

    from ndviewer_light.gui.viewer import LightweightViewer

REPO = Path(__file__).parents[1]
LAYOUTS = ("per_fov", "hcs", "6d")
CHANNELS = ("Fluorescence 405 nm Ex", "Fluorescence 488 nm Ex")


def small_run(folder: Path, layout: str = "per_fov", **more: object) -> Run:
    settings = {
        "layout": layout,
        "regions": ("A1", "B2"),
        "fovs": (2, 1),
        "channels": CHANNELS,
        "n_t": 2,
        "n_z": 2,
        "height": 96,
        "width": 128,
    }
    return Run(folder, **{**settings, **more})  # type: ignore[arg-type]


_WRITTEN: dict[tuple[str, ...], tempfile.TemporaryDirectory[str]] = {}  # by command, until Python ends


def write(run: Run, *options: str) -> None:
    """Write `run` in a process of its own, as a host does: this one never loads tensorstore.

    One that was written before to another folder is copied, with the times of its files.
    """
    kept = dataclasses.replace(run, folder=Path("run"))
    which = tuple(writer_command(kept, *options))
    if which not in _WRITTEN:
        folder = tempfile.TemporaryDirectory(prefix="written-")
        kept = dataclasses.replace(run, folder=Path(folder.name, "run"))
        subprocess.run(writer_command(kept, *options), check=True, capture_output=True)
        _WRITTEN[which] = folder
    if run.folder.exists() and any(run.folder.iterdir()):
        raise FileExistsError(run.folder)
    shutil.copytree(Path(_WRITTEN[which].name, "run"), run.folder, dirs_exist_ok=True)


def writer_command(run: Run, *options: str) -> list[str]:
    command = [sys.executable, str(REPO / "simulate_acquisition.py"), str(run.folder), "--no-view"]
    command += ["--layout", run.layout, "--regions", *run.regions, "--fovs", *map(str, run.fovs)]
    command += ["--channels", *run.channels, "--n-t", str(run.n_t), "--n-z", str(run.n_z)]
    command += ["--size", str(run.height), str(run.width), "--compression", run.compression]
    command += ["--dtype", run.dtype, "--seed", str(run.seed), "--rate", "0", *options]
    return command + (["--blank", *map(str, run.blank)] if run.blank else [])


def planes_of(run: Run, t: int, p: int, z: int) -> dict[str, np.ndarray]:
    """The pixels of every channel at one place."""
    return {channel: plane_pixels(run, t, p, z, channel) for channel in run.channels}


def load(qtbot: QtBot, viewer: LightweightViewer, path: Path) -> None:
    """Open `path` and wait until it is."""
    with qtbot.waitSignal(viewer.dataset_loaded, timeout=20_000):
        viewer.load_dataset(str(path))


def follow(qtbot: QtBot, viewer: LightweightViewer, run: Run) -> None:
    """Write `run` in another process and push every plane it reports, from a thread of its own."""
    writer = subprocess.Popen(writer_command(run, "--report"), stdout=subprocess.PIPE, text=True)

    def push() -> None:
        for line in writer.stdout:
            notify_plane(viewer, run, WrittenPlane(**json.loads(line)))

    thread = threading.Thread(target=push)
    thread.start()
    qtbot.waitUntil(lambda: not thread.is_alive(), timeout=60_000)
    thread.join()
    assert writer.wait(60) == 0
    writer.stdout.close()
