"""``python -m tests.live_table [WRITER …]``: what became of their planes, a table for ``docs/live.md``.

Each writer, and the widget that shows what it writes, have processes of their own. Needs a display.
"""

from __future__ import annotations

import argparse
import os
import platform
import sys
import tempfile
from pathlib import Path
from typing import TYPE_CHECKING, Any

from tests.benchmarks.__main__ import has_screen
from tests.benchmarks.children import ROOT, run_child
from tests.benchmarks.measure import percentile
from tests.live_writers.registry import WRITERS

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

PAGE = ROOT / "docs" / "live.md"
_BEGIN, _END = "<!-- writers: begin -->\n", "<!-- writers: end -->\n"
_HEAD = """| writer | planes written | seen live | shown in the end | wrong | median, ms | p95, ms | |
| --- | --- | --- | --- | --- | --- | --- | --- |
"""


def measure(name: str, folder: str, planes: str, rate: str, size: str) -> dict[str, Any]:
    """Let one writer write, and judge what is shown."""
    from tests.benchmarks.widget import Window
    from tests.live_judge import judge

    window = Window(900, 700)
    path = Path(folder, f"run{WRITERS[name].suffix}")
    plan = WRITERS[name].plan(int(planes), rate=float(rate), height=int(size), width=int(size))
    verdict = judge(window.viewer, name, path, plan)
    window.close()
    return {
        "written": verdict.written,
        "live": verdict.live,
        "shown": verdict.shown,
        "wrong": len(verdict.wrong),
        "latencies": verdict.latencies,
        "said": str(verdict),
    }


def line(name: str, result: dict[str, Any]) -> str:
    """One row of the table."""
    latencies = result["latencies"]
    times = [f"{percentile(latencies, percent):.0f}" if latencies else "–" for percent in (50, 95)]
    counts = [str(result[key]) for key in ("written", "live", "shown", "wrong")]
    return f"| {' | '.join([f'`{name}`', *counts, *times, WRITERS[name].note])} |\n".replace(" |  |", " | |")


def main(arguments: Sequence[str] | None = None) -> int:
    """The command."""
    parser = argparse.ArgumentParser(prog="python -m tests.live_table", description=__doc__)
    parser.add_argument(
        "writers", nargs="*", metavar="WRITER", help=f"of {', '.join(WRITERS)}; all without any"
    )
    parser.add_argument("--planes", type=int, default=24)
    parser.add_argument("--rate", type=float, default=4.0, help="planes/s")
    parser.add_argument("--size", type=int, default=1024, help="rows and columns of a plane")
    parser.add_argument(
        "--write", action="store_true", help=f"put it into {PAGE.name}; rows of other writers stay"
    )
    options = parser.parse_args(arguments)
    unknown = [name for name in options.writers if name not in WRITERS]
    if unknown:
        parser.error(f"there is no writer {', '.join(unknown)}: choose from {', '.join(WRITERS)}")
    if not has_screen():
        parser.error("this needs a screen: set DISPLAY, or run it under xvfb-run")
    _say(_HEAD)
    rows, loads, is_good = {}, [], True
    for name in options.writers or WRITERS:
        row, good = _row(name, options.planes, options.rate, options.size)
        is_good &= good
        rows[name] = row
        loads.append(os.getloadavg()[0])
        _say(row)
    said = (
        f"{options.planes} planes of {options.size}² at {options.rate:g} planes/s; {os.cpu_count()} cores "
        f"under a load of {min(loads):.0f} to {max(loads):.0f}, Python {platform.python_version()}.\n\n"
    )
    if options.write:
        _put_in_page(said, rows)
    return int(not is_good)


def _row(name: str, planes: int, rate: float, size: int) -> tuple[str, bool]:
    """The row of a writer, and whether all was well."""
    missing = WRITERS[name].missing
    if missing:
        return f"| `{name}` | | | | | | | not measured: `{missing}` is not installed |\n", True
    with tempfile.TemporaryDirectory(prefix="ndviewer-live-") as folder:
        sizes = map(str, (planes, rate, size))
        try:
            result = run_child("tests.live_table", "measure", name, folder, *sizes, timeout_s=300)
        except RuntimeError as error:
            _say(f"{error}\n")
            return f"| `{name}` | | | | | | | could not be measured |\n", False
    is_good = result["shown"] == result["written"] and not result["wrong"]
    if not is_good:
        sys.stderr.write(f"{name}: {result['said']}\n")
    return line(name, result), is_good


def _put_in_page(said: str, rows: Mapping[str, str]) -> None:
    text = PAGE.read_text()
    before, rest = text.split(_BEGIN)
    there, after = rest.split(_END)
    lines = there.splitlines(keepends=True)
    kept = {line.split("`")[1]: line for line in lines if line.startswith("| `")}
    table = "".join({**kept, **rows}[name] for name in WRITERS if name in kept or name in rows)
    PAGE.write_text(f"{before}{_BEGIN}{said}{_HEAD}{table}{_END}{after}")


def _say(text: str) -> None:
    sys.stdout.write(text)
    sys.stdout.flush()


if __name__ == "__main__":
    sys.exit(main())
