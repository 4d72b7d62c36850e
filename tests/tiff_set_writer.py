"""Sets of TIFFs that grow, written by a process of its own: ``python -m tests.tiff_set_writer KIND FOLDER``.

A step is written for each line on standard input, which is answered by a line once it is on disk.
"""

from __future__ import annotations

import contextlib
import json
import struct
import subprocess
import sys
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterator

    import numpy as np

ROOT = Path(__file__).resolve().parents[1]


def planned(folder: Path, step: int) -> None:
    """A file for each time, which all describe the run as it is planned: 3 times."""
    names = [f"run#1_t{t}.ome.tif" for t in range(3)]
    inside = "".join(data(names[t], uuid(t), FirstT=t, PlaneCount=2) for t in range(3))
    xml = ome([("A", {"SizeT": 3, "SizeC": 2}, inside)], uuid(step))
    write_pages(folder / names[step], image(3, 2)[step].reshape(-1, HEIGHT, WIDTH), xml)


def same_xml(folder: Path, step: int) -> None:
    """Micro-Manager: a file for each position, with the same OME-XML in each."""
    names = [f"run_MMStack_Pos{p}.ome.tif" for p in range(3)]
    sizes = {"SizeT": 2, "SizeC": 2}
    xml = ome([(f"Pos{p}", sizes, data(names[p], uuid(p), IFD=0, PlaneCount=4)) for p in range(3)], uuid(0))
    write_pages(folder / names[step], pages(image(2, 2, p=step)), xml)


def companion(folder: Path, step: int) -> None:
    """A file for each time, and a companion file that is written anew for each."""
    n = step + 1
    name = f"run_t{step}.ome.tif"
    only = f'<BinaryOnly MetadataFile="run.companion.ome" UUID="urn:uuid:{uuid(99)}"/>'
    write_pages(folder / name, image(3, 2)[step].reshape(-1, HEIGHT, WIDTH), ome([], uuid(step), before=only))
    inside = "".join(data(f"run_t{t}.ome.tif", uuid(t), FirstT=t, PlaneCount=2) for t in range(n))
    xml = ome([("A", {"SizeT": n, "SizeC": 2}, inside)], uuid(99))
    (folder / "run.companion.ome").write_text(xml)


def stacks(folder: Path, step: int) -> None:
    """Micro-Manager's stacks without OME-XML: a file for each position, one after the other."""
    order = [(t, c, z) for t in range(2) for c in range(2) for z in range(3)]
    write_indexed(folder / f"run_MMStack_Pos{step}.tif", image(2, 2, 3, step), order, step, Positions=3)


def ndtiff(folder: Path, step: int) -> None:
    """NDTiff: pages are appended to a file, and entries to the index, which comes after them."""
    path, index = folder / "run_NDTiffStack.tif", b""
    for c, channel in enumerate(("DAPI", "GFP")):
        tifffile.imwrite(path, plane(step, 0, c), append=True, photometric="minisblack", metadata=None)
        with tifffile.TiffFile(path) as file:
            at = int(file.pages[-1].dataoffsets[0])
        axes = json.dumps({"time": step, "channel": channel}).encode()
        index += struct.pack("<I", len(axes)) + axes
        index += struct.pack("<I", len(path.name)) + path.name.encode()
        index += struct.pack("<IiiiiIii", at, WIDTH, HEIGHT, 1, 0, 0, 0, 0)
    with open(folder / "NDTiff.index", "ab") as out:
        out.write(index)


def appended(folder: Path, step: int) -> None:
    """A single file to which arrays are appended."""
    path = folder / "run.tif"
    tifffile.imwrite(path, plane(step), append=True, photometric="minisblack", metadata={})


def wanted(kind: str, t: int, p: int, c: int, z: int) -> np.ndarray:
    """A plane of such a run, (Y, X)."""
    return plane(t, p, 0 if kind == "appended" else c, z)


@contextlib.contextmanager
def running(kind: str, folder: Path) -> Iterator[subprocess.Popen[str]]:
    """The process; see `step`."""
    folder.mkdir(parents=True, exist_ok=True)
    command = [sys.executable, "-m", "tests.tiff_set_writer", kind, str(folder)]
    pipe = subprocess.PIPE
    with subprocess.Popen(command, cwd=ROOT, stdin=pipe, stdout=pipe, text=True) as process:
        try:
            yield process
        finally:
            process.kill()


def step(process: subprocess.Popen[str]) -> None:
    """Have it write one step; returns once that is done."""
    assert process.stdin is not None and process.stdout is not None
    process.stdin.write("\n")
    process.stdin.flush()
    assert process.stdout.readline() == "written\n"


KINDS = (planned, same_xml, companion, stacks, ndtiff, appended)

if __name__ == "__main__":
    sys.path.insert(0, str(ROOT / "tests"))

import tifffile  # noqa: E402
from program_tiff_dialects import write_indexed  # noqa: E402
from tiff_cases import HEIGHT, WIDTH, data, image, ome, pages, plane, uuid, write_pages  # noqa: E402

if __name__ == "__main__":
    write = {each.__name__: each for each in KINDS}[sys.argv[1]]
    for number, _ in enumerate(sys.stdin):
        write(Path(sys.argv[2]), number)
        print("written", flush=True)
