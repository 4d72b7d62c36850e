"""The process that opens damaged datasets: ``python -m tests.mutants.child FOLDER FIRST STEP END``.

For each seed it writes a line as it begins and one with the outcome: "opened", the class of a documented
error, or "undocumented" with where it came from. It may die or hang; SIGALRM ends it after `SECONDS`.
"""

from __future__ import annotations

import io
import json
import logging
import os
import random
import re
import shutil
import signal
import sys
import traceback
import warnings
from pathlib import Path

from ndviewer_light.cli.info import as_text, describe
from ndviewer_light.errors import DatasetError

from .mutations import mutated
from .samples import SAMPLES

SECONDS = 5.0
MEMORY_BYTES = 8 * 1024**3
_LONGEST_MESSAGE = 1500


def main(folder: Path, first: int, step: int, end: int) -> None:
    import resource

    resource.setrlimit(resource.RLIMIT_AS, (MEMORY_BYTES, MEMORY_BYTES))
    warnings.simplefilter("ignore")
    logging.basicConfig(stream=io.StringIO())
    for seed in range(first, end, step):
        _say({"seed": seed})
        outcome, where = _outcome(folder, seed)
        _say({"seed": seed, "outcome": outcome, "where": where, "MiB": _peak_mib()})


def _say(line: object) -> None:
    os.write(1, json.dumps(line).encode() + b"\n")


def _outcome(folder: Path, seed: int) -> tuple[str, str]:
    sample = SAMPLES[seed % len(SAMPLES)]
    rng = random.Random(seed)
    original, work = folder / "originals" / sample.name, folder / f"work {os.getpid()}" / sample.name
    if not work.exists():
        shutil.copytree(original, work)
    files = sorted(path for path in original.rglob("*") if path.is_file())
    described = [path for path in files if not re.fullmatch(r"[\d.]+", path.name)]  # no chunk
    path = rng.choice(described if described and rng.random() < 0.85 else files)
    target = work / path.relative_to(original)
    target.write_bytes(mutated(path.name, path.read_bytes(), rng))
    opened = work / sample.opened if sample.opened else work
    signal.setitimer(signal.ITIMER_REAL, SECONDS)  # nobody handles the signal: it ends the process
    try:
        return _opened(opened, target.name)
    finally:
        signal.setitimer(signal.ITIMER_REAL, 0)
        shutil.copyfile(path, target)
        shutil.copystat(path, target)


def _opened(path: Path, file: str) -> tuple[str, str]:
    try:
        as_text(describe(str(path)))
    except (DatasetError, IndexError) as error:
        text = str(error)
        if type(error) is IndexError:
            return "IndexError", ""
        if len(text) > _LONGEST_MESSAGE + len(str(path)) or not text:
            return "undocumented", f"a message of {len(text)} characters: {text[:200]}"
        return type(error).__name__, ""
    except Exception:  # noqa: BLE001  what is looked for
        return "undocumented", f"{file}: {traceback.format_exc()[-1500:]}"
    return "opened", ""


def _peak_mib() -> int:
    with open("/proc/self/status") as file:
        return next(int(line.split()[1]) for line in file if line.startswith("VmHWM")) // 1024


if __name__ == "__main__":
    main(Path(sys.argv[1]), *map(int, sys.argv[2:5]))
