"""Makes text from datasets safe for a terminal: no control characters, escape sequences or bidi overrides.

Names of channels, files and errors come from a dataset's author. A terminal obeys control sequences: it
changes its title, clears the screen, answers with key strokes, or shows a name backwards.
"""

from __future__ import annotations

import logging
import unicodedata

_UNSEEN = ("Cc", "Cf", "Cs", "Zl", "Zp")
"""Control, format (bidirectional overrides, tags, zero-width), lone surrogates, ends of lines, paragraphs."""

_JOINERS = "\u200c\u200d\u00ad"
"""Format characters that some scripts cannot do without."""


def printable(text: str) -> str:
    r"""`text` on one line; control characters are escaped: ``\x1b``, ``\u202e``."""
    if text.isascii() and text.isprintable():
        return text
    return "".join(_spelt(letter) if _is_unseen(letter) else letter for letter in text)


def printable_lines(text: str) -> str:
    """Like `printable`, but keeps line breaks."""
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
_UNSHOWN = logging.NullHandler()


def tame_logger(name: str) -> None:
    """Make another library's log messages printable, whoever shows them. May be called repeatedly.

    Where nobody has set up logging they are not shown: Python would write them to stderr, and what is wrong
    with a file is said by errors and warnings of our own.
    """
    logger = logging.getLogger(name)
    logger.addFilter(_FILTER)
    if _UNSHOWN not in logger.handlers:
        logger.addHandler(_UNSHOWN)


def brief(value: object, most: int = 80) -> str:
    """A metadata value quoted for a message, in ASCII and of a line at most; "missing" if there is none."""
    text = "missing" if value is None else ascii(value)
    return text if len(text) <= most else text[: most - 3] + "..."
