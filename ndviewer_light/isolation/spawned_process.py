"""Starting a reader process, of which nothing is asked yet. Imports little, so that it is under way early."""

from __future__ import annotations

import contextlib
import json
import os
import subprocess
import sys
from pathlib import Path
from typing import TYPE_CHECKING

from ..errors import OutOfResourcesError
from .import_path import interpreter_arguments, reader_path
from .shared_memory import OwnedSlot

if TYPE_CHECKING:
    from collections.abc import Sequence

READS_IN_FLIGHT = 4
"""Planes one reader process reads at a time, and slots it has for them."""

_NICENESS = 5
"""The niceness of a reader process, from its first line on: on a busy computer the host comes first."""

# The child must find this package however the host imported it (Squid: as
# control.ndviewer_light.ndviewer_light, from a checkout), so it is loaded from its folder by path.
_BOOTSTRAP = """
import contextlib, importlib.util, json, os, sys
start = json.loads(sys.argv[1])
with contextlib.suppress(AttributeError, OSError):  # a system without priorities of this kind
    os.nice(max(0, start["niceness"] - os.nice(0)))
# numpy would start one for each core to multiply matrices, which is never done here; they spin for a while
os.environ.setdefault("OPENBLAS_NUM_THREADS", "1")
sys.path[:] = start["path"]
spec = importlib.util.spec_from_file_location(
    "ndviewer_light", start["package"] + "/__init__.py", submodule_search_locations=[start["package"]])
module = importlib.util.module_from_spec(spec)
sys.modules["ndviewer_light"] = module
spec.loader.exec_module(module)
from ndviewer_light.isolation.server import main
main(start["slots"], start["parent"])
"""


class SpawnedProcess:
    """A process with its pipes, and the memory for its planes: `popen` and `slots`.

    Started at once; raises `OutOfResourcesError` if that fails. Belongs to a `ReaderProcess`, once there is
    one; else `discard` ends it.
    """

    def __init__(self) -> None:
        self.slots: list[OwnedSlot] = []
        try:
            self.slots += [OwnedSlot() for _ in range(READS_IN_FLIGHT)]
            self.popen = self._spawn()
        except OSError as error:
            self.close_slots()
            raise OutOfResourcesError(f"cannot start a reader process: {error}") from error

    def _spawn(self) -> subprocess.Popen[bytes]:
        addresses = [slot.address for slot in self.slots]
        start = {
            "path": reader_path(),
            "package": str(Path(__file__).resolve().parents[1]),
            "slots": addresses,
            "parent": os.getpid(),
            "niceness": _NICENESS,
        }
        return subprocess.Popen(
            [sys.executable, *interpreter_arguments(), "-c", _BOOTSTRAP, json.dumps(start)],
            bufsize=0,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            pass_fds=[address for address in addresses if isinstance(address, int)],
            creationflags=getattr(subprocess, "CREATE_NO_WINDOW", 0),
        )

    @property
    def pid(self) -> int:
        """Its process id."""
        return self.popen.pid

    @property
    def alive(self) -> bool:
        """Whether it has not ended."""
        return self.popen.poll() is None

    def discard(self, besides: Sequence[object] = ()) -> None:
        """End it, and wait until it has ended. Its pipes are closed, `besides` those that others close."""
        self.popen.kill()
        for stream in (self.popen.stdin, self.popen.stdout, self.popen.stderr):
            if stream is not None and stream not in besides:
                stream.close()
        self.popen.wait()
        self.close_slots()

    def close_slots(self) -> None:
        """Free the memory for its planes."""
        for slot in self.slots:
            with contextlib.suppress(OSError):
                slot.close()
