"""What to tell a user of an error: a sentence in plain words, and the details for who has to mend it."""

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
"""What only a programmer reads: where it occurs, a text is details and no sentence."""


class Explanation(NamedTuple):
    """A sentence for anybody, and details ("" where the sentence says it all)."""

    sentence: str
    details: str = ""


def explain(error: BaseException) -> Explanation:
    """Say why something failed. Errors of ours are sentences already, unless they quote a library."""
    text = str(error)
    if isinstance(error, NDViewerError):
        return Explanation(text) if text and not is_technical(text) else Explanation(_sentence(error), text)
    if _sentence(error) != _UNEXPECTED:
        return Explanation(_sentence(error), text or type(error).__name__)
    return Explanation(_UNEXPECTED, "".join(traceback.format_exception(error)).strip())


def explain_plane(reason: str) -> Explanation:
    """Say why a plane could not be read, of which only the text of its error is known."""
    if reason and not is_technical(reason):
        return Explanation(reason)
    return Explanation(_UNREADABLE, reason)


def is_technical(text: str) -> bool:
    """Whether a text has parts that only a programmer understands."""
    return bool(_TECHNICAL.search(text))


def _sentence(error: BaseException) -> str:
    return next((said for kind, said in _SENTENCES if isinstance(error, kind)), _UNEXPECTED)
