"""``python -m tests.benchmarks [ROW …] [--json FILE]``: the rows, each in its own processes, as a table."""

from __future__ import annotations

import argparse
import json
import os
import sys
import tempfile
import time
from dataclasses import asdict
from importlib import import_module
from pathlib import Path
from typing import TYPE_CHECKING

from .children import run_child
from .measure import Figure

if TYPE_CHECKING:
    from collections.abc import Sequence

# row → module, function, whether it needs a screen
ROWS = {
    "P1": ("planes", "p1", False),
    "P2": ("planes", "p2", False),
    "P3": ("plates", "p3", True),
    "P4": ("plates", "p4", False),
    "P6": ("live", "p6", True),
    "P6s": ("on_screen", "p6s", False),  # it has a screen of its own
    "P8": ("live", "p8", True),
    "P9": ("scrub", "p9", True),
    "P11": ("start", "p11", True),
    "P12": ("memory", "p12", True),
    "P12c": ("memory", "p12c", True),
    "P12d": ("memory", "p12d", True),
    "P12b": ("start", "p12b", True),
    "R1": ("remote", "r1", False),
    "R2": ("remote", "r2", False),
    "R3": ("remote", "r3", False),
    "R4": ("remote", "r4", False),
    "Z1": ("remote_zarr", "z1", False),
    "Z2": ("remote_zarr", "z2", False),
    "Z3": ("remote_zarr", "z3", False),
    "Z4": ("remote_zarr", "z4", False),
    "Z5": ("remote_zarr", "z5", False),
    "N1": ("nd2", "n1", False),
    "N2": ("nd2", "n2", False),
    "D1": ("hdf5", "d1", False),
    "D2": ("hdf5", "d2", False),
    "D3": ("hdf5", "d3", False),
    "K1": ("references", "k1", False),
    "K2": ("references", "k2", False),
    "K3": ("references", "k3", False),
    "K4": ("references", "k4", False),
    "S1": ("systems", "s1", False),
    "S2": ("systems", "s2", False),
    "S3": ("systems", "s3", False),
    "S4": ("systems", "s4", False),
    "T1": ("tiffs", "t1", False),
    "T2": ("tiffs", "t2", False),
    "T3": ("tiffs", "t3", False),
    "L1": ("slides", "l1", False),
    "L2": ("slides", "l2", True),
    "M1": ("plane_statistics", "m1", False),
    "M2": ("plane_statistics", "m2", False),
    "M3": ("plane_statistics", "m3", False),
    "M4": ("plane_statistics", "m4", True),
    "F1": ("follow", "f1", False),
    "F2": ("follow", "f2", True),
    "F3": ("follow", "f3", True),
    "F3b": ("follow", "f3b", True),
    "F4": ("follow", "f4", False),
    "O1": ("scenes", "o1", True),
    "O2": ("scenes", "o2", True),
    "O3": ("scenes", "o3", True),
    "O4": ("scenes", "o4", True),
    "O5": ("scenes", "o5", True),
    "O6": ("scenes", "o6", True),
    "O7": ("scenes", "o7", True),
    "O8": ("plane_statistics", "o8", True),
    "U1": ("moving", "u1", True),
    "H1": ("host", "h1", True),
    "H2": ("host", "h2", True),
    "H3": ("host", "h3", True),
    "H4": ("host", "h4", True),
}
_ROW_SECONDS = 180  # a row takes less than a minute; on a machine that others use, more
_LONG_ROWS = {"U1": 600, "P12": 600, "P12c": 600, "P12d": 900}  # thousands of changes, 120 runs


def measure_row(row: str, folder: str) -> list[dict[str, object]]:
    """The figures of one row, its files in `folder`."""
    module, function, _ = ROWS[row]
    figures = getattr(import_module(f"tests.benchmarks.{module}"), function)(Path(folder))
    return [asdict(figure) for figure in figures]


def main(arguments: Sequence[str] | None = None) -> int:
    """Measure, print, and say by the exit status whether everything could be measured."""
    parser = argparse.ArgumentParser(prog="python -m tests.benchmarks", description=__doc__)
    parser.add_argument("rows", nargs="*", metavar="ROW", help=f"of {', '.join(ROWS)}; all without any")
    parser.add_argument("--json", type=Path, metavar="FILE", help="write the figures there as well")
    options = parser.parse_args(arguments)
    unknown = [row for row in options.rows if row not in ROWS]
    if unknown:
        parser.error(f"there is no row {', '.join(unknown)}: choose from {', '.join(ROWS)}")
    _say(_HEAD)
    results, failed = [], False
    for row in options.rows or ROWS:
        figures, seconds = _measured(row)
        failed |= not figures
        results.append({"row": row, "seconds": round(seconds, 1), "figures": [asdict(f) for f in figures]})
        for figure in figures:
            _say(_line(figure))
        _say(f"{row:5} took {seconds:.0f} s")
    if options.json is not None:
        options.json.write_text(json.dumps(results, indent=1))
    return int(failed)


def _measured(row: str) -> tuple[list[Figure], float]:
    if ROWS[row][2] and not has_screen():
        _say(f"{row:5} needs a screen: set DISPLAY, or run it under xvfb-run")
        return [], 0.0
    start = time.monotonic()
    with tempfile.TemporaryDirectory(prefix="ndviewer-benchmark-") as folder:
        try:
            said = run_child(
                "tests.benchmarks.__main__",
                "measure_row",
                row,
                folder,
                timeout_s=_LONG_ROWS.get(row, _ROW_SECONDS),
            )
        except RuntimeError as error:
            _say(f"{row:5} could not be measured: {error}")
            said = []
    return [Figure(**figure) for figure in said], time.monotonic() - start


def has_screen() -> bool:
    """Whether there is a screen to draw on; Qt's own offscreen platform has no OpenGL."""
    return sys.platform != "linux" or bool(os.environ.get("DISPLAY") or os.environ.get("WAYLAND_DISPLAY"))


_HEAD = f"{'row':5} {'figure':56} {'ours':>10} {'judged':>8} {'target':>8} met  beside it"


def _line(figure: Figure) -> str:
    beside = ", ".join(f"{name} {_number(value)}" for name, value in figure.peers.items())
    ours = f"{_number(figure.ours)} {figure.unit}"
    met = "yes" if figure.met else "NO "
    judged = _number(figure.judged)
    return f"{figure.row:5} {figure.what:56} {ours:>10} {judged:>8} {figure.target:>8} {met}  {beside}"


def _number(value: float) -> str:
    return f"{value:.0f}" if abs(value) >= 100 else f"{value:.3g}"


def _say(text: str) -> None:
    sys.stdout.write(text + "\n")
    sys.stdout.flush()


if __name__ == "__main__":
    sys.exit(main())
