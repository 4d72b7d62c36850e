"""The command line: write a simulated acquisition and show it."""

from __future__ import annotations

import argparse
import json
import os
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import TYPE_CHECKING

from .faults import Faults, mistaken_layout
from .run import (
    CHANNELS,
    CHUNKS,
    COMPRESSIONS,
    DTYPES,
    IMAGE_FORMATS,
    LAYOUTS,
    Run,
)
from .view import view_run
from .writing import refuse_used, write_run

if TYPE_CHECKING:
    from collections.abc import Sequence

    from .run import WrittenPlane

# runs this command in another process, from any directory, installed or not
_THIS_COMMAND = f"""
import sys
sys.path.insert(0, {str(Path(__file__).resolve().parents[2])!r})
from ndviewer_light.simulator import main
sys.exit(main())
"""


def main(arguments: Sequence[str] | None = None) -> int:
    """Write a simulated acquisition and show it, unless ``--no-view``; returns the exit status."""
    arguments = sys.argv[1:] if arguments is None else list(arguments)
    parser = _parser()
    options = parser.parse_args(arguments)
    if options.folder is None:
        options.folder = Path(tempfile.mkdtemp(prefix="simulated_")) / time.strftime("demo_%Y-%m-%d_%H-%M-%S")
        arguments = [str(options.folder), *arguments]
    try:
        run = run_from(options)
        faults = faults_from(options, run)
        refuse_used(run.folder)
    except (ValueError, FileExistsError) as error:
        parser.error(str(error))
    if not options.view:
        return _write(run, faults, options)
    script = [sys.executable, "-c", _THIS_COMMAND, *arguments]
    if not has_display():
        picture = [] if options.screenshot else ["--screenshot", str(run.folder.with_suffix(".png"))]
        return _run_on_virtual_display([*script, *picture])
    signal.signal(signal.SIGINT, signal.SIG_DFL)  # while idle, Qt runs no Python signal handlers
    sys.stdout.write(f"writing to {run.folder}\n")
    sys.stdout.flush()
    writer = [*script, "--no-view", "--report"]
    return view_run(
        run, writer, faults=faults, screenshot=options.screenshot, close_after=options.close_after
    )


def _write(run: Run, faults: Faults, options: argparse.Namespace) -> int:
    report, ended = (_print_report, _close_output) if options.report else (None, None)
    behaviour = {"rate": options.rate, "stop_after": options.stop_after, "start_delay": options.start_delay}
    count = write_run(run, report=report, ended=ended, faults=faults, **behaviour)
    if report is None:
        sys.stdout.write(f"{count} plane{'s' * (count != 1)} in {run.folder}\n")
    return 0


def _print_report(plane: WrittenPlane) -> None:
    try:
        sys.stdout.write(json.dumps(plane._asdict()) + "\n")
        sys.stdout.flush()
    except BrokenPipeError:  # nobody is listening any more: end like a killed writer
        os._exit(1)


def _close_output() -> None:
    """Tell the reader of the reports that there will be no more, while this process continues."""
    sys.stdout.flush()
    nowhere = os.open(os.devnull, os.O_WRONLY)
    os.dup2(nowhere, sys.stdout.fileno())
    os.close(nowhere)


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="simulate_acquisition.py",
        description="Simulate a Squid acquisition: write it to disk and watch it live in the viewer.",
    )
    add = parser.add_argument
    add(
        "folder",
        nargs="?",
        type=Path,
        help="new experiment folder, as the first argument (default: a temporary one)",
    )
    add(
        "--layout",
        choices=LAYOUTS,
        default="hcs",
        help="how the run is stored on disk (default: %(default)s)",
    )
    add("--regions", nargs="+", metavar="N|NAME", help="number of regions, or their names")
    add(
        "--wells",
        nargs="+",
        dest="regions",
        metavar="WELL",
        help="same as --regions, for wells: A1 B2 AA12",
    )
    add(
        "--fovs",
        nargs="+",
        type=int,
        default=[4, 6, 3],
        metavar="N",
        help="FOVs per region, cycled if there are more regions; 0 for a region that is not visited "
        "(default: 4 6 3)",
    )
    add(
        "--channels",
        nargs="+",
        default=list(CHANNELS),
        metavar="NAME",
        help="channel names (default: four fluorescence channels)",
    )
    add("--n-t", type=int, default=3, help="number of time points (default: %(default)s)")
    add("--n-z", type=int, default=3, help="planes per z stack (default: %(default)s)")
    add(
        "--size",
        nargs="+",
        type=int,
        default=(1024,),
        metavar="PX",
        help="image height and width in pixels, or one number for both (default: 1024)",
    )
    add(
        "--dtype", choices=DTYPES, default="uint16", metavar="DTYPE", help="pixel type (default: %(default)s)"
    )
    add(
        "--compression",
        choices=tuple(COMPRESSIONS),
        default="fast",
        help="compression preset, as in Squid (default: %(default)s)",
    )
    add(
        "--chunks",
        choices=tuple(CHUNKS),
        default="full",
        help="chunk size: the full frame, or square tiles of 512 or 256 px (default: %(default)s)",
    )
    add("--seed", type=int, default=0, help="random seed; another seed gives other cells")
    add(
        "--dt",
        type=float,
        default=10.0,
        help="time step written to the metadata, in s (default: %(default)s)",
    )
    add("--dz", type=float, default=1.5, help="z step in µm (default: %(default)s)")
    add("--pixel-size", type=float, default=0.325, help="pixel size in µm (default: %(default)s)")
    add(
        "--blank",
        nargs="+",
        type=int,
        default=[],
        metavar="N",
        help="make these planes all zero; numbered in acquisition order from 0",
    )
    add("--skip-t", nargs="+", type=int, default=[], metavar="T", help="skip these time points")
    add(
        "--padding",
        type=int,
        default=0,
        metavar="N",
        help="zero-pad numbers in file names to N digits (default: no padding)",
    )
    add(
        "--format",
        choices=IMAGE_FORMATS,
        default="tiff",
        help="file format of 8-bit images (default: %(default)s)",
    )
    add(
        "--rate",
        type=float,
        default=20.0,
        help="planes per second; 0 for as fast as possible (default: %(default)s)",
    )
    add("--start-delay", type=float, default=0.0, help="seconds to wait before the first image is created")
    add("--stop-after", type=int, metavar="N", help="stop after N planes as if the writer had been killed")
    add("--report", action="store_true", help="with --no-view: print a line of JSON after each plane")
    add(
        "--view",
        action=argparse.BooleanOptionalAction,
        default=True,
        help="show the run in the viewer (default), or only write it",
    )
    add(
        "--screenshot",
        type=Path,
        metavar="PNG",
        help="at the end of the run, save a screenshot of the window and close it",
    )
    add("--close-after", type=float, metavar="S", help="close the window S seconds after the run has ended")
    _add_faults(parser.add_argument_group("faults seen with Squid (all off by default)"))
    return parser


