"""Damaged ND2 files by the hundred: ``python nd2_mutants.py FOLDER COUNT`` opens each and reads its planes.

Run in a process of its own, which may hang or grow. Prints, as JSON, how many files could be read, how
many could not be opened, and the largest memory in MiB; raises for wrong pixels, and for any error but ours.
"""

from __future__ import annotations

import itertools
import json
import random
import re
import sys
from collections import Counter
from pathlib import Path

import nd2
import numpy as np
from nd2_writer import Plane, positions_loop, time_loop, write_nd2, z_loop

from ndviewer_light.errors import DatasetError
from ndviewer_light.model import PlaneKey
from ndviewer_light.sources.nd2.source import Nd2Source

PLANES = (Plane("DAPI", "#0000FF", 405.0, 450.0), Plane("GFP", "#00FF00", 488.0, 525.0))
LOOPS = (time_loop(2), positions_loop([("A1", 1.0, 2.0, 3.0), ("B2", 4.0, 5.0, 6.0)]), z_loop(2))
SHAPE = (5, 6, 2)
_KEYS = [PlaneKey(t, p, c, z) for t, p, c, z in itertools.product(range(2), repeat=4)]


def frame(number: int) -> np.ndarray:
    return (np.arange(60).reshape(SHAPE) * 17 + number * 1000).astype("u2")


def original(key: PlaneKey) -> np.ndarray:
    return frame(key.t * 4 + key.p * 2 + key.z)[..., key.c]


def mutated(data: bytes, rng: random.Random) -> bytes:
    """One to four bytes anywhere but in padding set to something else."""
    out, used = bytearray(data), [i for i, byte in enumerate(data) if byte or rng.random() < 0.003]
    for _ in range(rng.choice([1, 1, 2, 4])):
        at = rng.choice(used)
        out[at] = rng.choice([0, 255, rng.randrange(256), out[at] ^ 1 << rng.randrange(8)])
    return bytes(out)


def outcome(path: Path, pixels_at: dict[int, int], before: bytes, compressed: bool) -> str:
    """What becomes of the file: "right", "another file", "not opened" or "not read"."""
    try:
        source = Nd2Source.open(str(path))
    except DatasetError:
        return "not opened"
    try:
        return _planes(source, path, pixels_at, before, compressed)
    finally:
        source.close()


def _planes(source: Nd2Source, path: Path, pixels_at: dict[int, int], before: bytes, compressed: bool) -> str:
    said, after = "right", path.read_bytes()
    for key in [key for key in _KEYS if source.info.contains(key)]:
        try:
            pixels = source.read_plane(key)
        except DatasetError:
            said = "not read"
            continue
        expected = original(key)
        number = key.t * 4 + key.p * 2 + key.z
        if not compressed and pixels.shape == expected.shape:  # nothing tells that a raw pixel is another
            at = pixels_at[number]
            nbytes = expected.nbytes * 2
            expected = np.frombuffer(after[at : at + nbytes], "<u2").reshape(SHAPE)[..., key.c]
        if pixels.shape != expected.shape or not (pixels == expected).all():
            # what says how the frames lie is damaged itself: it can only be taken at its word
            assert np.array_equal(pixels, by_library(path, source, key)), (path, key)
            said = "another file"
    return said


def by_library(path: Path, source: Nd2Source, key: PlaneKey) -> np.ndarray:
    """The plane as the nd2 library reads it."""
    with nd2.ND2File(path) as file:
        frame_number = source._opened.contents.loops.frame(key)
        raw = file._rdr.read_frame(frame_number)
        return np.array(raw.reshape(*raw.shape[:2], -1)[..., key.c])


def main(folder: Path, count: int) -> None:
    outcomes: Counter[str] = Counter()
    variants = [(version, compressed) for version in ("3.0", "2.1") for compressed in (False, True)]
    files = {}
    for version, compressed in variants:
        path = folder / f"{version}-{compressed}.nd2"
        write_nd2(path, frame, LOOPS, PLANES, version=version, compressed=compressed, times_ms=range(8))
        data = path.read_bytes()
        places = {i: data.index(b"ImageDataSeq|%d!" % i) - 16 + 4096 for i in range(8)}
        files[version, compressed] = data, places
    for seed in range(count):
        rng = random.Random(seed)
        version, compressed = variant = rng.choice(variants)
        data, places = files[variant]
        path = folder / f"mutant {seed}.nd2"
        path.write_bytes(mutated(data, rng))
        outcomes[outcome(path, places, data, compressed)] += 1
        path.unlink()
    sys.stdout.write(json.dumps({**outcomes, "MiB": _peak_kib() // 1024}))


def _peak_kib() -> int:
    """The largest memory of this program; getrusage would tell that of whoever started it, if larger."""
    said = re.search(r"VmHWM:\s+(\d+) kB", Path("/proc/self/status").read_text())
    assert said is not None
    return int(said[1])


if __name__ == "__main__":
    main(Path(sys.argv[1]), int(sys.argv[2]))
