"""A measurement in a process of its own: a function of ours, by name, its result as JSON."""

from __future__ import annotations

import atexit
import importlib
import json
import os
import subprocess
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Mapping

ROOT = Path(__file__).resolve().parents[2]


def run_child(
    module: str,
    function: str,
    *arguments: str,
    timeout_s: float = 120.0,
    env: Mapping[str, str] | None = None,
) -> Any:
    """Call ``module.function(*arguments)`` in a fresh interpreter and return what it returned.

    `env` is added to the environment.
    Raises `RuntimeError` with what it said on standard error if it fails, or takes longer than `timeout_s`.
    """
    reading, writing = os.pipe()
    command = [sys.executable, "-m", "tests.benchmarks.children", str(writing), module, function, *arguments]
    try:
        done = subprocess.run(
            command,
            cwd=ROOT,
            env={**os.environ, **(env or {})},
            pass_fds=[writing],
            stderr=subprocess.PIPE,
            text=True,
            timeout=timeout_s,
            check=False,
        )
    except subprocess.TimeoutExpired as error:
        raise RuntimeError(f"{function} took longer than {timeout_s:.0f} s") from error
    finally:
        os.close(writing)
    with open(reading) as answer:
        said = answer.read()
    if done.returncode or not said:
        raise RuntimeError(f"{function} ended with {done.returncode}:\n{done.stderr[-4000:]}")
    return json.loads(said)


def _main() -> None:
    writing, module, function, *arguments = sys.argv[1:]
    result = getattr(importlib.import_module(module), function)(*arguments)
    with open(int(writing), "w") as answer:
        json.dump(result, answer)


if __name__ == "__main__":
    _main()
    atexit._run_exitfuncs()
    os._exit(0)  # what is being measured may have threads that end in their own time