def _add_faults(group: argparse._ArgumentGroup) -> None:
    add = group.add_argument
    add(
        "--late-files",
        type=float,
        default=0.0,
        metavar="S",
        help="files are completed only S seconds after they are announced",
    )
    add(
        "--lagging-notifications",
        action="store_true",
        help="one notification per move to the next field of view, all others at the end",
    )
    add("--no-notifications", action="store_true", help="no notifications at all (Zarr layouts)")
    add("--wrong-paths", action="store_true", help="announce a different layout, as Squid does by mistake")
    add("--announce", choices=LAYOUTS, metavar="LAYOUT", help="announce this layout instead")
    add("--wrong-size", nargs=2, type=int, metavar=("H", "W"), help="announce this size instead")
    add("--skip-saving", action="store_true", help="announce everything, save nothing")
    add(
        "--complete-after",
        type=float,
        default=0.0,
        metavar="S",
        help="mark the run complete S seconds after it has ended",
    )
    add("--never-complete", action="store_true", help="never mark the run complete")
    add("--aborted", action="store_true", help="mark the run aborted instead of complete")


def faults_from(options: argparse.Namespace, run: Run) -> Faults:
    """The faults to simulate; `ValueError` for those that cannot happen to `run`."""
    faults = Faults(
        late_files=options.late_files,
        skip_saving=options.skip_saving,
        complete_after=options.complete_after,
        never_complete=options.never_complete,
        aborted=options.aborted,
        lagging_notifications=options.lagging_notifications,
        no_notifications=options.no_notifications,
        announced_layout=options.announce or (mistaken_layout(run) if options.wrong_paths else None),
        announced_size=tuple(options.wrong_size) if options.wrong_size else None,
    )
    faults.check(run)
    return faults


def run_from(options: argparse.Namespace) -> Run:
    regions, fovs = options.regions or [str(len(options.fovs))], options.fovs
    if len(regions) == 1 and regions[0].isdecimal():
        names = [f"{row}{column}" for row in "ABCDEFGH" for column in range(1, 13)]
        count = int(regions[0])
        regions = [f"R{i}" for i in range(count)] if options.layout in ("per_fov", "6d") else names[:count]
    if len(options.size) > 2:
        raise ValueError(
            f"--size {' '.join(map(str, options.size))}: expected height and width, or one number for both"
        )
    return Run(
        folder=options.folder.resolve(),
        layout=options.layout,
        regions=tuple(regions),
        fovs=tuple(fovs[i % len(fovs)] for i in range(len(regions))),
        channels=tuple(options.channels),
        n_t=options.n_t,
        n_z=options.n_z,
        height=options.size[0],
        width=options.size[-1],
        dtype=options.dtype,
        compression=options.compression,
        chunks=options.chunks,
        seed=options.seed,
        dt_s=options.dt,
        dz_um=options.dz,
        pixel_size_um=options.pixel_size,
        blank=tuple(options.blank),
        skip_t=tuple(options.skip_t),
        padding=options.padding,
        image_format=options.format,
    )


def has_display() -> bool:
    names = ("DISPLAY", "WAYLAND_DISPLAY", "QT_QPA_PLATFORM")
    return sys.platform != "linux" or any(os.environ.get(name) for name in names)


def _run_on_virtual_display(command: list[str]) -> int:
    """Run `command` on a virtual X display and return its exit status."""
    if shutil.which("Xvfb") is None:
        sys.stderr.write(
            "no display available: set DISPLAY, or install a virtual one (apt-get install xvfb)\n"
        )
        return 1
    reading, writing = os.pipe()
    options = ["-displayfd", str(writing), "-screen", "0", "1920x1200x24", "-nolisten", "tcp"]
    server = subprocess.Popen(["Xvfb", *options], pass_fds=[writing], stderr=subprocess.DEVNULL)
    os.close(writing)
    try:
        with open(reading) as answer:
            display = ":" + answer.readline().strip()  # the server answers when it is ready
        return subprocess.run(command, env={**os.environ, "DISPLAY": display}, check=False).returncode
    finally:
        server.terminate()
        server.wait()
