"""Damaged HDF5 files: ``python hdf5_mutants.py FOLDER FIRST COUNT`` opens each and reads its planes.

Run in a process of its own, which may hang, crash or grow. Writes what became of each as a line of JSON to
FOLDER/outcomes.jsonl: "right" pixels, "refused" with an error of ours, or "changed": pixels or sizes that are
not checked by anything in the file were damaged themselves. Any other error ends the process.
"""

from __future__ import annotations

import json
import random
import resource
import sys
from pathlib import Path

import h5py
import numpy as np
from hdf5_files import GZIP, volume, write

from ndviewer_light.errors import DatasetError
from ndviewer_light.model import PlaneKey
from ndviewer_light.sources.hdf5.source import HDF5Source

MEMORY_BYTES = 4 * 1024**3
DATA = volume((3, 20, 30))
KINDS = (
    {"libver": "earliest", "chunks": (1, 20, 30), **GZIP, "fletcher32": True},
    {"libver": "earliest", "chunks": (2, 8, 16), **GZIP},
    {"libver": "latest", "chunks": (1, 20, 30), **GZIP, "fletcher32": True},
    {"libver": "latest", "chunks": (1, 7, 9), "maxshape": (None, 20, 30)},
    {"libver": "earliest"},
)


def mutated(data: bytes, rng: random.Random) -> bytes:
    """One to four bytes set to something else, most of them where something is."""
    out = bytearray(data)
    used = [i for i, byte in enumerate(data) if byte or rng.random() < 0.02]
    for _ in range(rng.choice([1, 1, 2, 4])):
        at = rng.choice(used)
        out[at] = rng.choice([0, 255, rng.randrange(256), out[at] ^ 1 << rng.randrange(8)])
    return bytes(out)


def outcome(path: Path, checked: bool) -> str:
    """What becomes of one file."""
    try:
        source = HDF5Source.open(str(path))
    except DatasetError:
        return "refused"
    said = "right"
    try:
        for z in range(min(source.info.n_z, 4)):
            try:
                pixels = source.read_plane(PlaneKey(z=z))
            except DatasetError:
                said = "refused"
                continue
            assert pixels.shape == (source.info.height, source.info.width)
            if pixels.shape != DATA.shape[1:] or not np.array_equal(pixels, DATA[z % 3]):
                assert not checked or not differs_from_h5py(path, z, pixels), "pixels that nothing stands for"
                said = "changed" if said == "right" else said
    finally:
        source.close()
    return said


def differs_from_h5py(path: Path, z: int, pixels: np.ndarray) -> bool:
    """Whether h5py, asked for the same plane, has other pixels."""
    try:
        with h5py.File(path) as file:
            return not np.array_equal(file["a"][z], pixels)
    except (OSError, RuntimeError, KeyError, ValueError, TypeError, IndexError):
        return False


def main(folder: Path, first: int, count: int) -> None:
    resource.setrlimit(resource.RLIMIT_AS, (MEMORY_BYTES, MEMORY_BYTES))
    originals = [write(folder / f"{i}.h5", DATA, **how).read_bytes() for i, how in enumerate(KINDS)]
    with open(folder / "outcomes.jsonl", "w") as lines:
        for seed in range(first, count):
            rng = random.Random(seed)
            kind = rng.randrange(len(KINDS))
            path = folder / f"mutant {seed}.h5"
            path.write_bytes(mutated(originals[kind], rng))
            said = outcome(path, "fletcher32" in KINDS[kind])
            path.unlink()
            lines.write(json.dumps({"seed": seed, "kind": kind, "outcome": said}) + "\n")
            lines.flush()


if __name__ == "__main__":
    main(Path(sys.argv[1]), int(sys.argv[2]), int(sys.argv[3]))
