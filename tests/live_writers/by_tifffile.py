"""tifffile: pages appended to a file, an OME-TIFF of known size, one file per plane."""

from __future__ import annotations

from queue import Queue
from threading import Thread
from typing import TYPE_CHECKING, Any

import tifffile

from .plan import Writer

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from numpy.typing import NDArray

    from .plan import Index, Plan


class PagesWriter(Writer):
    """One multi-page TIFF; each page is appended by opening and closing the file.

    `metadata` as tifffile takes it: None writes none, by default it says the shape of each array.
    """

    def __init__(self, path: Path, plan: Plan, *, metadata: dict[str, Any] | None = None) -> None:
        super().__init__(path, plan)
        self._metadata = metadata

    def begin(self) -> int:
        if self.plan.resume:
            with tifffile.TiffFile(self.path) as file:
                return len(file.pages)
        self.path.unlink(missing_ok=True)
        return 0

    def write(self, index: Index, pixels: NDArray[Any]) -> None:
        tifffile.imwrite(self.path, pixels, append=True, photometric="minisblack", metadata=self._metadata)


class StreamWriter(Writer):
    """One multi-page TIFF that stays open: planes follow each other, and their pages come at the end."""

    def begin(self) -> int:
        self._file = tifffile.TiffWriter(self.path)
        return 0

    def write(self, index: Index, pixels: NDArray[Any]) -> None:
        axes = {"axes": "TYX"}
        self._file.write(pixels, contiguous=True, photometric="minisblack", metadata=axes)
        self._file.filehandle.flush()

    def end(self) -> None:
        self._file.close()


class MemmapWriter(Writer):
    """A TIFF (T, Y, X) that is created at its full size, and filled through a memory map."""

    def begin(self) -> int:
        plan = self.plan
        shape = (plan.n_t, plan.height, plan.width)
        self._pixels = tifffile.memmap(
            self.path, shape=shape, dtype=plan.dtype, photometric="minisblack", metadata={"axes": "TYX"}
        )
        return 0

    def write(self, index: Index, pixels: NDArray[Any]) -> None:
        self._pixels[index[0]] = pixels
        self._pixels.flush()


class OmeTiffWriter(Writer):
    """An OME-TIFF (T, Z, C, Y, X) of known size, from an iterator that waits for the next plane.

    tifffile writes the first page and all pixels as they come, the other pages and the OME-XML when it
    closes.
    """

    def __init__(self, path: Path, plan: Plan) -> None:
        super().__init__(path, plan)
        self._planes: Queue[NDArray[Any] | None] = Queue(1)
        self._thread = Thread(target=self._write_all, name="ome-tiff")

    def begin(self) -> int:
        self._thread.start()
        return 0

    def _write_all(self) -> None:
        plan = self.plan
        shape = (plan.n_t, plan.n_z, plan.n_c, plan.height, plan.width)
        metadata = {"axes": "TZCYX", "Channel": {"Name": plan.channels}}
        with tifffile.TiffWriter(self.path, ome=True) as file:
            file.write(
                self._coming(), shape=shape, dtype=plan.dtype, photometric="minisblack", metadata=metadata
            )

    def _coming(self) -> Iterator[NDArray[Any]]:
        while (pixels := self._planes.get()) is not None:
            yield pixels

    def write(self, index: Index, pixels: NDArray[Any]) -> None:
        self._planes.put(pixels)

    def end(self) -> None:
        self._planes.put(None)
        self._thread.join()


class FilesWriter(Writer):
    """A folder with one file per plane, ``img_t000_c0_z0.tif``, written in place."""

    suffix = "tif"

    def begin(self) -> int:
        self.path.mkdir(parents=True, exist_ok=True)
        return len(list(self.path.iterdir())) if self.plan.resume else 0

    def file(self, index: Index) -> Path:
        """Where a plane goes; p and z are only named if there are several."""
        t, p, c, z = index
        plan = self.plan
        parts = [
            "img",
            f"t{t:03d}",
            *([f"s{p}"] if plan.n_p > 1 else ()),
            *([f"c{c}"] if plan.n_c > 1 else ()),
        ]
        parts += [f"z{z}"] if plan.n_z > 1 else []
        return self.path / f"{'_'.join(parts)}.{self.suffix}"

    def write(self, index: Index, pixels: NDArray[Any]) -> None:
        tifffile.imwrite(self.file(index), pixels, photometric="minisblack")
