"""What commands say on the terminal, and how they end: with a sentence and an exit code, whatever happens."""

from __future__ import annotations

import contextlib
import logging
import os
import sys
from typing import TYPE_CHECKING, NoReturn

from ..storage.printable import PrintableFormatter, printable, printable_lines

if TYPE_CHECKING:
    from collections.abc import Callable
    from typing import TextIO

_BROKEN_PIPE = 128 + 13  # what shells say of a program that such a pipe has ended
_INTERRUPTED = 128 + 2


class _OutputError(Exception):
    """What was said could not be written."""


def say(text: str) -> None:
    """Write lines to the output; within `guarded`."""
    try:
        _write(sys.stdout, printable_lines(text))
    except OSError as error:
        raise _OutputError from error


def complain(command: str, text: str) -> None:
    """Say on one line of the error output what went wrong; `command` is "" for the viewer. Never raises."""
    with contextlib.suppress(OSError, ValueError):
        _write(sys.stderr, f"{f'ndviewer-light {command}'.rstrip()}: {printable(text)}")


def _write(stream: TextIO | None, text: str) -> None:
    if stream is None:  # a program without a terminal on Windows
        return
    if hasattr(stream, "reconfigure"):
        stream.reconfigure(errors="backslashreplace")  # a terminal may not know every letter
    stream.write(text + "\n")
    stream.flush()


def guarded(command: str, call: Callable[[], int]) -> int:
    """The exit code of a command, also where its output cannot be written or a person interrupts it."""
    try:
        return call()
    except _OutputError as error:
        _write_no_more()
        reason = error.__cause__
        if isinstance(reason, BrokenPipeError):  # ``… | head``: nobody is left to be told
            return _BROKEN_PIPE
        complain(command, f"cannot write the output: {getattr(reason, 'strerror', None) or reason}")
        return 1
    except KeyboardInterrupt:
        return _INTERRUPTED


def _write_no_more() -> None:
    """What is still in the buffer would fail again as Python ends, with a traceback."""
    with contextlib.suppress(OSError, ValueError, AttributeError):
        nothing = os.open(os.devnull, os.O_WRONLY)
        os.dup2(nothing, sys.stdout.fileno())
        os.close(nothing)


def leave(code: int) -> NoReturn:
    """End the process and take nothing apart: a library may crash as it lets go of a damaged file."""
    for stream in (sys.stdout, sys.stderr):
        with contextlib.suppress(OSError, ValueError, AttributeError):
            stream.flush()
    os._exit(code)


def log_to_terminal(*, verbose: bool) -> None:
    """Show log lines on the error output: all of them, or warnings only."""
    handler = logging.StreamHandler()
    handler.setFormatter(PrintableFormatter(logging.BASIC_FORMAT))
    logging.basicConfig(level=logging.INFO if verbose else logging.WARNING, handlers=[handler])
