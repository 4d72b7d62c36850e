"""What cases of TIFF files consist of: planes that tell where they belong, what is written, and found."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any
from xml.sax.saxutils import quoteattr

import numpy as np
import tifffile

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Sequence
    from pathlib import Path


HEIGHT, WIDTH = 24, 33
NAMESPACE = "http://www.openmicroscopy.org/Schemas/OME/2016-06"


@dataclass
class Expected:
    """What must be found: pixels (T, C, Z, Y, X) and names of positions; facts where they matter."""

    pixels: list[np.ndarray]
    names: list[str] = field(default_factory=list)
    channels: list[str] | None = None
    colours: list[str] | None = None
    steps: dict[str, float | None] = field(default_factory=dict)
    said: str = ""  # what a warning must contain


@dataclass
class Written:
    """What to open, each of it, with the same result; and what is right."""

    paths: list[Path]
    expected: Expected
    serve: bool = True  # whether the same opens from a server


def plane(
    t: int = 0,
    p: int = 0,
    c: int = 0,
    z: int = 0,
    shape: tuple[int, int] = (HEIGHT, WIDTH),
    dtype: Any = "u2",
) -> np.ndarray:
    y, x = np.indices(shape)
    value = 1 + 97 * p + 41 * t + 17 * c + 7 * z + 3 * y + (5 * x) % 11
    return (value % np.iinfo(dtype).max if np.dtype(dtype).kind == "u" else value).astype(dtype)


def image(n_t: int = 1, n_c: int = 1, n_z: int = 1, p: int = 0, **more: Any) -> np.ndarray:
    return np.stack(
        [
            np.stack([np.stack([plane(t, p, c, z, **more) for z in range(n_z)]) for c in range(n_c)])
            for t in range(n_t)
        ]
    )


def pages(array: np.ndarray) -> Iterable[np.ndarray]:
    """Planes in the order XYZCT: z first."""
    return array.reshape(-1, *array.shape[-2:])


def write_pages(
    path: Path, planes: Iterable[np.ndarray], description: str | None = None, **more: Any
) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    with tifffile.TiffWriter(path, bigtiff=more.pop("bigtiff", False)) as file:
        for i, each in enumerate(planes):
            file.write(
                each,
                description=description.encode() if i == 0 and description else None,
                contiguous=False,
                metadata=None,
                **{"photometric": "minisblack", **more},
            )
    return path


def ome(images: Sequence[tuple[str, dict[str, Any], str]], uuid: str = "", **more: str) -> str:
    """OME-XML of images, each with name, attributes of Pixels, and what is in Pixels."""
    root = f' UUID="urn:uuid:{uuid}"' if uuid else ""
    body = ""
    for i, (name, pixels, inside) in enumerate(images):
        attributes = {
            "ID": f"Pixels:{i}",
            "DimensionOrder": "XYZCT",
            "Type": "uint16",
            "SizeX": WIDTH,
            "SizeY": HEIGHT,
            "SizeZ": 1,
            "SizeC": 1,
            "SizeT": 1,
            **pixels,
        }
        said = " ".join(f"{key}={quoteattr(str(value))}" for key, value in attributes.items())
        body += f'<Image ID="Image:{i}" Name={quoteattr(name)}><Pixels {said}>{inside}</Pixels></Image>'
    body = more.get("before", "") + body
    return f'<?xml version="1.0" encoding="UTF-8"?><OME xmlns="{NAMESPACE}"{root}>{body}</OME>'


def data(file: str = "", uuid: str = "", **attributes: Any) -> str:
    said = " ".join(f'{key}="{value}"' for key, value in attributes.items())
    name = f' FileName="{file}"' if file else ""
    return (
        f"<TiffData {said}><UUID{name}>urn:uuid:{uuid}</UUID></TiffData>" if uuid else f"<TiffData {said}/>"
    )


def uuid(n: int) -> str:
    return f"00000000-0000-4000-8000-{n:012d}"


WRITERS: dict[str, Callable[[Path], Written]] = {}


def dialect(write: Callable[[Path], Written]) -> Callable[[Path], Written]:
    WRITERS[write.__name__] = write
    return write
