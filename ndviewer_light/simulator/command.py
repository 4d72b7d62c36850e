"""The command line: write a simulated acquisition, and show it unless told not to."""

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

from .run import CHANNELS, CHUNKS, COMPRESSIONS, DTYPES, LAYOUTS, Run
from .view import view_run
from .writing import refuse_used, write_run

if TYPE_CHECKING:
    from collections.abc import Sequence

    from .run import WrittenPlane

# this command in another process, from any directory, installed or not
_AGAIN = f"""
import sys
sys.path.insert(0, {str(Path(__file__).resolve().parents[2])!r})
from ndviewer_light.simulator import main
sys.exit(main())
"""


def main(arguments: Sequence[str] | None = None) -> int:
    """Write a simulated acquisition, and show it unless told not to; returns the exit status."""
    arguments = sys.argv[1:] if arguments is None else list(arguments)
    parser = _parser()
    options = parser.parse_args(arguments)
    if options.folder is None:
        options.folder = Path(tempfile.mkdtemp(prefix="simulated_")) / time.strftime("demo_%Y-%m-%d_%H-%M-%S")
        arguments = [str(options.folder), *arguments]
    try:
        run = run_from(options)
        refuse_used(run.folder)
    except (ValueError, FileExistsError) as error:
        parser.error(str(error))
    if not options.view:
        return _write(run, options)
    script = [sys.executable, "-c", _AGAIN, *arguments]
    if not has_display():
        picture = [] if options.screenshot else ["--screenshot", str(run.folder.with_suffix(".png"))]
        return _run_on_virtual_display([*script, *picture])
    signal.signal(signal.SIGINT, signal.SIG_DFL)  # Qt runs no Python code while nothing happens
    sys.stdout.write(f"writing to {run.folder}\n")
    sys.stdout.flush()
    writer = [*script, "--no-view", "--report"]
    return view_run(run, writer, screenshot=options.screenshot, close_after=options.close_after)


def _write(run: Run, options: argparse.Namespace) -> int:
    report = _print_report if options.report else None
    behaviour = {"rate": options.rate, "stop_after": options.stop_after, "start_delay": options.start_delay}
    count = write_run(run, report=report, **behaviour)
    if report is None:
        sys.stdout.write(f"{count} planes in {run.folder}\n")
    return 0


def _print_report(plane: WrittenPlane) -> None:
    try:
        sys.stdout.write(json.dumps(plane._asdict()) + "\n")
        sys.stdout.flush()
    except BrokenPipeError:  # nobody listens any more: end as a killed writer does
        os._exit(1)


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="simulate_acquisition.py", description="Write a simulated acquisition, and show it live."
    )
    add = parser.add_argument
    add(
        "folder",
        nargs="?",
        type=Path,
        help="the experiment folder, new; put it first (default: temporary)",
    )
    add("--layout", choices=LAYOUTS, default="hcs", help="of the stores (default %(default)s)")
    add("--regions", nargs="+", metavar="N|NAME", help="how many regions, or their names")
    add(
        "--wells",
        nargs="+",
        dest="regions",
        metavar="WELL",
        help="names of the regions, as wells: A1 B2 AA12",
    )
    add(
        "--fovs",
        nargs="+",
        type=int,
        default=[4, 6, 3],
        metavar="N",
        help="FOVs per region, used in turn (default 4 6 3)",
    )
    add("--channels", nargs="+", default=list(CHANNELS), metavar="NAME", help="channel names (default: four)")
    add("--n-t", type=int, default=3, help="timepoints (%(default)s)")
    add("--n-z", type=int, default=3, help="planes per z-stack (%(default)s)")
    add(
        "--size",
        nargs="+",
        type=int,
        default=(1024,),
        metavar="PX",
        help="height and width, or one for both (1024)",
    )
    add("--dtype", choices=DTYPES, default="uint16", metavar="DTYPE", help="of the pixels (%(default)s)")
    add("--compression", choices=tuple(COMPRESSIONS), default="fast", help="Squid's presets (%(default)s)")
    add("--chunks", choices=tuple(CHUNKS), default="full", help="whole frames, or square tiles")
    add("--seed", type=int, default=0, help="other seeds, other cells")
    add("--dt", type=float, default=10.0, help="s between timepoints, as the metadata say (%(default)s)")
    add("--dz", type=float, default=1.5, help="µm between planes of a stack (%(default)s)")
    add("--pixel-size", type=float, default=0.325, help="µm (%(default)s)")
    add("--blank", nargs="+", type=int, default=[], metavar="N", help="planes that are all zero, by number")
    add("--rate", type=float, default=20.0, help="planes per second, 0 for as fast as possible (%(default)s)")
    add("--start-delay", type=float, default=0.0, help="s before the first store is made")
    add("--stop-after", type=int, metavar="N", help="stop after N planes, as if killed")
    add("--report", action="store_true", help="without viewer: print a JSON line after each plane")
    add("--view", action=argparse.BooleanOptionalAction, default=True, help="show it in the viewer")
    add("--screenshot", type=Path, metavar="PNG", help="at the end save a picture of the window, and close")
    add("--close-after", type=float, metavar="S", help="close the window S seconds after the end")
    return parser


def run_from(options: argparse.Namespace) -> Run:
    regions, fovs = options.regions or [str(len(options.fovs))], options.fovs
    if len(regions) == 1 and regions[0].isdecimal():
        names = [f"{row}{column}" for row in "ABCDEFGH" for column in range(1, 13)]
        count = int(regions[0])
        regions = names[:count] if options.layout == "hcs" else [f"R{i}" for i in range(count)]
    if len(options.size) > 2:
        raise ValueError(f"size is {options.size}: expected height and width, or one number for both")
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
    )


def has_display() -> bool:
    names = ("DISPLAY", "WAYLAND_DISPLAY", "QT_QPA_PLATFORM")
    return sys.platform != "linux" or any(os.environ.get(name) for name in names)


def _run_on_virtual_display(command: list[str]) -> int:
    """Run `command` with an X server of its own, which outlives it, and return its exit status."""
    if shutil.which("Xvfb") is None:
        sys.stderr.write(
            "there is no display: set DISPLAY, or install a virtual one (apt-get install xvfb)\n"
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
