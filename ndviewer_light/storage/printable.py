"""Text out of datasets, made fit for a terminal: no control characters, no escape sequences, no turned text.

Names of channels, files and errors come from whoever wrote the dataset. A terminal obeys what is in them: it
changes its title, clears the screen, answers with key strokes, or shows a name backwards.
"""

from __future__ import annotations

import logging
import unicodedata

_UNSEEN = ("Cc", "Cf", "Cs", "Zl", "Zp")
"""Control, format (bidirectional overrides, tags, zero-width), lone surrogates, ends of lines, paragraphs."""

_JOINERS = "\u200c\u200d\u00ad"
"""Of the format characters, those that some scripts cannot be written without."""


def printable(text: str) -> str:
    r"""`text` on one line; what a terminal would obey instead of show is spelt out: ``\x1b``, ``\u202e``."""
    if text.isascii() and text.isprintable():
        return text
    return "".join(_spelt(letter) if _is_unseen(letter) else letter for letter in text)


def printable_lines(text: str) -> str:
    """As `printable`, but the lines stay lines."""
    return "\n".join(map(printable, text.split("\n")))


def _is_unseen(letter: str) -> bool:
    return unicodedata.category(letter) in _UNSEEN and letter not in _JOINERS


def _spelt(letter: str) -> str:
    return letter.encode("unicode_escape", "surrogatepass").decode("ascii")


class PrintableFormatter(logging.Formatter):
    """Log lines whose text is printable; a traceback keeps its lines."""

    def format(self, record: logging.LogRecord) -> str:
        """See `logging.Formatter.format`."""
        return printable_lines(super().format(record))


class _PrintableFilter(logging.Filter):
    def filter(self, record: logging.LogRecord) -> bool:
        record.msg, record.args = printable(record.getMessage()), ()
        return True


_FILTER = _PrintableFilter()


def tame_logger(name: str) -> None:
    """Make what another library logs of a file printable, whoever shows it. May be called again."""
    logging.getLogger(name).addFilter(_FILTER)


def brief(value: object, most: int = 80) -> str:
    """A value out of metadata as a message quotes it: in ASCII, and not longer than a line."""
    text = ascii(value)
    return text if len(text) <= most else text[: most - 3] + "..."
