"""A server on this machine, in a process of its own."""

from __future__ import annotations

import subprocess
import sys


class ServerProcess:
    """Runs a program that writes its port as its first line, and ends when its input is closed."""

    def __init__(self, program: str, *arguments: str) -> None:
        pipe, quiet = subprocess.PIPE, subprocess.DEVNULL
        command = [sys.executable, "-c", program, *arguments]
        self._process = subprocess.Popen(command, stdin=pipe, stdout=pipe, stderr=quiet)
        assert self._process.stdout is not None
        self.port = int(self._process.stdout.readline())

    def close(self) -> None:
        """End it, and wait until it has."""
        assert self._process.stdin is not None and self._process.stdout is not None
        self._process.stdin.close()
        self._process.wait(60)
        self._process.stdout.close()
