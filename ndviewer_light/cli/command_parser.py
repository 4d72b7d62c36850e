"""The parser of a command's arguments: what is wrong with them is said in one line, not below all options."""

from __future__ import annotations

import argparse
import math
import os
import re
from typing import TYPE_CHECKING, NoReturn

from .terminal import complain, is_within

if TYPE_CHECKING:
    from collections.abc import Sequence

WRONG_ARGUMENTS = 2
"""The exit status of a command that was not understood."""
_INDEX = re.compile("-?[0-9]{1,18}")
_SLICE = re.compile("(-?[0-9]{1,18})?:(-?[0-9]{1,18})?(?::(-?[0-9]{1,18})?)?")


class CommandParser(argparse.ArgumentParser):
    """Ends the program with one line on standard error that says what is wrong, and where more is said."""

    def error(self, message: str) -> NoReturn:
        """See `argparse.ArgumentParser.error`."""
        command = self.prog.partition(" ")[2]
        complain(command, f"{message.removeprefix('argument ')} ({self.prog} --help lists what there is)")
        self.exit(WRONG_ARGUMENTS)

    def check_output(self, output: str, endings: Sequence[str], path: str) -> None:
        """End the program unless a file that ends so can be written there; `path`: the dataset."""
        if os.path.splitext(output)[1].lower() not in endings:
            self.error(f"-o {output}: must end with one of {' '.join(endings)}")
        if is_within(output, path):
            self.error(
                f"-o {output}: lies within the dataset, which is never written to; choose another folder"
            )
        folder = os.path.dirname(os.path.abspath(output))
        if not os.path.isdir(folder):
            self.error(f"-o {output}: there is no folder {folder}")
        if os.path.isdir(output):
            self.error(f"-o {output}: there is a folder of this name; choose another one")


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


def frame_rate(text: str) -> float:
    """The value of an option: what players can play; raises what `argparse` says."""
    if not 0.01 <= (value := positive(text)) <= 1000:
        raise argparse.ArgumentTypeError(f"must be from 0.01 to 1000, not {text}")
    return value


def is_index(text: str) -> bool:
    """Whether it is a whole number, and none that no axis could have."""
    return _INDEX.fullmatch(text) is not None


def index_slice(text: str) -> slice | None:
    """``"0:10"`` or ``"::2"``; None for what is none. Raises what `argparse` says for a step of 0."""
    found = _SLICE.fullmatch(text)
    if found is None:
        return None
    part = slice(*(int(each) if each else None for each in found.groups()))
    if part.step == 0:
        raise argparse.ArgumentTypeError(f"the step, behind the second colon, must not be 0, as in {text}")
    return part


def indices(text: str) -> slice | list[int]:
    """The value of an option: ``"0,5"``, ``"0:10"``, ``"::2"``; raises what `argparse` says."""
    part = index_slice(text.strip())
    if part is not None:
        return part
    each = [one.strip() for one in text.split(",")]
    if not all(map(is_index, each)):
        raise argparse.ArgumentTypeError(f"expected indices, as in 0,5 or 0:10 or ::2, not {text!r}")
    return [int(one) for one in each]
