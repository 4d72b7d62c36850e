"""Parses reference files: kerchunk JSON, versions 0 and 1, and LINDI.

Such a file may contain millions of entries, so it is parsed entry by entry and stored only as columns.
Features beyond naming bytes are not supported: nothing is generated, templates are plain substitutions.
Sources: the kerchunk and fsspec documentation of "ReferenceFileSystem"; the LINDI repository's specification.
"""

from __future__ import annotations

import base64
import binascii
import json
import json.decoder
import re
from array import array
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from ...errors import (
    DatasetError,
    LimitExceededError,
    MetadataError,
    UnsupportedError,
)
from ...storage.file_kinds import looks_like
from ...storage.limits import MAX_JSON_DEPTH, MAX_METADATA_BYTES
from ...storage.printable import brief

if TYPE_CHECKING:
    from collections.abc import Iterator

    from ...storage.limits import JsonObject

JSON_ENDING = ".json"

MAX_FILE_BYTES = 256 * 1024**2
MAX_REFERENCES = 5_000_000
_MAX_LOCATIONS = 1_000_000
_MAX_URL = 8192

METADATA_NAMES = (".zarray", ".zattrs", ".zgroup", ".zmetadata", "zarr.json")
INLINE = -1
"""In the column of locations: the bytes are in the file of references itself."""

_MARKS_OF_VERSION_1 = ("version", "refs", "templates", "gen", "generationMetadata")
_SPACE = re.compile(r"[ \t\n\r]*")
# nearly all entries have this form, followed by the next entry
_USUAL = re.compile(
    r'"([^"\\\x00-\x1f]*)"\s*:\s*\[\s*"([^"\\\x00-\x1f]*)"\s*,\s*(\d{1,18})\s*,\s*(\d{1,18})\s*\]\s*,\s*'
)
_TEMPLATE = re.compile(r"\{\{\s*([A-Za-z0-9_.-]+)\s*\}\}")


@dataclass
class References:
    """The contents of a reference file by column: key, location, offset and length of each chunk.

    A length of -1 means a whole file. `inline` contains data stored in the reference file itself, as
    text; there the offset is its index. `locations` are URLs and paths as written, templates replaced.
    """

    where: str
    is_lindi: bool = False
    keys: list[str] = field(default_factory=list)
    location: array[int] = field(default_factory=lambda: array("i"))
    offset: array[int] = field(default_factory=lambda: array("q"))
    length: array[int] = field(default_factory=lambda: array("q"))
    inline: list[str] = field(default_factory=list)
    locations: list[str] = field(default_factory=list)
    metadata: dict[str, str | JsonObject] = field(default_factory=dict)

    _documents: dict[str, JsonObject] = field(default_factory=dict)
    _runs: dict[str, list[range]] = field(default_factory=dict)

    def nodes(self) -> list[str]:
        """The paths of all groups and arrays that have metadata, "" for the root."""
        return list(dict.fromkeys(key.rpartition("/")[0] for key in self.metadata))

    def arrays(self) -> list[str]:
        """The paths of all arrays, in file order."""
        found = []
        for key in self.metadata:
            path, _, name = key.rpartition("/")
            if name == ".zarray" or (name == "zarr.json" and self._is_array(path)):
                found.append(path)
        return found

    def rows_of(self, path: str) -> list[int]:
        """The rows of the chunks of the array at a path, which is not the root."""
        if not self._runs and self.keys:
            self._runs = self._found_runs()
        return [row for run in self._runs.get(path, ()) for row in run]

    def _found_runs(self) -> dict[str, list[range]]:
        """Where the chunks of each array are: mostly one after the other."""
        arrays = {key.rpartition("/")[0] for key in self.metadata if key.endswith((".zarray", "zarr.json"))}
        runs: dict[str, list[range]] = {}
        path, prefix, start = "", "\0", 0
        for i, key in enumerate(self.keys):
            if key.startswith(prefix):
                continue
            if i:
                runs.setdefault(path, []).append(range(start, i))
            path = parent = key.rpartition("/")[0]
            while parent and parent not in arrays:
                parent = parent.rpartition("/")[0]
            path = parent or path
            prefix, start = f"{path}/" if path else "\0", i
        runs.setdefault(path, []).append(range(start, len(self.keys)))
        return runs

    def _is_array(self, path: str) -> bool:
        try:
            return bool(self.array(path))
        except DatasetError:  # one broken node must not affect the others
            return False

    def array(self, path: str) -> JsonObject:
        """The metadata of an array, {} if there is none at that path; raises like `document`."""
        prefix = f"{path}/" if path else ""
        if found := self.document(f"{prefix}.zarray"):
            return found
        found = self.document(f"{prefix}zarr.json")
        return found if found.get("node_type") == "array" else {}

    def attributes(self, path: str) -> JsonObject:
        """The attributes of a group or array, {} if invalid."""
        prefix = f"{path}/" if path else ""
        try:
            found = self.document(f"{prefix}.zattrs")
            found = found or self.document(f"{prefix}zarr.json").get("attributes") or {}
        except DatasetError:
            return {}
        return found if isinstance(found, dict) else {}

    def document(self, key: str) -> JsonObject:
        """The JSON object under a metadata key, {} if there is none.

        Raises `MetadataError` or `LimitExceededError`, naming file and key.
        """
        if key not in self.metadata:
            return {}
        if key not in self._documents:
            self._documents[key] = _document(self.metadata[key], f"{self.where}: {key}")
        return self._documents[key]


