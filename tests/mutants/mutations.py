"""What is done to a file: bytes changed, numbers made absurd, JSON and XML bent; all seeded."""

from __future__ import annotations

import copy
import json
import re
import struct
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    import random

_METADATA_BYTES = 8192
_ODD: tuple[Any, ...] = (
    *(
        None,
        True,
        False,
        0,
        1,
        -1,
        2,
        3,
        7,
        255,
        65536,
        2**31 - 1,
        2**31,
        2**32,
        2**53,
        2**63 - 1,
        2**63,
        2**64,
        10**40,
    ),
    *(
        -(2**63),
        0.5,
        -0.0,
        1e308,
        1e-320,
        1e400,
        "",
        "0",
        "0/0",
        "..",
        "../..",
        "/",
        "/etc/passwd",
        "a\0b",
        "\ud800",
    ),
    *(
        "\x1b]0;x\x07",
        "x" * 5000,
        "é" * 300,
        "http://[::1/x",
        "file:///etc/passwd",
        "NaN",
        "Infinity",
        "<u2",
        "|O",
        "|V8",
    ),
    *(
        [],
        {},
        [[]],
        [None],
        [0],
        [1, 2],
        [-1],
        ["y", "x"],
        {"name": None},
        {"name": "blosc"},
        {"path": "0"},
        {"": ""},
    ),
    *(["a"] * 50, [0] * 9, {"id": "pickle"}, [1e308], [[1, 2], [3]], {"a": {"b": {"c": {}}}}),
)
_ODD_TEXTS = (
    *(
        b"{",
        b"}",
        b"[",
        b"]",
        b",",
        b":",
        b'"',
        b"\\",
        b"\0",
        b"NaN",
        b"-",
        b"1e999",
        b"0x1",
        b"null",
        b"\xff\xfe",
    ),
    *(b"[" * 70, b"9" * 5000, b"\\ud800", b"\xef\xbb\xbf", b"<!ENTITY a 'b'>", b"&a;", b"<", b">", b"]]>"),
)
_ODD_INTEGERS = (
    0,
    1,
    2,
    255,
    256,
    4096,
    65535,
    2**16,
    2**24,
    2**31 - 1,
    2**31,
    2**32 - 1,
    2**32,
    2**63,
    2**64 - 1,
)


def mutated(name: str, data: bytes, rng: random.Random) -> bytes:
    """The contents of the file `name`, damaged: never longer than twice as long and some."""
    is_json = name.endswith((".json", ".zarray", ".zattrs", ".zgroup", ".zmetadata"))
    kind = rng.random()
    if is_json and kind < 0.75:
        return _bent_json(data, rng)
    if kind < 0.05:
        return data[: rng.randrange(len(data) + 1)]
    if kind < 0.08:
        return rng.choice(
            (
                b"",
                b"\0",
                b"garbage",
                b"{}",
                b"[]",
                b"null",
                b"II*\0",
                b"PK\5\6",
                b"\x89HDF\r\n\x1a\n",
                bytes(64),
            )
        )
    if kind < 0.30 and (b"<?xml" in data or b"<OME" in data):
        return _bent_xml(data, rng)
    if is_json or name.endswith((".csv", ".yaml", ".xml")):
        return _bent_text(data, rng)
    return _bent_bytes(data, rng)


# ---- JSON ------------------------------------------------------------------------------------


def _bent_json(data: bytes, rng: random.Random) -> bytes:
    try:
        document = json.loads(data)
    except ValueError:
        return _bent_text(data, rng)
    for _ in range(rng.choice((1, 1, 1, 2, 3))):
        _bend_one(document, rng)
    return json.dumps(document).encode()


def _nodes(value: Any) -> list[tuple[Any, Any]]:
    """Every (container, key) in a document; the values at them are what is bent."""
    found: list[tuple[Any, Any]] = []
    waiting = [value]
    while waiting:
        node = waiting.pop()
        keys = list(node) if isinstance(node, dict) else range(len(node)) if isinstance(node, list) else ()
        found += [(node, key) for key in keys]
        waiting += [node[key] for key in keys]
    return found


def _bend_one(document: Any, rng: random.Random) -> None:
    nodes = _nodes(document)
    if not nodes:
        return
    node, key = rng.choice(nodes)
    kind = rng.random()
    if kind < 0.55:
        node[key] = copy.deepcopy(rng.choice(_ODD))  # it may be bent next, or what is put into itself
    elif kind < 0.70:
        del node[key]
    elif kind < 0.80:
        other, at = rng.choice(nodes)
        try:
            node[key] = json.loads(json.dumps(other[at]))
        except (KeyError, IndexError):
            return
    elif kind < 0.88 and isinstance(node, list):
        node.insert(key, node[key])
    elif kind < 0.94 and isinstance(node[key], (int, float)) and not isinstance(node[key], bool):
        node[key] = rng.choice((node[key] + 1, -node[key], node[key] * 1000, float(node[key])))
    elif isinstance(node, dict):
        node[str(rng.choice(_ODD))[:20]] = node.pop(key)
    else:
        node[key] = [node[key]]


# ---- text ------------------------------------------------------------------------------------


def _bent_text(data: bytes, rng: random.Random) -> bytes:
    at = rng.randrange(len(data) + 1)
    end = min(len(data), at + rng.choice((0, 0, 1, 1, 5, 40)))
    return data[:at] + rng.choice((*_ODD_TEXTS, b"")) + data[end:]


_ATTRIBUTE = re.compile(rb'"([^"<>]{1,200})"')


def _bent_xml(data: bytes, rng: random.Random) -> bytes:
    """An attribute of the XML in a file made another of the same length: what follows stays."""
    found = list(_ATTRIBUTE.finditer(data))
    if not found:
        return _bent_bytes(data, rng)
    start, end = rng.choice(found).span(1)
    odd = rng.choice(
        (b"9" * 20, b"-1", b"0", b"", b"1e9", b"x", b"\0", b"\xff", b"XYZCT", b"../../x", b"nan", b"uint128")
    )
    return data[:start] + odd[: end - start].ljust(end - start, rng.choice((b" ", b"0", b"9"))) + data[end:]


# ---- bytes -----------------------------------------------------------------------------------


def _bent_bytes(data: bytes, rng: random.Random) -> bytes:
    if not data:
        return b"\0"
    out = bytearray(data)
    used = [i for i, byte in enumerate(data) if byte or rng.random() < 0.02]
    # of large files mostly the beginning, and the end, say what the rest is
    ends = [i for i in used if i < _METADATA_BYTES or i > len(data) - _METADATA_BYTES]
    for _ in range(rng.choice((1, 1, 2, 4))):
        at = rng.choice(ends if ends and rng.random() < 0.7 else used or [0])
        if rng.random() < 0.3:
            size, order = rng.choice((2, 4, 8)), rng.choice("<>")
            value = rng.choice(_ODD_INTEGERS) % (1 << 8 * size)
            word = struct.pack(order + {2: "H", 4: "I", 8: "Q"}[size], value)
            out[at : at + size] = word[: len(out) - at]
        else:
            out[at] = rng.choice((0, 255, rng.randrange(256), out[at] ^ 1 << rng.randrange(8)))
    return bytes(out)
