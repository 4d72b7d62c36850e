"""LINDI in a tar file: the references and what they refer to in one, found through an index at its beginning.

Source: the LINDI repository, ``lindi/tar`` (an entry of 1 kB names the index, which lists all members).
"""

from __future__ import annotations

import json
from array import array
from typing import TYPE_CHECKING, NamedTuple

import numpy as np

from ...errors import LimitExceededError, MetadataError

if TYPE_CHECKING:
    from ...storage.bytes import Bytes
    from .reference_file import References

BEGINNING = b".tar_entry.json\0"
"""How such a file begins: with the header of its first member."""

LINDI_TAR = ".lindi.tar"
_CONTENT = "lindi.json"
_ENTRY = 512, 1024  # offset and length
_MAX_TAR_INDEX_BYTES = 64 * 1024**2


class Member(NamedTuple):
    """Where the bytes of a member are."""

    offset: int
    size: int


def is_lindi_tar(source: Bytes) -> bool:
    """Whether a file is a tar of LINDI's."""
    return source.size > sum(_ENTRY) and source.read(0, len(BEGINNING)) == BEGINNING


def members_of(source: Bytes) -> dict[str, Member]:
    """The members by name. Raises `MetadataError` if the index is none, `LimitExceededError`."""
    where = f"{source.name}: its index"
    try:
        entry = json.loads(source.read(*_ENTRY))
        index = _member(entry["index"], source, where)
        if index.size > _MAX_TAR_INDEX_BYTES:
            raise LimitExceededError(f"{where} has {index.size} bytes: too large")
        files = json.loads(source.read(index.offset, index.size))["files"]
        return {str(each["n"]): _member(each, source, where) for each in files}
    except (KeyError, TypeError, ValueError, RecursionError) as error:
        if isinstance(error, (MetadataError, LimitExceededError)):
            raise
        raise MetadataError(f"{where} is damaged: {type(error).__name__}") from error


def content_of(source: Bytes, members: dict[str, Member]) -> Member:
    """Where the references are."""
    if _CONTENT not in members:
        raise MetadataError(f"{source.name} contains no {_CONTENT}: {', '.join(list(members)[:5])}")
    return members[_CONTENT]


def _member(said: dict[str, object], source: Bytes, where: str) -> Member:
    offset, size = said["d"], said["s"]
    if type(offset) is not int or type(size) is not int or not 0 <= offset <= offset + size <= source.size:
        raise MetadataError(f"{where} is damaged: a member lies outside the file")
    return Member(offset, size)


def refer_to_members(references: References, members: dict[str, Member], file: str) -> None:
    """Turn references to members (``./name``) into references to parts of the tar `file` itself.

    Raises `MetadataError` for a member that is missing, or shorter than the reference says.
    """
    location = np.asarray(references.location)
    offset, length = (np.array(column, np.int64) for column in (references.offset, references.length))
    for i, name in enumerate(references.locations):
        if not name.startswith("./"):
            continue
        member = members.get(name[2:])
        if member is None:
            raise MetadataError(f"{references.where} refers to {name[:80]!r}, which it does not contain")
        rows = location == i
        length[rows] = np.where(length[rows] < 0, member.size, length[rows])
        if (offset[rows] + length[rows] > member.size).any():
            raise MetadataError(f"{references.where} refers beyond the end of {name[:80]!r}")
        offset[rows] += member.offset
        references.locations[i] = file
    references.offset, references.length = array("q", offset.tolist()), array("q", length.tolist())