def _document(value: str | JsonObject, where: str) -> JsonObject:
    try:
        found = value if isinstance(value, dict) else json.loads(inline_bytes(value, where))
    except RecursionError as error:
        raise LimitExceededError(f"{where} is nested too deeply") from error
    except ValueError as error:
        raise MetadataError(f"{where} is not valid JSON: {error}") from error
    if not isinstance(found, dict):
        raise MetadataError(f"{where} contains a JSON {type(found).__name__} where an object is expected")
    _check_depth(found, where)
    return found


def inline_bytes(text: str, where: str) -> bytes:
    """The bytes of inline text, plain or base 64."""
    if not text.startswith("base64:"):
        return text.encode("utf-8", "surrogatepass")
    try:
        return base64.b64decode(text[7:], validate=True)
    except (binascii.Error, ValueError) as error:
        raise MetadataError(f"{where} is not valid base 64: {error}") from error


def parse(raw: bytes, where: str) -> References:
    """Parse a reference file.

    Raises `MetadataError` (no JSON, no references), `UnsupportedError` (generated references, templates with
    expressions) or `LimitExceededError`. Any thread; no I/O.
    """
    if len(raw) > MAX_FILE_BYTES:
        raise LimitExceededError(
            f"{where} has {len(raw)} bytes; a reference file may have at most {MAX_FILE_BYTES}"
        )
    try:
        text = raw.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        raise MetadataError(f"{where} is not UTF-8 text at byte {error.start}{looks_like(raw)}") from error
    del raw
    if not text.strip():
        raise MetadataError(f"{where} is empty: not written yet, or not copied completely")
    if text.lstrip()[0] != "{":
        raise MetadataError(
            f"{where} is not valid JSON: {{…}} expected{looks_like(text[:64].encode()).replace(':', ', but')}"
        )
    try:
        return _Parser(text, where).parse()
    except (ValueError, RecursionError) as error:
        if isinstance(error, (MetadataError, LimitExceededError)):
            raise
        is_cut = isinstance(error, json.JSONDecodeError) and (
            error.pos >= len(text.rstrip()) or "Unterminated" in error.msg
        )
        what = "it is cut short; copy it again" if is_cut else str(error)[:200]
        raise MetadataError(f"{where} is not valid JSON: {what}") from error


