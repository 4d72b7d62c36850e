"""TIFF files and sets of them as different programs write them, with the pixels that are right.

Every plane is `plane(t, p, c, z)`, so that a plane in the wrong place is noticed. Each writer returns what to
open, and what must be found there: of every position its name and its pixels (T, C, Z, Y, X).
"""

from __future__ import annotations

from pathlib import Path

import ome_tiff_dialects
import page_tiff_dialects
import program_tiff_dialects
from tiff_cases import WRITERS

DIALECTS = {
    name: write
    for module in (ome_tiff_dialects, page_tiff_dialects, program_tiff_dialects)
    for name, write in WRITERS.items()
    if write.__module__ == module.__name__
}
"""Every case by its name, whichever module was imported first."""

# ---- the table in the documentation ------------------------------------------------------------------

BEGIN, END = "<!-- dialects: begin -->", "<!-- dialects: end -->"


def table() -> str:
    """What opens, and which case of the tests shows it."""
    rows = [
        f"| {' '.join((write.__doc__ or '').split()).rstrip('.')} | `{name}` |"
        for name, write in DIALECTS.items()
    ]
    return "\n".join(["| what programs write, and what is right | case |", "| --- | --- |", *rows])


def main() -> None:
    """Write the table into the documentation."""
    path = Path(__file__).parents[1] / "docs" / "formats.md"
    before, _, rest = path.read_text("utf-8").partition(BEGIN)
    path.write_text(f"{before}{BEGIN}\n{table()}\n{END}{rest.partition(END)[2]}", "utf-8")


if __name__ == "__main__":
    main()
