"""Small files read safely: every size, depth and path is checked before anything is parsed or opened.

The limits are beyond any real dataset; anything larger is refused with a message instead of
exhausting memory or crashing the process.
"""

from __future__ import annotations

import errno
import json
import math
import os
import re
from itertools import accumulate
from typing import TYPE_CHECKING, Any

from ..errors import (
    DatasetError,
    DatasetNotFoundError,
    DatasetPermissionError,
    LimitExceededError,
    MetadataError,
    UntrustedReferenceError,
)
from ..model import how_many
from .file_kinds import looks_like
from .file_versions import NOTHING, version_in
from .local_files import open_file
from .printable import brief

if TYPE_CHECKING:
    from .local_files import LinkGuard

MAX_METADATA_BYTES = 16 * 1024**2
MAX_JSON_DEPTH = 64
MAX_RANK = 8
MAX_CHUNK_BYTES = 1024**3
MAX_PLANE_BYTES = 1024**3
MAX_T = 1_000_000
"""No run has more time points: a larger index is a mistake, a folder with a larger number is a date."""
MAX_SHARD_INDEX_BYTES = 256 * 1024**2
MAX_POSITIONS = 100_000
MAX_CHANNELS = 16_384
MOST_LEVELS = 64
"""No image can be halved so often."""
MAX_DIRECTORY_ENTRIES = 200_000

JsonObject = dict[str, Any]

_STRING = re.compile(rb'"(?:[^"\\]|\\.)*"', re.DOTALL)
_NOT_BRACKETS = bytes(set(range(256)) - set(b"[]{}"))
_CONSTANTS = {"NaN": math.nan, "Infinity": math.inf, "-Infinity": -math.inf}
_DRIVE = re.compile(r"[A-Za-z]:")


def read_json(path: str) -> JsonObject | None:
    """Read the JSON object in the file at `path`; None if there is no such file.

    Raises `LimitExceededError` above 16 MiB or 64 levels, `MetadataError` with line and byte for
    anything but a JSON object, `DatasetPermissionError`, or `DatasetError` if the disk fails. Any thread.
    """
    raw = read_small_file(path)
    return None if raw is None else parse_json(raw, path)


def read_small_file(path: str) -> bytes | None:
    """Read a whole metadata file; None if there is none. Never blocks on a pipe or device."""
    return read_file(path, MAX_METADATA_BYTES, "metadata")


def read_versioned_file(
    path: str, links: LinkGuard | None = None, seen: set[str] | None = None
) -> tuple[bytes | None, str]:
    """Like `read_small_file`, with the version, as in `file_versions`, that it had before it was read.

    With `links` and `seen` as for `local_files.open_file`.
    """
    found = _read(path, MAX_METADATA_BYTES, "metadata", links, seen)
    return (None, NOTHING) if found is None else (found[0], version_in(found[1]))


def read_file(
    path: str,
    most: int,
    what: str = "a chunk of this array",
    links: LinkGuard | None = None,
    seen: set[str] | None = None,
) -> bytes | None:
    """Read a whole file; None if there is none. Never blocks on a pipe or device.

    Raises `LimitExceededError` above `most` bytes, which is the most that `what` may have. With `links` and
    `seen` as for `local_files.open_file`.
    """
    found = _read(path, most, what, links, seen)
    return None if found is None else found[0]


def _read(
    path: str, most: int, what: str, links: LinkGuard | None = None, seen: set[str] | None = None
) -> tuple[bytes, os.stat_result] | None:
    """A whole file, and what the system said of it before."""
    try:
        descriptor, status = open_file(path, links, seen)
    except UntrustedReferenceError:
        raise
    except (FileNotFoundError, NotADirectoryError):
        return None
    except (OSError, ValueError) as error:
        raise error_of_os(error, path) from error
    try:
        return _read_descriptor(descriptor, path, status.st_size, most, what), status
    except OSError as error:
        raise error_of_os(error, path) from error
    finally:
        os.close(descriptor)


def _read_descriptor(descriptor: int, path: str, size: int, most: int, what: str) -> bytes:
    if size > most:
        raise LimitExceededError(f"{path} has {how_many(size, 'byte')}; {what} may have at most {most:,}")
    # the file may grow or shrink while being read: parse what was read
    raw = os.read(descriptor, size + 1)
    if len(raw) == size:  # one more was asked for
        return raw
    while len(raw) <= most and (more := os.read(descriptor, 2**20)):
        raw += more
    return raw


def error_of_os(error: Exception, path: str) -> DatasetError:
    """Return the `DatasetError` matching the operating system's error for `path`."""
    number = getattr(error, "errno", None)
    if isinstance(error, PermissionError):
        return DatasetPermissionError(f"no permission to read {path}")
    if isinstance(error, (FileNotFoundError, NotADirectoryError)):
        return DatasetNotFoundError(f"{path} does not exist{_leads_to(path)}")
    if number == errno.ENAMETOOLONG:
        return DatasetNotFoundError(f"{path[:200]}… does not exist: the name is too long")
    if number == errno.ELOOP:
        return DatasetNotFoundError(f"{path} is a symbolic link loop")
    if isinstance(error, ValueError):  # a NUL, or characters that this system cannot encode
        return DatasetNotFoundError(f"{path!a} does not exist: it is not a valid file name")
    return DatasetError(f"{path} could not be read: {getattr(error, 'strerror', None) or error}")


def _leads_to(path: str) -> str:
    """What a symbolic link to nothing leads to, to say it behind its path; "" for others."""
    try:
        return f": it is a symbolic link to {os.readlink(path)}, and nothing is there"
    except (OSError, ValueError, NotImplementedError):
        return ""


