"""Terminal output of commands: they always end with a message and an exit code."""

from __future__ import annotations

import contextlib
import logging
import os
import sys
from typing import TYPE_CHECKING, NoReturn

from ..storage.printable import PrintableFormatter, printable, printable_lines

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from typing import TextIO

_BROKEN_PIPE = 128 + 13  # the exit code that shells report for a program ended by a broken pipe
INTERRUPTED = 128 + 2


class _OutputError(Exception):
    """The output could not be written."""


def say(text: str) -> None:
    """Write lines to standard output; call it within `guarded`."""
    try:
        _write(sys.stdout, printable_lines(text))
    except OSError as error:
        raise _OutputError from error


def complain(command: str, text: str) -> None:
    """Print one line about an error on standard error; `command` is "" for the viewer. Never raises."""
    with contextlib.suppress(OSError, ValueError):
        _write(sys.stderr, f"{f'ndviewer-light {command}'.rstrip()}: {printable(text)}")


def not_written(error: OSError) -> str:
    """Why a file could not be written, or removed, in words that name it."""
    return f"{error.filename}: {error.strerror}" if error.filename and error.strerror else str(error)


def _write(stream: TextIO | None, text: str) -> None:
    if stream is None:  # a program without a terminal on Windows
        return
    if hasattr(stream, "reconfigure"):
        stream.reconfigure(errors="backslashreplace")  # a terminal may not have every character
    stream.write(text + "\n")
    stream.flush()


@contextlib.contextmanager
def shown_progress(doing: str) -> Iterator[Callable[[int, int], None] | None]:
    """A function that shows progress, if standard error is a terminal."""
    stream = sys.stderr
    if stream is None or not stream.isatty():
        yield None
        return

    def show(text: str) -> None:
        stream.write(f"\r\x1b[K{text}")  # over the line before
        stream.flush()

    try:
        yield lambda done, expected: show(f"{doing} planes: {done:,} of {expected:,}")
    finally:
        show("")


def is_within(output: str, path: str) -> bool:
    """Whether a file to be written is the local dataset (FILE, FILE::/PART), or would lie in its folder."""
    dataset = os.path.realpath(path if os.path.exists(path) else path.partition("::")[0])
    written = os.path.realpath(output)
    if os.path.isdir(dataset):
        return written.startswith(os.path.join(dataset, ""))
    return os.path.exists(written) and os.path.exists(dataset) and os.path.samefile(written, dataset)


def guarded(command: str, call: Callable[[], int]) -> int:
    """The exit code of a command, also if its output cannot be written or the user interrupts it."""
    try:
        return call()
    except _OutputError as error:
        _write_no_more()
        reason = error.__cause__
        if isinstance(reason, BrokenPipeError):  # ``… | head``: nobody is reading any more
            return _BROKEN_PIPE
        complain(command, f"cannot write the output: {getattr(reason, 'strerror', None) or reason}")
        return 1
    except KeyboardInterrupt:
        return INTERRUPTED


def _write_no_more() -> None:
    """Buffered output would fail again when Python exits, with a traceback."""
    with contextlib.suppress(OSError, ValueError, AttributeError):
        nothing = os.open(os.devnull, os.O_WRONLY)
        os.dup2(nothing, sys.stdout.fileno())
        os.close(nothing)


def leave(code: int) -> NoReturn:
    """Exit without clean-up: a library may crash while releasing a damaged file."""
    for stream in (sys.stdout, sys.stderr):
        with contextlib.suppress(OSError, ValueError, AttributeError):
            stream.flush()
    os._exit(code)


def log_to_terminal(*, verbose: bool) -> None:
    """Show log lines on standard error: those about the program itself; `verbose`: all of them.

    Warnings are about data, and said in the window, where they lead to what they are about.
    """
    handler = logging.StreamHandler()
    handler.setFormatter(PrintableFormatter(logging.BASIC_FORMAT))
    logging.basicConfig(level=logging.INFO if verbose else logging.ERROR, handlers=[handler])
