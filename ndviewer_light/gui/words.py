"""Explains errors to users: a sentence in plain words, and technical details for whoever has to fix it."""

from __future__ import annotations

import re
import traceback
from typing import NamedTuple

from ..errors import (
    CorruptDataError,
    DatasetGoneError,
    DatasetNotFoundError,
    DatasetPermissionError,
    LimitExceededError,
    MetadataError,
    NDViewerError,
    ReaderCrashedError,
    UnsupportedError,
    UntrustedReferenceError,
)

_SENTENCES: tuple[tuple[type[BaseException], str], ...] = (
    (DatasetGoneError, "It is no longer reachable. Check that the disk or network is connected."),
    (DatasetNotFoundError, "No dataset found there."),
    (FileNotFoundError, "The file or folder does not exist."),
    (UntrustedReferenceError, "It refers to files outside itself, which are not read for safety."),
    (DatasetPermissionError, "Permission denied. Check the file's permissions."),
    (PermissionError, "Permission denied. Check the file's permissions."),
    (LimitExceededError, "It claims an impossible size, so it was not read. The file may be damaged."),
    (MetadataError, "Its metadata is damaged or inconsistent."),
    (UnicodeError, "Its name contains characters that are invalid in file names."),
    (UnsupportedError, "It is stored in a way that is not supported."),
    (CorruptDataError, "It is damaged, or still being written."),
    (ReaderCrashedError, "Reading it crashed the reader process. The file may be damaged."),
    (TimeoutError, "It timed out."),
    (ConnectionError, "The server is unreachable."),
    (MemoryError, "Not enough memory."),
    (OSError, "It could not be read."),
)
_UNEXPECTED = "Unexpected error. Please report it with the details."
_UNREADABLE = "This plane could not be read."

_TECHNICAL = re.compile(
    r"\[(?:Errno|WinError) -?\d+\]|\bb['\"]|Traceback|Expecting (?:property|value|',|':)|line \d+ column \d+"
    r"|\b0x[0-9a-fA-F]{6,}|<[\w.]+ object|\b\w+(?:Error|Exception)\b|codec can't|has no attribute"
)
"""Patterns of technical text: a message containing one belongs in the details."""


class Explanation(NamedTuple):
    """A sentence for users, and details ("" if the sentence is enough)."""

    sentence: str
    details: str = ""


def explain(error: BaseException) -> Explanation:
    """Explain why something failed. Our own errors are sentences already, unless they quote a library."""
    text = str(error)
    if isinstance(error, NDViewerError):
        return Explanation(text) if text and not is_technical(text) else Explanation(_sentence(error), text)
    if _sentence(error) != _UNEXPECTED:
        return Explanation(_sentence(error), text or type(error).__name__)
    return Explanation(_UNEXPECTED, "".join(traceback.format_exception(error)).strip())


def reason_of(error: BaseException) -> str:
    """Why something failed, in one line; of the system's errors without number and path."""
    return (isinstance(error, OSError) and error.strerror) or str(error) or type(error).__name__


def explain_plane(reason: str) -> Explanation:
    """Explain why a plane could not be read, given only the text of its error."""
    if reason and not is_technical(reason):
        return Explanation(reason)
    return Explanation(_UNREADABLE, reason)


def is_technical(text: str) -> bool:
    """Whether a text has parts that only programmers understand."""
    return bool(_TECHNICAL.search(text))


def _sentence(error: BaseException) -> str:
    return next((said for kind, said in _SENTENCES if isinstance(error, kind)), _UNEXPECTED)
