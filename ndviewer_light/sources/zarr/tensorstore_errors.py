"""Translates tensorstore's errors, judging by their text, into helpful messages.

Its messages contain the whole URL with signatures: they are only examined, never passed on.
"""

from __future__ import annotations

import os
import re
from typing import TYPE_CHECKING

from ...errors import (
    CorruptDataError,
    DatasetError,
    DatasetPermissionError,
    MetadataError,
    PlaneNotStoredError,
    UnsupportedError,
)
from ...storage.presentable import presentable
from ...storage.trees.tree import METADATA_FILES

if TYPE_CHECKING:
    from ...storage.remote.errors import Failure


REFUSALS = (ValueError, RuntimeError, OverflowError)
"""What tensorstore raises at metadata that it cannot use; the last at whole numbers of more than 64 bits."""


class StoreChangedError(Exception):
    """The store no longer matches its handle: reopen it."""


class RedirectedError(Exception):
    """The server redirected the request; `url` is the original address."""

    def __init__(self, url: str) -> None:
        super().__init__("redirected by the server")
        self.url = url


class ChunkMissingError(Exception):
    """A strict read hit a chunk that is not stored, or to which a server denies access (`refused`).

    A bucket that does not allow listing answers 403 for missing objects.
    """

    def __init__(self, file: str, refused: DatasetError | None = None) -> None:
        super().__init__(file)
        self.file = file
        self.refused = refused


_FILE = re.compile(r'local file "([^"]+)"')
_URL = re.compile(r"(?:https?|s3|gs)://[^\s\"'\[\]]+")
_SPEC = re.compile(r" \[tensorstore_spec='(?:[^'\\]|\\.)*'\]", re.DOTALL)
_UNREADABLE = re.compile(r"Error parsing|Unsupported|not registered|not supported", re.IGNORECASE)


def read_error(error: Exception, array: str, *, remote: bool = False) -> Exception:
    """Translate a failed read: a missing chunk, a store to reopen, or a `DatasetError`."""
    text = _said(error)
    code = text.partition(":")[0]
    file = _file_of(text, "")
    if code == "NOT_FOUND" and text.startswith("NOT_FOUND: chunk {"):
        return ChunkMissingError(file)
    if remote and (failure := _failure(text)) is not None:
        url = _URL.search(text)
        if failure.kind == "astray" and url is not None:
            return RedirectedError(url[0].rstrip(":"))
        of_server = _of_server(failure, text, array)
        return ChunkMissingError(file, of_server) if failure.kind == "forbidden" else of_server
    if code == "OUT_OF_RANGE" or "Updated zarr metadata" in text:
        return StoreChangedError(_sentence(text))
    if "Metadata at" in text and "does not exist" in text:
        return StoreChangedError(f"{file} no longer exists")
    return dataset_error(error, array)


def dataset_error(error: Exception, array: str) -> DatasetError:
    """Translate tensorstore's error: one sentence, the file, no dump of its state."""
    text = _said(error)
    code = text.partition(":")[0]
    file = _file_of(text, array)
    reason = _sentence(text)
    if code == "PERMISSION_DENIED":
        return DatasetPermissionError(f"no permission to read {file}")
    if code == "NOT_FOUND":
        return PlaneNotStoredError(f"{file} does not exist yet")
    if os.path.basename(file) in METADATA_FILES:
        if code == "DATA_LOSS":  # not JSON at all: most likely incomplete
            return CorruptDataError(f"{file} cannot be read ({reason}); if it is being written, try again")
        return MetadataError(f"{file} is invalid: {reason}")
    if code in ("DATA_LOSS", "FAILED_PRECONDITION", "INVALID_ARGUMENT") and not _UNREADABLE.search(text):
        return CorruptDataError(f"{file} is damaged: {reason}")
    if _UNREADABLE.search(text):
        return UnsupportedError(f"{array} cannot be opened: {reason}")
    if code in ("ABORTED", "UNAVAILABLE", "DEADLINE_EXCEEDED", "UNKNOWN"):
        return CorruptDataError(f"{file} could not be read: {reason}")
    return DatasetError(f"{file} could not be read: {reason}")


def _said(error: Exception) -> str:
    return _SPEC.sub("", str(error))  # it contains the name of every file and server


def _file_of(text: str, otherwise: str) -> str:
    match = _FILE.search(text)
    if match:
        return match[1]
    url = _URL.search(text)
    if url is None:
        return otherwise

    return presentable(url[0].rstrip(":"))


_MEANINGS = (
    ("Not enough data", "it is shorter than a chunk of this array"),
    ("End of data expected", "it is longer than a chunk of this array"),
    ("Invalid blosc", "its compressed data is invalid or truncated"),
    ("zlib", "its compressed data is invalid or truncated"),
    ("Decompress", "its compressed data is invalid or truncated"),
    ("Error reading Zstd", "its compressed data is invalid or truncated"),
    ("CRC-32C checksum", "its checksum does not match"),
    ("Digest mismatch", "its checksum does not match"),
)
"""The library's messages for damaged chunks, and our wording."""


def _sentence(text: str) -> str:
    """The library's reason without its code, its file name and its dumps in brackets."""
    text = text.partition(" [")[0].partition(": ")[2] or text
    text = _URL.sub("", _FILE.sub("", text))
    reason = text.replace("Error reading : ", "").replace("Error reading ", "").strip(" :")[:200]
    return next((meaning for words, meaning in _MEANINGS if words in reason), reason)


# ---- servers -------------------------------------------------------------------------------

_STATUS = re.compile(r"\[(?:HTTP code |http_response_code=')(\d{3})")  # newer and older versions
_TRIES = re.compile(r"All (\d+) retry attempts failed")
_BY_WORDS = (  # the first match
    ("Could not resolve", "unknown host"),
    ("certificate", "not secure"),
    ("SSL", "not secure"),
    ("Failed to connect", "unreachable"),
    ("Could not connect", "unreachable"),
    ("Operation too slow", "stalled"),
    ("Timeout was reached", "stalled"),
    ("partial file", "truncated"),
    ("was ignored by server", "ranges ignored"),
    ("was not satisfied by response", "wrong range"),
    ("bad/illegal format", "other"),
    ("CURL error", "dropped"),
)


def _failure(text: str) -> Failure | None:
    """The kind of server failure; None if it is not one."""
    from ...storage.remote.errors import Failure, failure_of_status

    status = _STATUS.search(text)
    if status is not None:
        return failure_of_status(int(status[1]), "gone")
    kind = next((kind for words, kind in _BY_WORDS if words in text), None)
    return Failure(kind, "incomplete response" if kind == "truncated" else "") if kind else None


def _of_server(failure: Failure, text: str, array: str) -> DatasetError:
    from ...storage.remote.errors import error_for

    name = _file_of(text, array)
    tries = _TRIES.search(text)
    failure.tries = 1 + int(tries[1]) if tries else 1
    return error_for(failure, name, name.partition("://")[2].partition("/")[0])
