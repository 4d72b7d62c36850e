"""``python -m tests.mutants [--count N] [--seed N] [--processes N]``: damaged metadata of every format.

Each mutant is a small real dataset one of whose files was damaged; it is opened, its first plane is read,
and described as ``ndviewer-light info`` does. Allowed are pixels and documented errors. A process that dies,
hangs for 5 s, or lets another exception out is a fault, and the exit code 1. A seed alone makes a mutant, so
``--seed N --count 1`` does one of them again.
"""

from __future__ import annotations

import argparse
import json
import subprocess
import sys
import tempfile
from collections import Counter
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import NamedTuple

from .samples import SAMPLES

ROOT = Path(__file__).parents[2]


class Outcomes(NamedTuple):
    """What became of the mutants: how many of each kind, and of the faults the seed and what is known."""

    counts: Counter[str]
    faults: list[tuple[int, str, str]]
    most_mib: int


def run(count: int, seed: int = 0, processes: int = 2) -> Outcomes:
    """Open `count` mutants from `seed` on; what died or hung is tried once more, alone."""
    with tempfile.TemporaryDirectory(prefix="mutants ") as name:
        folder = Path(name)
        for sample in SAMPLES:
            (folder / "originals" / sample.name).mkdir(parents=True)
            sample.write(folder / "originals" / sample.name)
        with ThreadPoolExecutor(processes) as pool:
            parts = [
                pool.submit(_series, folder, seed + i, processes, seed + count) for i in range(processes)
            ]
            found = [outcome for part in parts for outcome in part.result()]
        again = [each["seed"] for each in found if each["outcome"] in ("died", "hung")]
        confirmed = {each["seed"]: each for one in again for each in _series(folder, one, 1, one + 1)}
    found = [confirmed.get(each["seed"], each) for each in found]
    counts = Counter(str(each["outcome"]) for each in found)
    faults = [
        (int(each["seed"]), str(each["outcome"]), str(each["where"]))
        for each in found
        if each["outcome"] in ("died", "hung", "undocumented")
    ]
    return Outcomes(counts, sorted(faults), max((int(each.get("MiB", 0)) for each in found), default=0))


def _series(folder: Path, first: int, step: int, end: int) -> list[dict[str, object]]:
    found: list[dict[str, object]] = []
    while first < end:
        command = [sys.executable, "-m", "tests.mutants.child", str(folder), *map(str, (first, step, end))]
        with tempfile.TemporaryFile("w+") as errors:
            with subprocess.Popen(
                command, cwd=ROOT, stdout=subprocess.PIPE, stderr=errors, text=True
            ) as child:
                assert child.stdout is not None
                begun = None
                for line in child.stdout:
                    said = json.loads(line)
                    begun = said["seed"]
                    if "outcome" in said:
                        found.append(said)
            errors.seek(0)
            told = errors.read()[-1500:]
        if child.returncode == 0:
            break
        if begun is None:
            raise RuntimeError(f"the child did not begin: {told}")
        if found and found[-1]["seed"] == begun:
            told, begun = f"between mutants: {told}", begun
            found.pop()
        name = SAMPLES[begun % len(SAMPLES)].name
        kind = "hung" if child.returncode == -14 else "died"
        found.append({"seed": begun, "outcome": kind, "where": f"{name} ({child.returncode}): {told}"})
        first = begun + step
    return found


def main() -> int:
    parser = argparse.ArgumentParser(prog="python -m tests.mutants", description=__doc__.partition("\n")[0])
    parser.add_argument("--count", type=int, default=20_000)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--processes", type=int, default=2)
    options = parser.parse_args()
    outcomes = run(options.count, options.seed, options.processes)
    for name, n in outcomes.counts.most_common():
        sys.stdout.write(f"{n:8,}  {name}\n")
    sys.stdout.write(f"{outcomes.most_mib:8,}  MiB at most\n")
    for seed, kind, where in outcomes.faults:
        sys.stdout.write(f"\nseed {seed} ({SAMPLES[seed % len(SAMPLES)].name}) {kind}\n{where}\n")
    return int(bool(outcomes.faults))


if __name__ == "__main__":
    sys.exit(main())