def parse_json(raw: bytes, where: str) -> JsonObject:
    """Parse a JSON object (UTF-8, with or without BOM), refusing duplicate keys and deep nesting.

    NaN and infinities, which are not JSON but written by Python, become floats; the same objects each time,
    so that two documents that contain them can be compared.
    """
    if len(raw) > MAX_METADATA_BYTES:
        raise LimitExceededError(
            f"{where} has {len(raw)} bytes; metadata may have at most {MAX_METADATA_BYTES}"
        )
    _check_depth(raw, where)
    try:
        text = raw.decode("utf-8-sig")
        value = json.loads(text, object_pairs_hook=_unique_keys, parse_constant=_CONSTANTS.get)
    except json.JSONDecodeError as error:
        raise _broken(_where_json_breaks(error, where)) from error
    except UnicodeDecodeError as error:
        raise _broken(f"{where} is not UTF-8 text at byte {error.start}{looks_like(raw)}") from error
    except (ValueError, RecursionError) as error:  # duplicate keys, integers of 5,000 digits
        raise MetadataError(f"{where} is not valid JSON: {error}") from error
    if not isinstance(value, dict):
        kind = next((kind for types, kind in _JSON_KINDS if isinstance(value, types)), "something")
        raise MetadataError(f"{where} contains {kind} where an object is expected: {{…}}")
    return value


def entries_so_far(raw: bytes, where: str) -> JsonObject:
    """The whole entries of a JSON object of which the end is missing, as while it is being written.

    {} for what is no such object. Raises `LimitExceededError` as `parse_json` does.
    """
    _check_depth(raw, where)
    text = raw.decode("utf-8-sig", "replace")
    decoder = json.JSONDecoder(object_pairs_hook=_unique_keys, parse_constant=_CONSTANTS.get)
    found: JsonObject = {}
    begin = _OBJECT_BEGINS.match(text)
    while begin is not None:
        try:
            key, at = decoder.raw_decode(text, begin.end())
            colon = _COLON.match(text, at)
            value, at = decoder.raw_decode(text, colon.end() if colon is not None else at)
        except (ValueError, RecursionError):
            break
        begin = _NEXT_ENTRY.match(text, at)
        if isinstance(key, str) and (isinstance(value, dict) or begin is not None):  # a number may be cut off
            found[key] = value
    return found


_OBJECT_BEGINS, _COLON, _NEXT_ENTRY = (re.compile(rf"\s*{sign}\s*") for sign in "{:,")
_JSON_KINDS = (
    *((list, "a list"), (str, "a string"), (bool, "true or false"), ((int, float), "a number")),
    (type(None), "null"),
)


def _where_json_breaks(error: json.JSONDecodeError, where: str) -> str:
    """A message with line numbers for editors, and byte offsets for incomplete downloads."""
    if not error.doc.strip():
        return f"{where} is empty: not written yet, or not copied completely"
    offset = len(error.doc[: error.pos].encode())
    if error.pos >= len(error.doc.rstrip()) or "Unterminated" in error.msg:
        return f"{where} is not valid JSON: it is truncated after {how_many(len(error.doc.encode()), 'byte')}"
    kind = looks_like(error.doc.encode()) if error.doc.lstrip()[0] not in "{[" else ""
    return f"{where} is not valid JSON at line {error.lineno}, column {error.colno} (byte {offset}){kind}"


def _broken(message: str) -> MetadataError:
    """An error that is temporary if the file is just being written."""
    error = MetadataError(message)
    error.transient = True
    return error


def _check_depth(raw: bytes, where: str) -> None:
    if raw.count(b"[") + raw.count(b"{") <= MAX_JSON_DEPTH:
        return
    brackets = _STRING.sub(b"", raw).translate(None, _NOT_BRACKETS)
    deepest = max(accumulate(1 if bracket in b"[{" else -1 for bracket in brackets), default=0)
    if deepest > MAX_JSON_DEPTH:
        raise LimitExceededError(
            f"{where} is nested {deepest} levels deep; at most {MAX_JSON_DEPTH} are allowed"
        )


def _unique_keys(pairs: list[tuple[str, Any]]) -> JsonObject:
    found = dict(pairs)
    if len(found) != len(pairs):
        names = [name for name, _ in pairs]
        twice = next(name for name in names if names.count(name) > 1)
        raise ValueError(f"the key {brief(twice)} appears twice in one object")
    return found


def is_plain_json(value: Any) -> bool:
    """Whether a parsed document contains no NaN and no infinity, which strict parsers refuse."""
    if isinstance(value, dict):
        return all(map(is_plain_json, value.values()))
    if isinstance(value, list):
        return all(map(is_plain_json, value))
    return not isinstance(value, float) or math.isfinite(value)


def safe_relative(path: object, where: str) -> str:
    """Return a relative path from a dataset, normalised with ``/``; ``""`` means the dataset itself.

    Raises `UntrustedReferenceError` if it leads out of the dataset, `MetadataError` if it is not a string.
    """
    if not isinstance(path, str):
        raise MetadataError(f"{where} contains a path that is not a string: {brief(path)}")
    parts = path.replace("\\", "/").split("/")
    if path.startswith(("/", "\\")) or _DRIVE.match(path) or ".." in parts or "\0" in path:
        raise UntrustedReferenceError(
            f"{where} refers to {brief(path, 200)}, which leads out of the dataset; not followed for safety"
        )
    return "/".join(part for part in parts if part not in ("", "."))


def safe_node(path: object, where: str) -> str:
    """`safe_relative` for the path of a Zarr node, where a leading ``/`` is the group itself."""
    return safe_relative(path.lstrip("/") if isinstance(path, str) else path, where)
