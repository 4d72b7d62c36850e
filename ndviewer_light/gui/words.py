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
    (DatasetGoneError, "It was there and cannot be reached any more. Is the disk or the network unplugged?"),
    (DatasetNotFoundError, "No dataset was found there."),
    (FileNotFoundError, "There is no such file or folder."),
    (UntrustedReferenceError, "It names files outside itself, which are not read."),
    (DatasetPermissionError, "You may not read it. Check the permissions."),
    (PermissionError, "You may not read it. Check the permissions."),
    (LimitExceededError, "It says it is larger than any dataset can be, and is not read."),
    (MetadataError, "Its description is damaged or contradicts itself."),
    (UnicodeError, "Its name has characters that no file name can have."),
    (UnsupportedError, "It is stored in a way that cannot be read yet."),
    (CorruptDataError, "It is damaged, or still being written."),
    (ReaderCrashedError, "Reading it ended the process that reads. The file may be damaged."),
    (TimeoutError, "It took too long to answer."),
    (ConnectionError, "The server cannot be reached."),
    (MemoryError, "There is not enough memory."),
    (OSError, "It could not be read."),
)
_UNEXPECTED = "Something went wrong that should not have. Please report it with the details."
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
