"""The parser of a command's arguments: what is wrong with them is said in one line, not below all options."""

from __future__ import annotations

import argparse
import math
from typing import NoReturn

from .terminal import complain

WRONG_ARGUMENTS = 2
"""The exit status of a command that was not understood."""


class CommandParser(argparse.ArgumentParser):
    """Ends the program with one line on standard error that says what is wrong, and where more is said."""

    def error(self, message: str) -> NoReturn:
        """See `argparse.ArgumentParser.error`."""
        command = self.prog.partition(" ")[2]
        complain(command, f"{message.removeprefix('argument ')} ({self.prog} --help lists what there is)")
        self.exit(WRONG_ARGUMENTS)


def whole_number(text: str) -> int:
    """The value of an option; raises what `argparse` says."""
    try:
        return int(text)
    except ValueError:
        raise argparse.ArgumentTypeError(f"expected a whole number, not {text!r}") from None


def number(text: str) -> float:
    """The value of an option, finite; raises what `argparse` says."""
    try:
        value = float(text)
    except ValueError:
        value = math.nan
    if not math.isfinite(value):
        raise argparse.ArgumentTypeError(f"expected a number, not {text!r}")
    return value


def positive(text: str) -> float:
    """The value of an option, above 0; raises what `argparse` says."""
    if (value := number(text)) <= 0:
        raise argparse.ArgumentTypeError(f"must be above 0, not {text}")
    return value


def fraction(text: str) -> float:
    """The value of an option, from 0 to 1; raises what `argparse` says."""
    if not 0 <= (value := number(text)) <= 1:
        raise argparse.ArgumentTypeError(f"must be from 0 to 1, not {text}")
    return value