class _Parser:
    """One pass through the text; `at` is the current position."""

    def __init__(self, text: str, where: str) -> None:
        self._text = text
        self._where = where
        self._at = 0
        self._decoder = json.JSONDecoder()
        self._found = References(where)
        self._number_of: dict[str, int] = {}

    def parse(self) -> References:
        self._skip()
        templates: dict[str, str] = {}
        if self._first_key() in _MARKS_OF_VERSION_1:
            templates = self._version_1()
        else:
            self._entries()
        self._skip()
        if self._at != len(self._text):
            raise MetadataError(f"{self._where} is not valid JSON: extra text at character {self._at}")
        found = self._found
        self._consolidated()
        if not found.metadata:
            raise MetadataError(
                f"{self._where} contains no references: expected kerchunk or LINDI JSON, with .zarray and "
                "chunks"
            )
        found.locations = [self._replaced(url, templates) for url in found.locations]
        return found

    # ---- the file --------------------------------------------------------------------------

    def _version_1(self) -> dict[str, str]:
        templates: Any = {}
        for key in self._members():
            if key == "refs":
                self._entries()
                continue
            value = self._value()
            if key == "templates":
                templates = value
            elif key == "version" and value != 1:
                raise UnsupportedError(
                    f"{self._where}: references of version {brief(value)}; "
                    "only versions 0 and 1 are supported"
                )
            elif key == "gen" and value:
                raise UnsupportedError(f"{self._where}: generated references ('gen') are not supported")
            elif key == "generationMetadata":
                self._found.is_lindi = True
        if not isinstance(templates, dict) or not all(isinstance(text, str) for text in templates.values()):
            raise MetadataError(f"{self._where}: templates must be an object of strings")
        return templates

    def _entries(self) -> None:
        """Parse all references, from the opening to the closing brace."""
        for key in self._members():
            self._entry(key)
            if self._peek() == ",":
                self._usual_entries()

    def _usual_entries(self) -> None:
        """Parse entries of the usual form after a comma, up to the comma after the last one."""
        text, put, match_usual = self._text, self._put, _USUAL.match
        comma, at = self._at, self._after_space(self._at + 1)
        while (match := match_usual(text, at)) is not None:
            key, url, offset, length = match.groups()
            if key.endswith(METADATA_NAMES):
                break
            put(key, url, int(offset), int(length))
            comma, at = match.end(4), match.end()
        self._at = text.index(",", comma)

    def _entry(self, key: str) -> None:
        value = self._value()
        if key.rpartition("/")[2] in METADATA_NAMES:
            if isinstance(value, (str, dict)):
                if key in self._found.metadata:
                    raise MetadataError(f"{self._where} contains {key!r} twice")
                self._found.metadata[key] = value
            return  # metadata in other files is not fetched; its array cannot be chosen
        if isinstance(value, str):
            self._add(key, INLINE, len(self._found.inline), len(value))
            self._found.inline.append(value)
            return
        if isinstance(value, list) and len(value) in (1, 3) and isinstance(value[0], str):
            offset, length = (0, -1) if len(value) == 1 else value[1:]
            least = -1 if len(value) == 1 else 0
            if type(offset) is type(length) is int and 0 <= offset < 2**62 and least <= length < 2**62:
                self._put(key, value[0], offset, length)
                return
        raise MetadataError(f"{self._where}: {key!r} is {ascii(value)[:80]}, expected [url, offset, length]")

    def _put(self, key: str, url: str, offset: int, length: int) -> None:
        number = self._number_of.get(url)
        if number is None:
            if len(url) > _MAX_URL or len(self._number_of) >= _MAX_LOCATIONS:
                raise LimitExceededError(
                    f"{self._where} refers to too many files, or by names that are too long"
                )
            number = self._number_of[url] = len(self._found.locations)
            self._found.locations.append(url)
        self._add(key, number, offset, length)

    def _add(self, key: str, location: int, offset: int, length: int) -> None:
        found = self._found
        found.keys.append(key)
        found.location.append(location)
        found.offset.append(offset)
        found.length.append(length)
        if len(found.keys) > MAX_REFERENCES:
            raise LimitExceededError(f"{self._where} contains more than {MAX_REFERENCES} references")

    def _consolidated(self) -> None:
        """Metadata that exists only in `.zmetadata`."""
        documents = self._found.document(".zmetadata").get("metadata")
        for key, value in documents.items() if isinstance(documents, dict) else ():
            if isinstance(value, dict) and key.rpartition("/")[2] in METADATA_NAMES:
                self._found.metadata.setdefault(key, value)

    def _replaced(self, url: str, templates: dict[str, str]) -> str:
        def value(match: re.Match[str]) -> str:
            if match[1] not in templates:
                raise MetadataError(f"{self._where}: {url[:80]!r} uses an undefined template")
            return templates[match[1]]

        full = _TEMPLATE.sub(value, url) if "{{" in url else url
        if len(full) > _MAX_URL:
            raise LimitExceededError(f"{self._where}: {url[:80]!r} expands to a name that is too long")
        if "{{" in full or "{%" in full:
            raise UnsupportedError(
                f"{self._where}: the template in {url[:80]!r} contains an expression; not supported"
            )
        return full

    # ---- JSON ------------------------------------------------------------------------------

    def _members(self) -> Iterator[str]:
        """The keys of the object at this position; the caller reads the value after each."""
        self._expect("{")
        if self._peek() == "}":
            self._at += 1
            return
        while True:
            yield self._key()
            if self._peek() == "}":
                self._at += 1
                return
            self._expect(",")

    def _first_key(self) -> str:
        at = self._at
        key = next(self._members(), "")
        self._at = at
        return key

    def _key(self) -> str:
        self._expect('"')
        key: str
        key, self._at = json.decoder.scanstring(self._text, self._at, True)  # type: ignore[attr-defined]
        self._expect(":")
        self._skip()
        return key

    def _value(self) -> Any:
        try:
            value, self._at = self._decoder.raw_decode(self._text, self._at)
        except RecursionError as error:
            raise LimitExceededError(f"{self._where} is nested too deeply") from error
        return value

    def _peek(self) -> str:
        self._skip()
        return self._text[self._at : self._at + 1]

    def _expect(self, mark: str) -> None:
        if self._peek() != mark:
            raise MetadataError(f"{self._where} is not valid JSON: {mark!r} expected at character {self._at}")
        self._at += 1

    def _skip(self) -> None:
        self._at = self._after_space(self._at)

    def _after_space(self, at: int) -> int:
        match = _SPACE.match(self._text, at)
        return at if match is None else match.end()


def _check_depth(document: JsonObject, where: str) -> None:
    """Refuse deeper nesting, or more content, than metadata has."""
    level: list[Any] = [document]
    for _ in range(MAX_JSON_DEPTH):
        level = [child for value in level for child in _children(value)]
        if not level:
            return
        if len(level) > MAX_METADATA_BYTES // 4:
            break
    raise LimitExceededError(f"{where}: too deeply nested or too large for metadata")


def _children(value: Any) -> list[Any]:
    if isinstance(value, dict):
        return [child for child in value.values() if isinstance(child, (dict, list))]
    return [child for child in value if isinstance(child, (dict, list))]
