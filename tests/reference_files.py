"""Files of references as kerchunk and LINDI write them, over bytes whose pixels a test knows."""

from __future__ import annotations

import base64
import itertools
import json
import zlib
from typing import TYPE_CHECKING, Any

import numpy as np

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence
    from pathlib import Path

    Encode = Callable[[bytes], bytes]


def pixels(shape: Sequence[int], dtype: Any = "<u2", seed: int = 0) -> np.ndarray:
    """Numbers that differ everywhere and are never 0."""
    rng = np.random.default_rng(seed)
    return (rng.integers(0, 120, tuple(shape)) + 1 + np.arange(shape[-1]) % 7).astype(dtype)


class ReferenceWriter:
    """Collects arrays into one binary file, and references to it."""

    def __init__(self, folder: Path, name: str = "pixels.bin") -> None:
        self.folder, self.name = folder, name
        self.refs: dict[str, Any] = {".zgroup": json.dumps({"zarr_format": 2})}
        self._data = bytearray(b"\x89some header")

    def add(
        self,
        path: str,
        array: np.ndarray,
        chunks: Sequence[int],
        *,
        encode: Encode | None = None,
        skip: Callable[[tuple[int, ...]], bool] = lambda at: False,
        inline: str = "",
        url: str = "",
        attributes: dict[str, Any] | None = None,
        **document: Any,
    ) -> None:
        """Add an array; `encode` makes the bytes of a chunk what is stored.

        Chunks for which `skip` holds are not stored. `inline` "base64" or "text" writes them out right there.
        """
        prefix = f"{path}/" if path else ""
        separator = document.get("dimension_separator", ".")
        order = document.get("order", "C")
        self.refs[f"{prefix}.zarray"] = json.dumps(
            {
                "zarr_format": 2,
                "shape": list(array.shape),
                "chunks": list(chunks),
                "dtype": array.dtype.str,
                "compressor": None,
                "filters": None,
                "fill_value": 0,
                "order": "C",
                **document,
            }
        )
        if attributes is not None:
            self.refs[f"{prefix}.zattrs"] = json.dumps(attributes)
        grid = [-(-whole // part) for whole, part in zip(array.shape, chunks, strict=True)]
        for at in itertools.product(*map(range, grid)):
            if skip(at):
                continue
            block = np.zeros(chunks, array.dtype)
            part = array[tuple(slice(i * n, (i + 1) * n) for i, n in zip(at, chunks, strict=True))]
            block[tuple(slice(n) for n in part.shape)] = part
            raw = block.tobytes(order)
            raw = encode(raw) if encode else raw
            self.refs[prefix + separator.join(map(str, at))] = self._stored(raw, inline, url)

    def _stored(self, raw: bytes, inline: str, url: str) -> Any:
        if inline == "base64":
            return "base64:" + base64.b64encode(raw).decode()
        if inline:
            return raw.decode()
        self._data += b"gap"
        offset = len(self._data)
        self._data += raw
        return [url or self.name, offset, len(raw)]

    def group(self, path: str, attributes: dict[str, Any]) -> None:
        """Add a group with attributes; "" is the root."""
        prefix = f"{path}/" if path else ""
        self.refs[f"{prefix}.zgroup"] = json.dumps({"zarr_format": 2})
        self.refs[f"{prefix}.zattrs"] = json.dumps(attributes)

    def write_pixels(self) -> None:
        """Write the binary file."""
        (self.folder / self.name).write_bytes(self._data)

    def write(self, name: str = "refs.json", version: int = 1, **more: Any) -> str:
        """Write both files; the path of the references."""
        self.write_pixels()
        content = self.refs if version == 0 else {"version": 1, **more, "refs": self.refs}
        path = self.folder / name
        path.write_text(json.dumps(content))
        return str(path)

    def write_lindi(self, name: str = "refs.lindi.json") -> str:
        """Write both files, metadata as objects, as LINDI has them."""
        self.write_pixels()
        refs = {
            key: json.loads(value) if key.rpartition("/")[2].startswith(".z") else value
            for key, value in self.refs.items()
        }
        content = {"refs": refs, "generationMetadata": {"generatedBy": "lindi"}, "version": 1}
        path = self.folder / name
        path.write_text(json.dumps(content, indent=2))
        return str(path)


def deflated(raw: bytes) -> bytes:
    """As HDF5's gzip filter stores a chunk."""
    return zlib.compress(raw, 1)


ZLIB = {"compressor": {"id": "zlib", "level": 1}, "encode": deflated}
